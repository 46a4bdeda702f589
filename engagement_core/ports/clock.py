"""Time, as the domain is given it: it never asks the operating system itself."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from typing import Protocol

__all__ = ["Clock", "Deadline"]


class Clock(Protocol):
    """A local clock for durations. What is due is decided by the database's clock, never by this one."""

    def elapsed(self) -> float:
        """Seconds since an arbitrary origin; never goes back, and counts the time a machine was suspended."""
        ...


@dataclass(frozen=True, slots=True)
class Deadline:
    """The instant after which an attempt must have neither sent nor waited any more."""

    clock: Clock
    at: float

    @classmethod
    def after(cls, clock: Clock, duration: timedelta) -> Deadline:
        """The deadline that lies `duration` from now."""
        return cls(clock, clock.elapsed() + duration.total_seconds())

    def remaining(self) -> float:
        """Seconds left; zero or less when it has passed."""
        return self.at - self.clock.elapsed()
