"""How a step, and so an execution, can end. A closed set of values instead of exceptions for what is to be expected.

The one rule: the kind of an outcome is a field, a word that logs, metrics and job results show. It never changes.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import timedelta
from enum import Enum
from typing import ClassVar

from engagement_core.model.activity import EngagementType
from engagement_core.model.attempt import Provenance
from engagement_core.model.errors import Failure

__all__ = ["Buried", "Deferred", "Dropped", "Executed", "Outcome", "OutcomeKind", "Unknown"]


class OutcomeKind(str, Enum):
    """The five ways to end, in the words that logs show."""

    EXECUTED = "executed"
    DEFERRED = "waits"
    BURIED = "buried"
    UNKNOWN = "unknown"
    DROPPED = "dropped"


@dataclass(frozen=True, kw_only=True, slots=True)
class Executed:
    """The engagement has happened; `provenance` is the proof. Its type is for metrics."""

    kind: ClassVar[OutcomeKind] = OutcomeKind.EXECUTED
    provenance: Provenance
    engagement_type: EngagementType | None = field(default=None, compare=False)

    @property
    def reason(self) -> None:
        """It needs none."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Deferred:
    """Not now. It is tried again after `again_in`; None: when the sweep finds it ready. `saturated` names the account
    if it waits only because that one has its share of the threads."""

    kind: ClassVar[OutcomeKind] = OutcomeKind.DEFERRED
    again_in: timedelta | None
    reason: str
    saturated: str | None = field(default=None, compare=False)


@dataclass(frozen=True, kw_only=True, slots=True)
class Buried:
    """It became a dead letter."""

    kind: ClassVar[OutcomeKind] = OutcomeKind.BURIED
    failure: Failure

    @property
    def reason(self) -> str:
        """What failed."""
        return self.failure.message


@dataclass(frozen=True, kw_only=True, slots=True)
class Unknown:
    """It may or may not have happened. It is read back before anything else is done."""

    kind: ClassVar[OutcomeKind] = OutcomeKind.UNKNOWN
    failure: Failure

    @property
    def reason(self) -> str:
        """Why nobody knows."""
        return self.failure.message


@dataclass(frozen=True, kw_only=True, slots=True)
class Dropped:
    """There is nothing more to do for this wake-up. `status` is the activity's, if it is known to have changed."""

    kind: ClassVar[OutcomeKind] = OutcomeKind.DROPPED
    reason: str
    status: str = "scheduled"


Outcome = Executed | Deferred | Buried | Unknown | Dropped
