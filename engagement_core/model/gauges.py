"""What waits, is unknown or failed, and who is alive. Reading these numbers costs the same whatever there is."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta

__all__ = ["MOST_COUNTED", "Gauges"]


MOST_COUNTED = 5_001


@dataclass(frozen=True, kw_only=True, slots=True)
class Gauges:
    """One look. `due` waits although its time has come, whatever keeps it waiting, and is not being executed;
    `oldest_due` for so long. `oldest_unknown` was sent so long ago. `dead_letters` are the open ones.
    """

    due: int
    oldest_due: timedelta | None
    unknown: int
    oldest_unknown: timedelta | None
    dead_letters: int
    workers_alive: int
