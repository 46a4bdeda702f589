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
_Tell = Callable[[Any], None]


class Backlog:
    """Decisions waiting for the database, oldest first. Safe to use from several threads.

    Each must be safe to decide twice: the commit that failed may have been applied after all.
    """

    def __init__(self) -> None:
        self._waiting: deque[tuple[str, _Decide, _Tell]] = deque()
        self._lock = threading.Lock()

    def __len__(self) -> int:
        return len(self._waiting)

    def __contains__(self, activity_id: str) -> bool:
        """Whether the database has yet to be told something about the activity."""
        return any(key == activity_id for key, _, _ in tuple(self._waiting))

    def add(self, activity_id: str, decide: _Decide, tell: _Tell = lambda _: None) -> None:
        """Keep a decision about an activity until the store takes it; `tell`, which never raises, hears its result."""
        self._waiting.append((activity_id, decide, tell))

    def flush(self, store: ActivityStore) -> int:
        """Hand over what waits; how many were accepted. What is not stays, behind the others.

        Raises:
            Exception: whatever a decision raised, once all had their turn; it stays too.
        """
        accepted, defect = 0, None
        with self._lock:
            for _ in range(len(self._waiting)):
                activity_id, decide, tell = self._waiting[0]
                try:
                    result = store.change(activity_id, decide)
                except StoreUnavailable:
                    # Perhaps this row alone is locked or refused: the next one has its turn.
                    self._waiting.rotate(-1)
                except Exception as error:  # noqa: BLE001 - one defect must not hold back the others' evidence
                    self._waiting.rotate(-1)
                    defect = error
                else:
                    self._waiting.popleft()
                    accepted += 1
                    tell(result)
        if defect is not None:
            raise defect
        return accepted
