"""No doorbell: the sweep alone finds what is due, and one server less is needed (`POD_ENGAGEMENT_QUEUE=none`).

The one rule: it accepts everything and keeps nothing. A queue may lose its jobs at any time, so nobody who rings can
tell the difference.
"""

from __future__ import annotations

import threading
from collections.abc import Sequence
from datetime import datetime, timedelta

from engagement_core.model.job import Settlement, Unreadable, WakeUp

__all__ = ["NoQueue"]


class NoQueue:
    """Fills `engagement_core.ports.queue.Queue`. It is never unavailable."""

    def __init__(self) -> None:
        self._interrupted = threading.Event()

    def ring(self, activity_id: str, at: datetime) -> None:
        """See the port."""

    def receive(self, timeout: timedelta, *, at_most: int) -> tuple[WakeUp | Unreadable, ...]:  # noqa: ARG002 - the port's
        """See the port. It waits for the whole `timeout`: whoever listens again and again must not spin."""
        self._interrupted.clear()
        self._interrupted.wait(timeout.total_seconds())
        return ()

    def interrupt(self) -> None:
        """See the port."""
        self._interrupted.set()

    def settle(self, settlements: Sequence[tuple[WakeUp, Settlement]]) -> None:
        """See the port."""

    def bury(self, activity_id: str, reason: str) -> None:
        """See the port. The dead letter itself is in PostgreSQL."""

    def unbury(self, activity_id: str) -> None:
        """See the port."""

    def advance(self, look_ahead: timedelta) -> int:  # noqa: ARG002 - as the port calls it
        """See the port."""
        return 0

    def depth(self, *, at_most_old: timedelta = timedelta(0)) -> int:  # noqa: ARG002 - as the port calls it
        """See the port."""
        return 0

    def close(self) -> None:
        """There is nothing to close."""
