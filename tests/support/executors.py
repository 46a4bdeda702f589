"""Executors that only say how an execution ends."""

from __future__ import annotations

from collections.abc import Callable

from engagement_core.model.outcome import Outcome

__all__ = ["StubExecutor"]


class StubExecutor:
    """`Executor` for a worker. A subclass says in `execute` what becomes of an activity; no verdict is waited for."""

    def execute(self, activity_id: str) -> Outcome:
        """See `Executor`."""
        raise NotImplementedError

    def start(self, activity_id: str, *, when_claimed: Callable[[], None]) -> Callable[[], Outcome]:
        """See `Executor`."""
        when_claimed()
        outcome = self.execute(activity_id)
        return lambda: outcome
