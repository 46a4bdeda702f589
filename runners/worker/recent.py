"""Remembers what this process has just executed, so that a job that rings for it again costs no look at PostgreSQL.

The one rule: only outcome `Executed` is remembered. Whatever may have to be done again is looked at.
"""

from __future__ import annotations

import threading
from datetime import timedelta

from engagement_core.model.outcome import Executed, Outcome
from engagement_core.ports.clock import Clock

__all__ = ["RecentlyExecuted"]

_KEPT_FOR = timedelta(minutes=1)
_MOST = 10_000


class RecentlyExecuted:
    """The activities that this process has executed within the last minute. Safe to use from several threads."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._known: dict[str, tuple[float, Executed]] = {}
        self._lock = threading.Lock()

    def note(self, activity_id: str, outcome: Outcome) -> None:
        """Remember it if it was executed; at most the last 10,000 are kept."""
        if not isinstance(outcome, Executed):
            return
        with self._lock:
            self._known.pop(activity_id, None)  # the oldest stays the first
            self._known[activity_id] = self._clock.elapsed(), outcome
            while len(self._known) > _MOST or self._is_old(next(iter(self._known))):
                del self._known[next(iter(self._known))]

    def outcome_of(self, activity_id: str) -> Executed | None:
        """How it was executed; None if that was not here, or longer ago."""
        with self._lock:
            if activity_id not in self._known or self._is_old(activity_id):
                return None
            return self._known[activity_id][1]

    def _is_old(self, activity_id: str) -> bool:
        return self._clock.elapsed() - self._known[activity_id][0] > _KEPT_FOR.total_seconds()
