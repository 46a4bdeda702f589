"""What a pure function decides about a snapshot: a result, and the writes that the store applies in one transaction."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Generic, TypeVar

from engagement_core.model.attempt import Attempt, Provenance
from engagement_core.model.controls import Control
from engagement_core.model.dead_letter import DeadLetter
from engagement_core.model.errors import ErrorType
from engagement_core.model.snapshot import Snapshot

__all__ = [
    "AddDeadLetter",
    "Block",
    "CloseDeadLetter",
    "Decision",
    "ErrorNote",
    "MarkExecuted",
    "MarkFailed",
    "MarkScheduled",
    "RaiseAlert",
    "SaveAttempt",
    "Write",
    "as_it_is",
]


R_co = TypeVar("R_co", covariant=True)


@dataclass(frozen=True, kw_only=True, slots=True)
class ErrorNote:
    """The value of `last_error`, as the contract defines it."""

    error_type: ErrorType
    message: str
    timestamp: datetime
    will_retry: bool


@dataclass(frozen=True, slots=True)
class SaveAttempt:
    """Insert the attempt, or overwrite the one with its number. The store refuses if that one has another token."""

    attempt: Attempt


@dataclass(frozen=True, kw_only=True, slots=True)
class MarkScheduled:
    """The activity waits again. If nothing went wrong (a release), `error` is None and `last_error` stays as it was.

    `counts` says whether this was a failed attempt (`failure_count` grows).
    """

    activity_id: str
    next_retry_at: datetime | None
    error: ErrorNote | None = None
    counts: bool = False


@dataclass(frozen=True, kw_only=True, slots=True)
class MarkExecuted:
    """The engagement happened. `engagement_id` and `created_at` come from the provider; None if it gave none."""

    activity_id: str
    executed_at: datetime
    post_id: str
    engagement_id: str | None
    created_at: datetime | None
    provenance: Provenance
    comment_generated: str | None


@dataclass(frozen=True, kw_only=True, slots=True)
class MarkFailed:
    """The activity failed and is not tried again until a person says so. `counts`: see `MarkScheduled`."""

    activity_id: str
    executed_at: datetime
    error: ErrorNote
    counts: bool


@dataclass(frozen=True, slots=True)
class AddDeadLetter:
    """File the letter, or replace the one that is filed for this activity."""

    letter: DeadLetter


@dataclass(frozen=True, kw_only=True, slots=True)
class CloseDeadLetter:
    """Close the activity's letter: a person has dealt with it, or late evidence shows that it was executed."""

    activity_id: str
    closed_at: datetime
    resolution: str


@dataclass(frozen=True, slots=True)
class Block:
    """Put a control in force. If one of the same kind and scope is in force already, the later end applies."""

    control: Control


@dataclass(frozen=True, kw_only=True, slots=True)
class RaiseAlert:
    """Queue an alert in the outbox. If an incident with the same name (`incident`) is open, it only counts up.

    `message` is complete; `next_step` repeats what a person can do, for places that show it separately.
    """

    incident: str
    kind: str
    message: str
    activity_id: str | None
    next_step: str | None = None


Write = SaveAttempt | MarkScheduled | MarkExecuted | MarkFailed | AddDeadLetter | CloseDeadLetter | Block | RaiseAlert


@dataclass(frozen=True, slots=True)
class Decision(Generic[R_co]):
    """What a pure function decided: `result` for its caller, and `writes` to apply in this order."""

    result: R_co
    writes: tuple[Write, ...] = ()


def as_it_is(snapshot: Snapshot) -> Decision[Snapshot]:
    """The decision that changes nothing, for callers that only read."""
    return Decision(snapshot)
