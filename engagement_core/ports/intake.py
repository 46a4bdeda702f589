"""Where activities come in: what E-03 creates and E-04 schedules, as far as this software does it itself.

The one rule: all or nothing. Whoever adds a batch never has to find out which half of it is there.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Protocol

from engagement_core.model.new_activity import NewActivity

__all__ = ["Intake", "IntakeRefused"]


class IntakeRefused(Exception):
    """The store does not take one of the activities; none was added.

    `activity_id` is set where the id is what is wrong (it is taken, or comes twice). `position` is which activity of
    the batch it was, from 1, and `column` which of its values, where the store can tell.
    """

    def __init__(
        self, message: str, *, activity_id: str | None = None, position: int | None = None, column: str | None = None
    ) -> None:
        super().__init__(message)
        self.activity_id = activity_id
        self.position = position
        self.column = column


class Intake(Protocol):
    """Adds activities in status scheduled."""

    def add(self, activities: Iterable[NewActivity]) -> int:
        """Add all of them in one transaction, taking them one by one; how many there were.

        An exception that the iterable raises comes out as it is, and nothing is added.

        Raises:
            IntakeRefused: one of them cannot be stored.
            StoreUnavailable: the database did not do its part. If it was lost at the very end, whether they were added
                is not known: adding them again under the same ids is safe.
        """
        ...
