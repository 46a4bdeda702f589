"""A job that rang for an activity, and how it is settled."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

__all__ = ["DeadLettered", "Done", "Later", "Settlement", "Unreadable", "WakeUp"]


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
class DeadLettered:
    """The activity became a dead letter, for `reason`."""

    reason: str


Settlement = Done | Later | DeadLettered
