"""The bulkhead: an account that does not answer must not occupy all threads of this process.

The one rule: it only ever makes work wait. It knows the calls of this process alone; every worker learns for itself.

An account becomes slow when one of its calls has lasted `slow_after`. It stays slow until one of its calls ends sooner.
A slow account may have `most` calls at a time; every other account may have as many as there are threads. If others
wait, spare threads start sooner: for the calls beyond `most` of an account that have lasted `waits_after`.
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
    """The running calls of each account, and since when. Safe to use from several threads."""

    def __init__(
        self,
        clock: Clock,
        *,
        most: int,
        slow_after: timedelta = timedelta(seconds=3),
        waits_after: timedelta = timedelta(seconds=1),
    ) -> None:
        """
        Args:
            clock: measures the calls.
            most: how many calls at a time a slow account may have; the share of the threads that an account has for
                certain.
            slow_after: how long a call may last before its account is slow.
            waits_after: how long the calls beyond its share may keep others waiting.
        """
        self._clock = clock
        self._most = most
        self._waits_after = waits_after.total_seconds()
        self._slow_after = slow_after.total_seconds()
        self._lock = threading.Lock()
        self._begun: defaultdict[str, list[float]] = defaultdict(list)
        self._slow: set[str] = set()

    @property
    def most(self) -> int:
        """How many calls at a time a slow account may have."""
        return self._most

    def running(self, account_id: str) -> int:
        """How many calls of the account are running."""
        with self._lock:
            return len(self._begun.get(account_id, ()))

    @contextmanager
    def call(self, account_id: str) -> Iterator[bool]:
        """The block may call for this account if it receives true. False: the account became saturated meanwhile."""
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
        """Accounts that are slow and have as many running calls as they may."""
        with self._lock:
            return self._saturated()

    def slow_calls(self) -> int:
        """How many calls are slow. The threads that wait for them are not free for other work."""
        with self._lock:
            return sum(self._count_slow(begun) for begun in self._begun.values())

    def calls_beyond_share(self) -> int:
        """How many calls have lasted `waits_after` and are beyond the share of their account."""
        with self._lock:
            lasting = (self._count(begun, self._waits_after) for begun in self._begun.values())
            return sum(max(calls - self._most, 0) for calls in lasting)

    def _saturated(self) -> frozenset[str]:
        self._slow.update(account_id for account_id, begun in self._begun.items() if self._count_slow(begun))
        return frozenset(account_id for account_id in self._slow if len(self._begun.get(account_id, ())) >= self._most)

    def _ended(self, account_id: str, began: float) -> None:
        with self._lock:
            self._begun[account_id].remove(began)
            if self._count_slow([began]):
                self._slow.add(account_id)
            else:
                self._slow.discard(account_id)
            if not self._begun[account_id]:
                del self._begun[account_id]

    def _count_slow(self, begun: list[float]) -> int:
        return self._count(begun, self._slow_after)

    def _count(self, begun: list[float], lasting: float) -> int:
        since = self._clock.elapsed() - lasting
        return sum(began <= since for began in begun)
