"""Calls that are under way in this process: an account that does not answer must not have all the threads.

The one rule: it only ever makes work wait. What it knows is this process's own; the next worker learns it by itself.

An account is slow from when a call of it has lasted `slow_after` until one of it ends sooner. While it is slow it has
`most` calls at a time; an account that answers has as many as there are threads.
"""

from __future__ import annotations

import threading
from collections import defaultdict
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta

from engagement_core.ports.clock import Clock

__all__ = ["AccountBulkhead"]


class AccountBulkhead:
    """Who is being waited for, and since when. Safe to use from several threads."""

    def __init__(self, clock: Clock, *, most: int, slow_after: timedelta = timedelta(seconds=3)) -> None:
        """
        Args:
            clock: measures the calls.
            most: how many calls at a time a slow account may have.
            slow_after: how long a call may last without its account being slow.
        """
        self._clock = clock
        self._most = most
        self._slow_after = slow_after.total_seconds()
        self._lock = threading.Lock()
        self._begun: defaultdict[str, list[float]] = defaultdict(list)
        self._slow: set[str] = set()

    @contextmanager
    def call(self, account_id: str) -> Iterator[bool]:
        """The block may call for this account if it is given true: else the account has become crowded meanwhile."""
        began = self._clock.elapsed()
        with self._lock:
            has_room = account_id not in self._saturated()
            if has_room:
                self._begun[account_id].append(began)
        try:
            yield has_room
        finally:
            if has_room:
                self._ended(account_id, began)

    def saturated(self) -> frozenset[str]:
        """Accounts that are slow and have as many calls under way as they may."""
        with self._lock:
            return self._saturated()

    def slow_calls(self) -> int:
        """How many calls are slow: the threads that wait for them are missing elsewhere."""
        with self._lock:
            return sum(self._lasting(begun) for begun in self._begun.values())

    def _saturated(self) -> frozenset[str]:
        self._slow.update(account_id for account_id, begun in self._begun.items() if self._lasting(begun))
        return frozenset(account_id for account_id in self._slow if len(self._begun.get(account_id, ())) >= self._most)

    def _ended(self, account_id: str, began: float) -> None:
        with self._lock:
            self._begun[account_id].remove(began)
            if self._lasting([began]):
                self._slow.add(account_id)
            else:
                self._slow.discard(account_id)
            if not self._begun[account_id]:
                del self._begun[account_id]

    def _lasting(self, begun: list[float]) -> int:
        since = self._clock.elapsed() - self._slow_after
        return sum(began <= since for began in begun)
