"""The doorbell: jobs in Redis that say "look at this activity". They carry no truth and may be lost at any time."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Protocol

__all__ = ["Buried", "Done", "Later", "Queue", "QueueUnavailable", "Settlement", "Unreadable", "WakeUp"]


class QueueUnavailable(Exception):
    """Redis cannot be reached or refuses us; the sweep goes on without it. The message says which and why."""


@dataclass(frozen=True, kw_only=True, slots=True)
class WakeUp:
    """A job rang for an activity. `receipt` names the job to the queue that gave it."""

    activity_id: str
    receipt: str


@dataclass(frozen=True, kw_only=True, slots=True)
class Unreadable:
    """A job that names no activity; it already lies in the dead-letter queue with its raw form."""

    receipt: str
    reason: str
    raw: str


@dataclass(frozen=True, kw_only=True, slots=True)
class Done:
    """The wake-up has served its purpose. `status` and `note` are for queues that show what became of their jobs.

    `status` is the activity's public one (`scheduled`: it is held or in other hands, and nobody knows until when), or
    `missing`; `note` says more, for people.
    """

    status: str = "executed"
    note: str = ""


@dataclass(frozen=True, kw_only=True, slots=True)
class Later:
    """It came early: ring again at `at`."""

    at: datetime


@dataclass(frozen=True, kw_only=True, slots=True)
class Buried:
    """The activity became a dead letter, for `reason`."""

    reason: str


Settlement = Done | Later | Buried


class Queue(Protocol):
    """Every method raises `QueueUnavailable` when Redis does not do its part, and nothing else."""

    def ring(self, activity_id: str, at: datetime) -> None:
        """Ask for a wake-up at `at` (whole seconds at best). Ringing twice for one activity keeps one job."""
        ...

    def receive(self, timeout: timedelta) -> WakeUp | Unreadable | None:
        """The next job that rang, or None after `timeout`. Safe to call from one thread at a time."""
        ...

    def settle(self, wake_up: WakeUp, settlement: Settlement) -> None:
        """Tell the queue what became of a wake-up, so that its own tools show the truth. Safe to repeat."""
        ...

    def bury(self, activity_id: str, reason: str) -> None:
        """Mirror a dead letter into the dead-letter queue; one job per activity, however often it is called."""
        ...

    def unbury(self, activity_id: str) -> None:
        """Remove the mirror of a dead letter that was requeued or resolved."""
        ...

    def advance(self, look_ahead: timedelta) -> int:
        """Move jobs whose time comes within `look_ahead` from the schedule to the ready queue; how many."""
        ...

    def depth(self) -> int:
        """How many jobs are ready and not yet received."""
        ...
