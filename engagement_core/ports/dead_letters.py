"""Dead letters as a person reviews them. They change only through `ActivityStore.change`."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

from engagement_core.errors import ErrorType
from engagement_core.ports.activities import DeadLetter

__all__ = ["DeadLetters", "FiledLetter", "LetterFilter"]


@dataclass(frozen=True, kw_only=True, slots=True)
class LetterFilter:
    """Which letters; what is None does not matter. `since` is the earliest `buried_at`."""

    error_type: ErrorType | None = None
    pod_id: str | None = None
    account_id: str | None = None
    since: datetime | None = None


@dataclass(frozen=True, kw_only=True, slots=True)
class FiledLetter:
    """An open letter in its file. `number` grows with every letter that is filed."""

    number: int
    letter: DeadLetter
    pod_id: str | None
    account_id: str | None


class DeadLetters(Protocol):
    """Reads the open dead letters. Every method raises `StoreUnavailable` like the activity store."""

    def page(self, wanted: LetterFilter, *, limit: int, after: int = 0) -> tuple[FiledLetter, ...]:
        """Open letters in the order in which they were filed, at most `limit`, with numbers above `after`."""
        ...

    def count(self, wanted: LetterFilter) -> Mapping[ErrorType, int]:
        """How many open letters there are of each type, the most frequent first."""
        ...

    def find(self, activity_id: str) -> FiledLetter | None:
        """The open letter of an activity."""
        ...
