"""How high the water stands: what waits, what is unknown, what failed, who is alive.

The one rule: looking costs the same whatever there is. A count stops at `MOST_COUNTED`, which then means "more".
"""

from __future__ import annotations

from typing import Protocol

from engagement_core.model.gauges import Levels

__all__ = ["LevelsReader"]


class LevelsReader(Protocol):
    """Looks. Raises `StoreUnavailable` like the activity store."""

    def look(self) -> Levels:
        """What there is now."""
        ...
