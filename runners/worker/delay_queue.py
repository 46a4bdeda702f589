"""Holds the activities that are due in the next seconds, and hands each out to the millisecond.

The one rule: its entries are hints. An entry may be lost, doubled or wrong without harm, because only the claim
decides. So the queue is bounded, and a drain hands its entries back.
"""

from __future__ import annotations

import heapq
import threading
from collections.abc import Callable
from dataclasses import dataclass

from engagement_core.model.job import WakeUp
from engagement_core.ports.clock import Clock

__all__ = ["DelayQueue", "Entry"]

_LOOK_AGAIN_SECONDS = 0.25
_LOOK_AGAIN_SOON_SECONDS = 0.02
"""While the threads are fast: entries leave one by one, and nobody is woken for each."""


@dataclass(frozen=True, slots=True)
class Entry:
    """An activity, and the job that rang for it, if one did."""

    activity_id: str
    wake_up: WakeUp | None = None


class DelayQueue:
    """Entries in the order of their time. Safe to use from several threads.

    Of the threads that wait, one is the leader: only it is woken when the next entry's time comes.
    """

    def __init__(self, clock: Clock, *, capacity: int = 1_000) -> None:
        """`capacity`: how many entries it holds at most; the sweep brings the others when there is room."""
        self._clock = clock
        self._capacity = capacity
        self._heap: list[tuple[float, int, str]] = []
        self._waiting: dict[str, tuple[float, Entry]] = {}
        self._busy: set[str] = set()
        lock = threading.RLock()
        self._changed = threading.Condition(lock)
        # A condition of its own for those who wait for the others: a new entry must wake a thread that executes.
        self._eased = threading.Condition(lock)
        self._resting = 0
        self._leader: int | None = None
        self._closed = False
        self._serial = 0

    @property
    def capacity(self) -> int:
        """How many entries it holds at most."""
        return self._capacity

    def add(self, entry: Entry, at: float) -> Entry | None:
        """Hand the entry out at `at` on the clock. An activity that is there already keeps the earlier time and the
        latest job. If there is no room, the latest entry of all is dropped.

        Returns:
            The entry that has no place; the caller settles its job. It is this entry if its activity is being executed,
            the latest entry, or the earlier entry of the same activity with a job of its own. None if all have a place.
        """
        with self._changed:
            if self._closed or entry.activity_id in self._busy:
                return entry
            if entry.activity_id in self._waiting:
                return self._add_again(entry, at)
            left = None
            if len(self._waiting) >= self._capacity:
                left = self._make_room(at)
                if left is None:
                    return entry
            self._put(entry, at)
            return left

    def take(self) -> Entry | None:
        """The next entry, as soon as its time has come; None when the delay queue is closed. `done` must follow."""
        with self._changed:
            try:
                return self._await_next()
            finally:
                # The leader has left: another thread takes its place.
                if self._heap and self._leader is None:
                    self._changed.notify()

    def done(self, entry: Entry, again_at: float | None = None) -> Entry | None:
        """The activity is not being executed any more. If `again_at` is given, it is handed out again then; the delay
        queue does not look idle in between. Returns the entry that has no place: this one, or what `add` returned."""
        with self._changed:
            self._busy.discard(entry.activity_id)
            left = entry if again_at is None else self.add(entry, again_at)
            if self.is_idle():
                self._eased.notify_all()
            return left

    def overdue(self) -> int:
        """How many entries wait although their time has come."""
        with self._changed:
            now = self._clock.elapsed()
            return sum(1 for at, _ in self._waiting.values() if at <= now)

    def room(self, prefetch: Callable[[], int]) -> int:
        """How many more entries that are due it can use: one for each free thread, and `prefetch()` that wait for
        one. 0 when it is closed."""
        with self._changed:
            return 0 if self._closed else max(self._resting - self.overdue() + prefetch(), 0)

    def await_room(self, prefetch: Callable[[], int], timeout: float) -> int:
        """Block until a thread is free, or at most half of `prefetch()` entries wait for one, so that it pays to fetch
        more. Returns how many; 0 if that was not so for `timeout` seconds, or the queue is closed."""
        until = self._clock.elapsed() + timeout
        with self._changed:
            while not self._closed:
                if self._is_low(prefetch()):
                    return self.room(prefetch)
                left = until - self._clock.elapsed()
                if left <= 0:
                    break
                self._eased.wait(min(left, _LOOK_AGAIN_SOON_SECONDS if prefetch() else _LOOK_AGAIN_SECONDS))
            return 0

    def late_by(self, patience: float) -> float | None:
        """For how many seconds the first entry has waited although its time has come; 0 if none has. None if the lock
        was not free for `patience` seconds: then every thread is stuck."""
        if not self._changed.acquire(timeout=patience):
            return None
        try:
            first = min((at for at, _ in self._waiting.values()), default=None)
            return 0.0 if first is None else max(self._clock.elapsed() - first, 0.0)
        finally:
            self._changed.release()

    def is_idle(self) -> bool:
        """Nothing waits and nothing is being executed."""
        with self._changed:
            return not self._waiting and not self._busy

    def wait_until_idle(self, timeout: float) -> bool:
        """Block until nothing is being executed and nothing waits; False when `timeout` seconds were not enough."""
        with self._changed:
            return self._eased.wait_for(lambda: not self._waiting and not self._busy, timeout)

    def close(self) -> tuple[Entry, ...]:
        """Stop handing out. The entries that were waiting are returned, to be handed back."""
        with self._changed:
            self._closed = True
            left = tuple(entry for _, entry in self._waiting.values())
            self._waiting.clear()
            self._heap.clear()
            self._changed.notify_all()
            self._eased.notify_all()
            return left

    def _await_next(self) -> Entry | None:
        me = threading.get_ident()
        while not self._closed:
            self._forget_moved()
            if not self._heap:
                self._rest()
                continue
            delay = self._heap[0][0] - self._clock.elapsed()
            if delay <= 0:
                return self._pop()
            if self._leader is not None:
                self._rest()
                continue
            self._leader = me
            try:
                self._rest(delay)
            finally:
                if self._leader == me:
                    self._leader = None
        return None

    def _rest(self, timeout: float | None = None) -> None:
        self._resting += 1
        self._eased.notify_all()
        try:
            self._changed.wait(timeout)
        finally:
            self._resting -= 1

    def _is_low(self, prefetch: int) -> bool:
        if not self._resting and not prefetch:
            return False
        overdue = self.overdue()
        return self._resting > overdue or 0 < prefetch >= 2 * overdue

    def _add_again(self, entry: Entry, at: float) -> Entry | None:
        known_at, known = self._waiting[entry.activity_id]
        if entry.wake_up is None:
            entry = known
        if at < known_at:
            self._put(entry, at)
        else:
            self._waiting[entry.activity_id] = (known_at, entry)
        return known if known.wake_up not in (None, entry.wake_up) else None

    def _put(self, entry: Entry, at: float) -> None:
        self._waiting[entry.activity_id] = (at, entry)
        self._serial += 1
        heapq.heappush(self._heap, (at, self._serial, entry.activity_id))
        if self._heap[0][2] == entry.activity_id:
            # The leader waits for a later time than this one. Another thread takes its place.
            self._leader = None
            self._changed.notify()

    def _make_room(self, at: float) -> Entry | None:
        """Drop the latest entry, if it is later than `at`."""
        key, (latest, entry) = max(self._waiting.items(), key=lambda item: item[1][0])
        if latest <= at:
            return None
        del self._waiting[key]
        return entry

    def _pop(self) -> Entry:
        _, _, key = heapq.heappop(self._heap)
        _, entry = self._waiting.pop(key)
        self._busy.add(key)
        return entry

    def _forget_moved(self) -> None:
        """Drop heap items whose activity has an earlier time by now."""
        while self._heap:
            at, _, key = self._heap[0]
            if key in self._waiting and self._waiting[key][0] == at:
                return
            heapq.heappop(self._heap)
