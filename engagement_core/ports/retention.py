"""Deletes what nobody needs any more: delivered alerts of ended incidents, and lifted controls, after a while."""

from __future__ import annotations

from datetime import timedelta
from typing import Protocol

__all__ = ["Retention"]


class Retention(Protocol):
    """Deletes old rows. The one rule: nothing is deleted that is open, in force, undelivered or evidence of a send."""

    def forget(self, *, older_than: timedelta, limit: int) -> int:
        """Delete alerts that were delivered and whose incident is over, and controls that were lifted, both for longer
        than `older_than`; at most `limit` rows of each. Returns how many rows were deleted.

        Raises:
            StoreUnavailable: the database failed or could not be reached.
        """
        ...
