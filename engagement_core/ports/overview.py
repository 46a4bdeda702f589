"""The state of everything at a glance.

The one rule: a read must not cost more than what it shows. Its cost may not grow with the backlog, so a number that
would take long to count is an estimate, and says so.
"""

from __future__ import annotations

from typing import Protocol

from engagement_core.model.overview import Overview

__all__ = ["OverviewReader"]


class OverviewReader(Protocol):
    """Reads it. Raises `StoreUnavailable` like the activity store."""

    def read(self) -> Overview:
        """What there is now."""
        ...
