"""The doorbell: jobs in Redis that say "look at this activity". They decide nothing and may be lost at any time.

There may also be no doorbell. An adapter that loses every job at once is a correct one: the sweep finds what is due.
"""

from __future__ import annotations

from collections.abc import Sequence
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

    def receive(self, timeout: timedelta, *, at_most: int) -> tuple[WakeUp | Unreadable, ...]:
        """The next jobs that ring, `at_most` of them, in their order. It waits for one, not for more.

        Empty if none rang within `timeout`, or if `interrupt` was called meanwhile. One thread at a time may call it.
        """
        ...

    def interrupt(self) -> None:
        """End the wait of a `receive` in another thread. A job that comes at this moment is received, or rings again
        within minutes. If no `receive` waits, nothing happens: call it again until `receive` has returned."""
        ...

    def settle(self, settlements: Sequence[tuple[WakeUp, Settlement]]) -> None:
        """Tell the queue what became of wake-ups, so that its own tools show the real state. Safe to repeat.

        If Redis refuses one of them, the others are settled all the same before `QueueUnavailable` is raised.
        """
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

    def depth(self, *, at_most_old: timedelta = timedelta(0)) -> int:
        """How many jobs are ready and not yet received. A count that was read `at_most_old` ago will do."""
        ...
