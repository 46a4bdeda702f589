"""The gauges: how much waits, is unknown or failed, and how many workers are alive.

The one rule: reading them costs the same, however much there is.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta

__all__ = ["MOST_COUNTED", "Gauges"]


MOST_COUNTED = 5_001


@dataclass(frozen=True, kw_only=True, slots=True)
class Gauges:
    """One reading of the gauges.

    `due` counts activities whose time has come and that are not being executed, for whatever reason; `oldest_due` is
    how long the oldest of them has waited. `runnable` counts those among them that nothing blocks: more workers would
    execute them sooner. `unknown` counts unknown outcomes; `oldest_unknown` is how long ago the
    oldest of them was sent. `dead_letters` counts the open ones.
    """

    due: int
    runnable: int
    oldest_due: timedelta | None
    unknown: int
    oldest_unknown: timedelta | None
    dead_letters: int
    workers_alive: int
