"""Reads the gauges: how much waits, is unknown or failed, and how many workers are alive.

The one rule: a read costs the same, however much there is. A count stops at `MOST_COUNTED`, which then means "more".
"""

from __future__ import annotations

from typing import Protocol

from engagement_core.model.gauges import Gauges

__all__ = ["GaugesReader"]


class GaugesReader(Protocol):
    """Reads them. Raises `StoreUnavailable` like the activity store."""

    def read(self) -> Gauges:
        """What there is now."""
        ...
