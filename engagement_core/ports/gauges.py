"""How high the water stands: what waits, what is unknown, what failed, who is alive.

The one rule: looking costs the same whatever there is. A count stops at `MOST_COUNTED`, which then means "more".
"""

from __future__ import annotations

from typing import Protocol

from engagement_core.model.gauges import Gauges

__all__ = ["GaugesReader"]


class GaugesReader(Protocol):
    """Looks. Raises `StoreUnavailable` like the activity store."""

    def read(self) -> Gauges:
        """What there is now."""
        ...
