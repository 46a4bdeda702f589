"""Holds the activities that are due in the next seconds, and hands each out to the millisecond.

The one rule: its entries are hints. An entry may be lost, doubled or wrong without harm, because only the claim
decides. So the queue is bounded, and a drain hands its entries back.

Accounts share it. Whoever has the most entries gives way when it is full. An account with half of the threads gives way
to others; one that is saturated waits where it is, and occupies no thread.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace

from engagement_core.model.job import WakeUp
from engagement_core.ports.clock import Clock
from engagement_core.use_cases.bulkhead import AccountBulkhead
from runners.worker.account_lines import AccountLines, Place
from runners.worker.thread_shares import ThreadShares

__all__ = ["DelayQueue", "Entry"]

_LOOK_AGAIN_SECONDS = 0.25
_LOOK_AGAIN_SOON_SECONDS = 0.02
"""While the threads are fast: entries leave one by one, and nobody is woken for each."""


@dataclass(frozen=True, slots=True)
class Entry:
    """An activity, the job that rang for it, if one did, and the account that will act, if it is known."""

    activity_id: str
    wake_up: WakeUp | None = None
    account_id: str | None = None

    def completed_by(self, known: Entry) -> Entry:
        """This entry, with what only an earlier one of the same activity knows."""
        wake_up, account_id = self.wake_up or known.wake_up, self.account_id or known.account_id
        for each in (self, known):
            if (each.wake_up, each.account_id) == (wake_up, account_id):
                return each
        return replace(self, wake_up=wake_up, account_id=account_id)


class DelayQueue:
    """Entries in the order of their time. Safe to use from several threads.

    Of the threads that wait, one is the leader: only it is woken when the next entry's time comes.
    """

    def __init__(
        self, clock: Clock, *, capacity: int = 1_000, bulkhead: AccountBulkhead | None = None, threads: int = 0
    ) -> None:
        """
        Args:
            clock: measures time.
            capacity: how many entries it holds at most; the sweep brings the others when there is room.
            bulkhead: knows the running calls of each account; None if accounts share no threads.
            threads: how many threads one account may have, if nobody else waits.
        """
        self._clock = clock
        self._capacity = capacity
        self._shares = ThreadShares(bulkhead=bulkhead, threads=threads)
        self._lines = AccountLines()
        self._waiting: dict[str, Entry] = {}
        self._finished: set[str] | None = None
        self._goal = -1
        lock = threading.RLock()
        self._changed = threading.Condition(lock)
        # A condition of its own for those who wait for the others: a new entry must wake a thread that executes.
        self._eased = threading.Condition(lock)
        self._resting = 0
        self._leader: int | None = None
        self._closed = False

    @property
    def capacity(self) -> int:
        """How many entries it holds at most."""
        return self._capacity

    def add(self, entry: Entry, at: float) -> Entry | None:
        """Hand the entry out at `at` on the clock. An activity that is there already keeps the earlier time and the
        latest job. If there is no room, the latest entry of the account with the most entries is dropped.

        Returns:
            The entry that has no place; the caller settles its job. It is this entry if its activity is being executed
            or was finished while it was read (`reading`), the entry that was dropped, or the earlier entry of the same
            activity with a job of its own. None if all have a place.
        """
        with self._changed:
            if self._closed or entry.activity_id in self._shares or self._is_stale(entry):
                return entry
            if entry.activity_id in self._waiting:
                return self._add_again(entry, at)
            left = None
            if len(self._waiting) >= self._capacity:
                left = self._make_room(entry, at)
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
                if self._lines and self._leader is None:
                    self._changed.notify()

    def take_now(self, last: Entry) -> Entry | None:
        """The next entry if its time has come, for a thread that has done its part for `last`, which ends together with
        it. `done` must follow for both."""
        with self._changed:
            self._shares.yields(last.activity_id)
            now = self._clock.elapsed()
            first = self._first(now) if self._lines and not self._closed else None
            return None if first is None or first.at > now else self._pop(first)

    @contextmanager
    def reading(self) -> Iterator[None]:
        """A sweep reads within this block, and adds what it found. An activity that is finished meanwhile may have been
        read before that: its entry is not taken."""
        with self._changed:
            self._finished = set()
        try:
            yield
        finally:
            with self._changed:
                self._finished = None

    def done(self, entry: Entry, again_at: float | None = None) -> Entry | None:
        """The activity is not being executed any more. If `again_at` is given, it is handed out again then; the delay
        queue does not look idle in between. Returns the entry that has no place: this one, or what `add` returned."""
        with self._changed:
            self._shares.end(entry.activity_id)
            if again_at is None and self._finished is not None:
                self._finished.add(entry.activity_id)
            left = entry if again_at is None else self.add(entry, again_at)
            if self._shares.has_passed_over:
                # Its account has room again, and a thread that waits for the time of another entry may begin this one.
                self._shares.has_passed_over, self._leader = False, None
                self._changed.notify()
            if self.is_idle():
                self._eased.notify_all()
            return left

    def overdue(self) -> int:
        """How many entries could go if a thread were free, because their time has come and their account has room."""
        with self._changed:
            now = self._clock.elapsed()
            return sum(place.at <= now for place in self._takeable())

    def others_wait(self) -> bool:
        """Whether an entry waits for a thread although its time has come, and its account has less than its share."""
        with self._changed:
            first = self._lines.first(self._shares.has_less_than_its_share) if self._lines else None
            return first is not None and first.at <= self._clock.elapsed()

    def await_half(self, timeout: float) -> None:
        """Block until half of the entries that can go have gone, or for `timeout` seconds."""
        with self._changed:
            saturated = self._shares.saturated()
            can_go = sum(place.account_id not in saturated for place in self._lines.places())
            self._goal = len(self._waiting) - max((can_go + 1) // 2, 1)
            self._eased.wait_for(lambda: self._closed or len(self._waiting) <= self._goal, timeout)
            self._goal = -1

    def room(self, prefetch: Callable[[], int]) -> int:
        """How many more entries that are due it can use: one for each free thread, or as many as make `prefetch()` that
        wait for one. 0 when it is closed."""
        with self._changed:
            return 0 if self._closed else max(self._resting - self.overdue(), prefetch() - self._ready(), 0)

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
            first = min((place.at for place in self._takeable()), default=None)
            return 0.0 if first is None else max(self._clock.elapsed() - first, 0.0)
        finally:
            self._changed.release()

    def is_idle(self) -> bool:
        """Nothing waits and nothing is being executed."""
        with self._changed:
            return not self._waiting and not self._shares

    def wait_until_idle(self, timeout: float) -> bool:
        """Block until nothing is being executed and nothing waits; False when `timeout` seconds were not enough."""
        with self._changed:
            return self._eased.wait_for(lambda: not self._waiting and not self._shares, timeout)

    def close(self) -> tuple[Entry, ...]:
        """Stop handing out. The entries that were waiting are returned, to be handed back."""
        with self._changed:
            self._closed = True
            left = tuple(self._waiting.values())
            self._waiting.clear()
            self._lines = AccountLines()
            self._changed.notify_all()
            self._eased.notify_all()
            return left

    def _await_next(self) -> Entry | None:
        me = threading.get_ident()
        while not self._closed:
            if not self._lines:
                self._rest()
                continue
            now = self._clock.elapsed()
            first = self._first(now)
            if first is None:
                self._rest()
                continue
            delay = first.at - now
            if delay <= 0:
                return self._pop(first)
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
        return self._resting > self.overdue() or 0 < prefetch >= 2 * self._ready()

    def _ready(self) -> int:
        """How many entries wait although their time has come, also for an account that has every thread. Those of a
        saturated one wait for something else."""
        now, saturated = self._clock.elapsed(), self._shares.saturated()
        return sum(place.at <= now and place.account_id not in saturated for place in self._lines.places())

    def _first(self, now: float) -> Place | None:
        """Whose turn it is, or will be. Who has its share of the threads goes after all others whose time has come."""
        first = self._lines.first(self._shares.has_room)
        if first is None or first.at > now or self._shares.has_less_than_its_share(first.account_id):
            return first
        other = self._lines.first(self._shares.has_less_than_its_share)
        return first if other is None or other.at > now else other

    def _takeable(self) -> Iterator[Place]:
        full = self._shares.full()
        return (place for place in self._lines.places() if place.account_id not in full)

    def _is_stale(self, entry: Entry) -> bool:
        return entry.wake_up is None and self._finished is not None and entry.activity_id in self._finished

    def _add_again(self, entry: Entry, at: float) -> Entry | None:
        known, known_at = self._waiting[entry.activity_id], self._lines.place_of(entry.activity_id).at
        entry = entry.completed_by(known)
        if at < known_at or entry.account_id != known.account_id:
            self._put(entry, min(at, known_at))
        else:
            self._waiting[entry.activity_id] = entry
        return known if known.wake_up not in (None, entry.wake_up) else None

    def _put(self, entry: Entry, at: float) -> None:
        self._waiting[entry.activity_id] = entry
        self._lines.put(entry.activity_id, at, entry.account_id)
        first = self._lines.first(self._shares.has_room)
        if first is not None and first.activity_id == entry.activity_id:
            # The leader waits for a later time than this one. Another thread takes its place.
            self._leader = None
            self._changed.notify()

    def _make_room(self, entry: Entry, at: float) -> Entry | None:
        """Drop the latest entry of the account that has the most, if that is another one. Else, or if all have the same
        number, drop the latest entry only if it is later than this one."""
        largest, own = self._lines.largest(), self._lines.size(entry.account_id)
        if self._lines.size(largest) > own + 1:
            latest = self._lines.latest(largest)
        else:
            latest = self._lines.latest(entry.account_id) if own else max(self._lines.places())
            if latest.at <= at:
                return None
        self._lines.remove(latest.activity_id)
        return self._waiting.pop(latest.activity_id)

    def _pop(self, place: Place) -> Entry:
        self._lines.remove(place.activity_id)
        entry = self._waiting.pop(place.activity_id)
        self._shares.begin(place.activity_id, place.account_id)
        if len(self._waiting) <= self._goal:
            self._eased.notify_all()
        return entry
