"""Time, as the domain receives it. The domain never asks the operating system."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from typing import Protocol

__all__ = ["Clock", "Deadline"]


class Clock(Protocol):
    """A local clock for durations. The database's clock, never this one, decides what is due."""

    def elapsed(self) -> float:
        """Seconds since an arbitrary origin. Never goes back; counts the time that the machine was suspended."""
        ...


@dataclass(frozen=True, slots=True)
class Deadline:
    """The time after which an attempt must neither send nor wait any more."""

    clock: Clock
    at: float

    @classmethod
    def after(cls, clock: Clock, duration: timedelta) -> Deadline:
        """The deadline that is `duration` from now."""
        return cls(clock, clock.elapsed() + duration.total_seconds())

    def remaining(self) -> float:
        """Seconds left; zero or less when it has passed."""
        return self.at - self.clock.elapsed()
