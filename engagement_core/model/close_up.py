"""The activities that a person looks at first: in flight, late, unknown, failed."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from engagement_core.model.errors import ErrorType
from engagement_core.model.lifecycle import Phase

__all__ = ["CloseUp", "Failed", "InFlight", "Late"]


@dataclass(frozen=True, kw_only=True, slots=True)
class InFlight:
    """An open attempt, since it was claimed or, once it began to send, since then. `next_at` is its deadline; of an
    unknown one, when it is looked for next."""

    activity_id: str
    phase: Phase
    worker_id: str
    since: datetime
    next_at: datetime | None


@dataclass(frozen=True, kw_only=True, slots=True)
class Late:
    """An activity whose time has come and gone, and that nobody works on."""

    activity_id: str
    due_at: datetime


@dataclass(frozen=True, kw_only=True, slots=True)
class Failed:
    """An open dead letter."""

    activity_id: str
    error_type: ErrorType
    message: str
    next_step: str
    buried_at: datetime


@dataclass(frozen=True, kw_only=True, slots=True)
class CloseUp:
    """The first of each: in flight and unknown by when something happens to them next, late since the longest, failed
    the latest first."""

    under_way: tuple[InFlight, ...] = ()
    unknown: tuple[InFlight, ...] = ()
    late: tuple[Late, ...] = ()
    failed: tuple[Failed, ...] = ()
