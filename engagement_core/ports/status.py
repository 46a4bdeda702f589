"""The state of everything at a glance.

The one rule: reading must not cost more than what it shows. Nothing here may grow with the backlog, so a number that
would take long to count is an estimate, and says so.
"""

from __future__ import annotations

from typing import Protocol

from engagement_core.model.status import Status

__all__ = ["StatusReader"]


class StatusReader(Protocol):
    """Reads. Raises `StoreUnavailable` like the activity store."""

    def read(self) -> Status:
        """What there is now."""
        ...
