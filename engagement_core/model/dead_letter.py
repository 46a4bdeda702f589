"""An activity that failed for good and needs a person."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from engagement_core.model.errors import Effect, ErrorType

__all__ = ["DeadLetter"]


@dataclass(frozen=True, kw_only=True, slots=True)
class DeadLetter:
    """An activity that needs a person. `effect` is unknown if it is not known whether the engagement happened."""

    activity_id: str
    error_type: ErrorType
    message: str
    effect: Effect
    buried_at: datetime
    next_step: str
