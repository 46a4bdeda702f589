"""Dead letters as they are filed, and the filter that finds them."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from engagement_core.model.dead_letter import DeadLetter
from engagement_core.model.errors import ErrorType

__all__ = ["FiledLetter", "LetterFilter"]


@dataclass(frozen=True, kw_only=True, slots=True)
class LetterFilter:
    """Which letters to find. A field that is None matches every letter. `since` is the earliest `buried_at`."""

    error_type: ErrorType | None = None
    pod_id: str | None = None
    account_id: str | None = None
    since: datetime | None = None


@dataclass(frozen=True, kw_only=True, slots=True)
class FiledLetter:
    """An open letter as it is filed. `number` grows with every letter that is filed."""

    number: int
    letter: DeadLetter
    pod_id: str | None
    account_id: str | None
