"""Dead letters as a person reviews them. They change only through `ActivityStore.change`."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Protocol

from engagement_core.model.errors import ErrorType
from engagement_core.model.letter_file import FiledLetter, LetterFilter

__all__ = ["DeadLetters"]


class DeadLetters(Protocol):
    """Reads the open dead letters. Every method raises `StoreUnavailable` like the activity store."""

    def page(self, wanted: LetterFilter, *, limit: int, after: int = 0) -> tuple[FiledLetter, ...]:
        """Open letters with numbers above `after`, in the order in which they were filed, at most `limit`."""
        ...

    def count(self, wanted: LetterFilter) -> Mapping[ErrorType, int]:
        """How many open letters there are of each type, the most frequent first."""
        ...

    def find(self, activity_id: str) -> FiledLetter | None:
        """The open letter of an activity; None if there is none."""
        ...
