"""Adds activities: what E-03 creates and E-04 schedules, as far as this software does it itself.

The one rule: all or nothing. Nobody who adds a batch has to find out which half of it was added.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Protocol

from engagement_core.model.new_activity import NewActivity

__all__ = ["Intake", "IntakeRefused"]


class IntakeRefused(Exception):
    """The store refused one of the activities; none was added.

    `activity_id` is set if the id is wrong: it exists already, or the batch has it twice. `position` is the activity's
    place in the batch, from 1; `column` names the wrong value. Both are None if the store cannot tell.
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
        """Add all of them in one transaction, taking them one by one. Returns how many there were.

        An exception that the iterable raises is passed on unchanged, and nothing is added.

        Raises:
            IntakeRefused: one of them cannot be stored.
            StoreUnavailable: the database failed or could not be reached. If this happened at the very end, it is not
                known whether they were added: to add them again under the same ids is safe.
        """
        ...
