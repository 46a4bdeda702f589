"""The doorbell: jobs in Redis that say "look at this activity". They decide nothing and may be lost at any time.

There may also be no doorbell. An adapter that loses every job at once is a correct one: the sweep finds what is due.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Protocol

from engagement_core.model.job import Settlement, Unreadable, WakeUp

__all__ = ["Queue", "QueueUnavailable"]


class QueueUnavailable(Exception):
    """Redis cannot be reached or refuses us; the sweep works without it. The message says which and why."""


class Queue(Protocol):
    """Every method raises `QueueUnavailable` when Redis fails or cannot be reached, and nothing else."""

    def ring(self, activity_id: str, at: datetime) -> None:
        """Ask for a wake-up at `at` (whole seconds at best). Ringing twice for one activity keeps one job."""
        ...

    def receive(self, timeout: timedelta) -> WakeUp | Unreadable | None:
        """The next job that rang, or None after `timeout`. Safe to call from one thread at a time."""
        ...

    def settle(self, wake_up: WakeUp, settlement: Settlement) -> None:
        """Tell the queue what became of a wake-up, so that its own tools show the real state. Safe to repeat."""
        ...

    def bury(self, activity_id: str, reason: str) -> None:
        """Copy a dead letter into the dead-letter queue; one job per activity, however often it is called."""
        ...

    def unbury(self, activity_id: str) -> None:
        """Remove the copy of a dead letter that was requeued or resolved."""
        ...

    def advance(self, look_ahead: timedelta) -> int:
        """Move jobs whose time comes within `look_ahead` from the schedule to the ready queue. Returns how many."""
        ...

    def depth(self) -> int:
        """How many jobs are ready and not yet received."""
        ...
