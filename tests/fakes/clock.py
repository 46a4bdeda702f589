"""A clock that a test moves."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta, timezone

__all__ = ["InMemoryClock"]


@dataclass
class InMemoryClock:
    """Fills `engagement_core.ports.clock.Clock`, and tells the time of day that goes with it."""

    seconds: float = 0.0
    origin: datetime = datetime(2030, 1, 1, tzinfo=timezone.utc)

    def elapsed(self) -> float:
        """See the port."""
        return self.seconds

    def now(self) -> datetime:
        """The time of day: `origin` plus what has elapsed."""
        return self.origin + timedelta(seconds=self.seconds)

    def advance(self, duration: timedelta) -> None:
        """Let time pass."""
        self.seconds += duration.total_seconds()
