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
    """`last_error`, as the contract spells it."""

    error_type: ErrorType
    message: str
    timestamp: datetime
    will_retry: bool


@dataclass(frozen=True, slots=True)
class SaveAttempt:
    """Insert the attempt, or overwrite the one with its number, if that has its token: another's is refused."""

    attempt: Attempt


@dataclass(frozen=True, kw_only=True, slots=True)
class MarkScheduled:
    """It waits again. `error` is None when nothing went wrong (a release); then `last_error` stays as it was.

    `counts` says whether this was a failed attempt (`failure_count` grows).
    """

    activity_id: str
    next_retry_at: datetime | None
    error: ErrorNote | None = None
    counts: bool = False


@dataclass(frozen=True, kw_only=True, slots=True)
class MarkExecuted:
    """It happened. `engagement_id` and `created_at` are the provider's, where it gave them."""

    activity_id: str
    executed_at: datetime
    post_id: str
    engagement_id: str | None
    created_at: datetime | None
    provenance: Provenance
    comment_generated: str | None


@dataclass(frozen=True, kw_only=True, slots=True)
class MarkFailed:
    """It will not be tried again until a person says so. `counts`: see `MarkScheduled`."""

    activity_id: str
    executed_at: datetime
    error: ErrorNote
    counts: bool


@dataclass(frozen=True, slots=True)
class AddDeadLetter:
    """File it (or replace the one on file for this activity)."""

    letter: DeadLetter


@dataclass(frozen=True, kw_only=True, slots=True)
class CloseDeadLetter:
    """A person has dealt with it."""

    activity_id: str
    closed_at: datetime
    resolution: str


@dataclass(frozen=True, slots=True)
class Block:
    """Put a control in force. One that is already there for the same kind and scope keeps the later end."""

    control: Control


@dataclass(frozen=True, kw_only=True, slots=True)
class RaiseAlert:
    """Queue an alert in the outbox. One with the same `incident` that is still open is not raised again: it counts.

    `message` is complete; `next_step` says once more what a person can do, for whoever shows it apart.
    """

    incident: str
    kind: str
    message: str
    activity_id: str | None
    next_step: str | None = None


Write = SaveAttempt | MarkScheduled | MarkExecuted | MarkFailed | AddDeadLetter | CloseDeadLetter | Block | RaiseAlert


@dataclass(frozen=True, slots=True)
class Decision(Generic[R_co]):
    """What a pure function made of a snapshot: the value for its caller, and the writes to apply, in order."""

    result: R_co
    writes: tuple[Write, ...] = ()


def as_it_is(snapshot: Snapshot) -> Decision[Snapshot]:
    """The decision that changes nothing, for whoever only wants to look."""
    return Decision(snapshot)
