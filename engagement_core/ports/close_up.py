"""Reads the activities that a person looks at first: what runs, what is late, what is unknown, what failed and why.

The one rule: it returns a few of each, and a read costs next to nothing, as with the overview.
"""

from __future__ import annotations

from typing import Protocol

from engagement_core.model.close_up import CloseUp

__all__ = ["CloseUpReader"]


class CloseUpReader(Protocol):
    """Reads them. Raises `StoreUnavailable` like the activity store."""

    def read(self) -> CloseUp:
        """What there is now."""
        ...
