"""The state of everything at a glance.

The one rule: looking must not cost more than what it shows. Nothing here may grow with the backlog, so a number that
would take long to count is an estimate, and says so.
"""

from __future__ import annotations

from typing import Protocol

from engagement_core.model.overview import Overview

__all__ = ["OverviewReader"]


class OverviewReader(Protocol):
    """Looks. Raises `StoreUnavailable` like the activity store."""

    def read(self) -> Overview:
        """What there is now."""
        ...
