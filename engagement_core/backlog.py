"""What this process knows and the database does not yet: decisions that could not be committed.

The one rule: nothing leaves the backlog before the store has accepted it. It lives as long as the process does.
"""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable
from typing import Any

from engagement_core.ports.activities import ActivityStore, Decision, Snapshot, StoreUnavailable

__all__ = ["Backlog"]

_Decide = Callable[[Snapshot], Decision[Any]]


class Backlog:
    """Decisions waiting for the database, oldest first. Safe to use from several threads.

    Each must be safe to decide twice: the commit that failed may have been applied after all.
    """

    def __init__(self) -> None:
        self._waiting: deque[tuple[str, _Decide]] = deque()
        self._lock = threading.Lock()

    def __len__(self) -> int:
        return len(self._waiting)

    def add(self, activity_id: str, decide: _Decide) -> None:
        """Keep a decision about an activity until the store takes it."""
        self._waiting.append((activity_id, decide))

    def flush(self, store: ActivityStore) -> int:
        """Hand over what waits; how many were accepted. Stops, and keeps the rest, when the store is unavailable."""
        accepted = 0
        with self._lock:
            while self._waiting:
                activity_id, decide = self._waiting[0]
                try:
                    store.change(activity_id, decide)
                except StoreUnavailable:
                    break
                self._waiting.popleft()
                accepted += 1
        return accepted
