"""A job that asks to wake up an activity, and how it is settled."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

__all__ = ["DeadLettered", "Done", "Later", "Settlement", "Unreadable", "WakeUp"]


@dataclass(frozen=True, kw_only=True, slots=True)
class WakeUp:
    """A job rang for an activity. `receipt` identifies the job to the queue that gave it."""

    activity_id: str
    receipt: str


@dataclass(frozen=True, kw_only=True, slots=True)
class Unreadable:
    """A job that names no activity. It is already in the dead-letter queue, with its raw form."""

    receipt: str
    reason: str
    raw: str


@dataclass(frozen=True, kw_only=True, slots=True)
class Done:
    """The wake-up needs nothing more. `status` and `note` are for queues that show what became of their jobs.

    `status` is the activity's public status or `missing`. `scheduled` means that the activity is held, or that another
    worker has it, and it is not known for how long. `note` says more, for people.
    """

    status: str = "executed"
    note: str = ""


@dataclass(frozen=True, kw_only=True, slots=True)
class Later:
    """The wake-up came early: ring again at `at`."""

    at: datetime


@dataclass(frozen=True, kw_only=True, slots=True)
class DeadLettered:
    """The activity became a dead letter, for `reason`."""

    reason: str


Settlement = Done | Later | DeadLettered
