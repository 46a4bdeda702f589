"""A doorbell without Redis, for tests and for the simulation.

The one rule: it never waits. Time is what the given clock says, so `receive` answers at once.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Sequence
from datetime import datetime, timedelta

from engagement_core.model.job import DeadLettered, Later, Settlement, Unreadable, WakeUp
from engagement_core.ports.queue import Queue, QueueUnavailable

__all__ = ["InMemoryQueue"]

_LONGEST_IN_QUEUE = timedelta(hours=1)


class InMemoryQueue(Queue):
    """A `Queue` in a few dictionaries.

    `dead_letters` maps activity ids to reasons, in the order in which they came. While `outage` is set, every method
    raises `QueueUnavailable` with it.
    """

    def __init__(self, now: Callable[[], datetime]) -> None:
        """`now`: the time, aware UTC."""
        self.dead_letters: dict[str, str] = {}
        self.outage: str | None = None
        self._now = now
        self._ready: list[str | Unreadable] = []
        self._scheduled: dict[str, datetime] = {}
        self._started: dict[str, str] = {}
        self._numbers = itertools.count(1)

    def lose_everything(self) -> None:
        """What a flush of Redis does."""
        self.dead_letters.clear()
        self._ready.clear()
        self._scheduled.clear()
        self._started.clear()

    def deliver_unreadable(self, raw: str, reason: str) -> None:
        """Let a producer ring with something that names no activity."""
        self._ready.append(Unreadable(receipt=f"unreadable:{next(self._numbers)}", reason=reason, raw=raw))

    def ring(self, activity_id: str, at: datetime) -> None:
        """See the port; a ring takes the activity's one job out of wherever it was."""
        self._require_available()
        self._forget(activity_id)
        if at <= self._now():
            self._ready.append(activity_id)
        else:
            self._scheduled[activity_id] = at.replace(microsecond=0)

    def receive(self, timeout: timedelta, *, at_most: int) -> tuple[WakeUp | Unreadable, ...]:
        """See the port."""
        self._require_available()
        return tuple(self._start() for _ in range(min(at_most, len(self._ready))))

    def interrupt(self) -> None:
        """See the port; nothing ever waits."""
        self._require_available()

    def settle(self, settlements: Sequence[tuple[WakeUp, Settlement]]) -> None:
        """See the port."""
        self._require_available()
        for wake_up, settlement in settlements:
            self._settle(wake_up, settlement)

    def bury(self, activity_id: str, reason: str) -> None:
        """See the port."""
        self._require_available()
        self._forget(activity_id)
        self.dead_letters[activity_id] = reason

    def unbury(self, activity_id: str) -> None:
        """See the port."""
        self._require_available()
        self.dead_letters.pop(activity_id, None)

    def advance(self, look_ahead: timedelta) -> int:
        """See the port."""
        self._require_available()
        until = self._now() + look_ahead
        due = sorted((at, activity_id) for activity_id, at in self._scheduled.items() if at <= until)
        for _, activity_id in due:
            del self._scheduled[activity_id]
            self._ready.append(activity_id)
        return len(due)

    def depth(self, *, at_most_old: timedelta = timedelta(0)) -> int:
        """See the port; it is always the present one."""
        self._require_available()
        return len(self._ready)

    def _start(self) -> WakeUp | Unreadable:
        first = self._ready.pop(0)
        if isinstance(first, Unreadable):
            self.dead_letters[first.receipt] = first.reason
            return first
        self._started[first] = f"{first}:{next(self._numbers)}"
        return WakeUp(activity_id=first, receipt=self._started[first])

    def _settle(self, wake_up: WakeUp, settlement: Settlement) -> None:
        activity_id = wake_up.activity_id
        if self._started.get(activity_id) == wake_up.receipt:
            del self._started[activity_id]
        rung_anew = activity_id in self._ready or activity_id in self._scheduled or activity_id in self._started
        if isinstance(settlement, DeadLettered):
            self.bury(activity_id, settlement.reason)
        elif isinstance(settlement, Later) and not rung_anew and settlement.at - self._now() <= _LONGEST_IN_QUEUE:
            self.ring(activity_id, settlement.at)

    def _forget(self, activity_id: str) -> None:
        self._ready = [entry for entry in self._ready if entry != activity_id]
        self._scheduled.pop(activity_id, None)
        self._started.pop(activity_id, None)
        self.dead_letters.pop(activity_id, None)

    def _require_available(self) -> None:
        if self.outage is not None:
            raise QueueUnavailable(self.outage)
