"""Heartbeats in memory. Given a store's `beats`, it keeps them there: then that store knows who is silent."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, timedelta

from engagement_core.model.chore import Chore

__all__ = ["InMemoryWorkerRegistry"]


class InMemoryWorkerRegistry:
    """Fills `engagement_core.ports.workers.WorkerRegistry`. `beats` maps workers to their last sign of life."""

    def __init__(
        self,
        now: Callable[[], datetime],
        *,
        silent_for: timedelta = timedelta(seconds=6),
        beats: dict[str, datetime] | None = None,
        look: Callable[[], frozenset[Chore]] = frozenset,
    ) -> None:
        """
        Args:
            now: the "database's" time, aware UTC.
            silent_for: how long a worker may be silent and still be alive.
            beats: where to keep them, such as `InMemoryActivityStore.beats`.
            look: finds what there is to do.
        """
        self.beats = {} if beats is None else beats
        self._now = now
        self._silent_for = silent_for
        self._look = look

    def beat(self, worker_id: str, *, host: str, pid: int, concurrency: int) -> frozenset[Chore]:
        """See the port."""
        self.beats[worker_id] = self._now()
        return self._look()

    def leave(self, worker_id: str) -> None:
        """See the port; leaving twice, or without having been there, is no error."""
        self.beats.pop(worker_id, None)

    def alive(self) -> int:
        """See the port."""
        since = self._now() - self._silent_for
        return sum(1 for at in list(self.beats.values()) if at > since)
