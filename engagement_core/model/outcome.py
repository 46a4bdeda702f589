"""How a step, and so an execution, can end. A closed set of values instead of exceptions for what is to be expected."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import timedelta

from engagement_core.model.activity import EngagementType
from engagement_core.model.attempt import Provenance
from engagement_core.model.errors import Failure

__all__ = ["Buried", "Deferred", "Dropped", "Executed", "Outcome", "Unknown"]


@dataclass(frozen=True, kw_only=True, slots=True)
class Executed:
    """The engagement has happened, as `provenance` proves. Its type is for those who count."""

    provenance: Provenance
    engagement_type: EngagementType | None = field(default=None, compare=False)


@dataclass(frozen=True, kw_only=True, slots=True)
class Deferred:
    """Not now: again in `again_in`, or (None) when the sweep finds it ready."""

    again_in: timedelta | None
    reason: str


@dataclass(frozen=True, kw_only=True, slots=True)
class Buried:
    """It became a dead letter."""

    failure: Failure


@dataclass(frozen=True, kw_only=True, slots=True)
class Unknown:
    """It may or may not have happened; it is reconciled before anything else is done."""

    failure: Failure


@dataclass(frozen=True, kw_only=True, slots=True)
class Dropped:
    """There is nothing (more) to do for this wake-up. `status`: the activity's, where it is known to have changed."""

    reason: str
    status: str = "scheduled"


Outcome = Executed | Deferred | Buried | Unknown | Dropped
