"""The truth: activities, their attempts, and the one way in which they change.

The one rule: *lock, show, decide, apply*. Every change of an activity, whoever asks for it, goes through
`ActivityStore.change`: the store locks the activity, shows what it knows (`Snapshot`), lets a pure function decide, and
applies the writes that the function returned, all in one transaction. So the decisions are pure, there is one place
that can race, and the fake needs no logic of its own.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Generic, Protocol, TypeVar

from engagement_core.activity import Account, Activity, Malformed, Pod, VoiceCartridge
from engagement_core.attempt import Attempt, Provenance, first_began
from engagement_core.errors import Effect, ErrorType
from engagement_core.lifecycle import Phase
from engagement_core.vocabulary import OpenWord

__all__ = [
    "FOREIGN_FOR",
    "NEIGHBOURS_FOR",
    "PACED_FOR",
    "PACED_PER_SWEEP",
    "ActivityStore",
    "AddDeadLetter",
    "Block",
    "BlockScope",
    "CloseDeadLetter",
    "Control",
    "ControlKind",
    "DeadLetter",
    "Decision",
    "Due",
    "ErrorNote",
    "MarkExecuted",
    "MarkFailed",
    "MarkScheduled",
    "Orphan",
    "Pace",
    "RaiseAlert",
    "SaveAttempt",
    "Snapshot",
    "StoreRefused",
    "StoreUnavailable",
    "Write",
    "as_it_is",
]

R_co = TypeVar("R_co", covariant=True)
T = TypeVar("T")


class StoreUnavailable(Exception):
    """The database cannot be reached, or broke the connection: whether the last change was applied is not known.

    The message says what happened and carries no credentials.
    """


class StoreRefused(StoreUnavailable):
    """The database is there and refused the change: nothing of it was applied.

    A rule of the tables (a trigger, a constraint, a type) forbids it, or swallowed a write. The message is in the
    database's words; `code` is its name for the kind of refusal (an SQLSTATE), the same for all of one kind.
    """

    def __init__(self, message: str, *, code: str = "") -> None:
        super().__init__(message)
        self.code = code


class ControlKind(OpenWord):
    """Why a scope is blocked."""

    PAUSE = "pause"
    COOL_DOWN = "cool_down"
    HOLD = "hold"
    CAP = "cap"


class BlockScope(OpenWord):
    """What a control blocks."""

    ALL = "all"
    POD = "pod"
    ACCOUNT = "account"


@dataclass(frozen=True, kw_only=True, slots=True)
class Control:
    """A row of `engagement_controls` that is in force. `until` is None for one that a person must lift."""

    kind: ControlKind
    scope: BlockScope
    scope_id: str
    until: datetime | None
    reason: str


@dataclass(frozen=True, kw_only=True, slots=True)
class DeadLetter:
    """An activity that needs a person. `effect` is unknown when nobody could tell whether it happened."""

    activity_id: str
    error_type: ErrorType
    message: str
    effect: Effect
    buried_at: datetime
    next_step: str


PACED_FOR = timedelta(minutes=10)
"""How long an account comes back slowly at most: as long as the cool-down or the hold lasted that has ended or was
lifted, up to this. Who was asked to wait a second has no backlog that could harm."""

PACED_PER_SWEEP = 10
"""How many activities of such an account are found at once: more could not begin before the next sweep, and would only
be looked at again and again."""


FOREIGN_FOR = timedelta(days=1)
"""How long the workers of a newer release have to settle what they left; then a person is asked."""

NEIGHBOURS_FOR = timedelta(days=1)
"""How long before an activity was first sent its neighbours may have begun; see `Snapshot.neighbours`."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Pace:
    """An account that comes back slowly: it was released at `released_at`, a shorter time ago than it had been kept
    back (see `PACED_FOR`), and its sends begin `spacing` apart. `last_began_at` is the latest of the last 24 hours,
    `last_claimed_at` that of the claims that are prepared at present."""

    released_at: datetime
    last_began_at: datetime | None
    spacing: timedelta
    last_claimed_at: datetime | None = None


@dataclass(frozen=True, kw_only=True, slots=True)
class Snapshot:
    """What the store knows of one activity while it is locked. `now` is the database's clock, the only one for leases.

    `attempts` are all of it, by number. `controls` are those in force for its pod, its account or everything.
    `account` is the one that acts: the profile's, or the pod's when no profile is named; None when there is none.
    `sent_in_last_day` counts the account's sends of the last 24 hours, and only when the account has a daily limit.
    `pace` is there while the account comes back slowly. What is said of the account's own sends and controls is then,
    as with a daily limit, read under a lock of the account's own: two of its sends never begin from the same facts.
    An activity that is being sent has the gate behind it: it may be shown without either, and waits for no such lock.
    `credited` are those of the provider's ids that were asked about and that another activity already has on the same
    post, by the same account. (Elsewhere, or in a provider's next life, an id may come again.)
    `neighbours` are shown with them: the attempts of other activities at a comment by the same account on the same
    post that may have had an effect, or had it; none that began more than `NEIGHBOURS_FOR` before this activity's first
    sending.
    """

    now: datetime
    activity: Activity | Malformed | None
    pod: Pod | None = None
    account: Account | None = None
    cartridge: VoiceCartridge | None = None
    attempts: tuple[Attempt, ...] = ()
    controls: tuple[Control, ...] = ()
    sent_in_last_day: int = 0
    pace: Pace | None = None
    credited: frozenset[str] = frozenset()
    neighbours: tuple[Attempt, ...] = ()

    @property
    def is_claimed(self) -> bool:
        """The latest attempt is being prepared."""
        return bool(self.attempts) and self.attempts[-1].phase is Phase.CLAIMED

    @property
    def is_being_sent(self) -> bool:
        """The latest attempt has begun, and nobody has said how it ended."""
        return bool(self.attempts) and self.attempts[-1].phase is Phase.SENDING

    @property
    def first_began_at(self) -> datetime:
        """When the activity was first sent; now, if it never was."""
        return first_began(self.attempts) or self.now

    @property
    def account_id(self) -> str | None:
        """The account that acted; the one that would, while none has."""
        if self.attempts:
            return self.attempts[-1].account_id
        return None if self.account is None else self.account.id

    @property
    def post_id(self) -> str:
        """The post that was acted on: its row may name another one by now. Empty when there is nothing to act on."""
        if self.attempts:
            return self.attempts[-1].post_id
        return self.activity.post_id if isinstance(self.activity, Activity) else ""


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


@dataclass(frozen=True, kw_only=True, slots=True)
class Due:
    """An activity that waits for its time; `due_in` is measured on the database's clock at the time of the read."""

    activity_id: str
    due_in: timedelta


@dataclass(frozen=True, kw_only=True, slots=True)
class Orphan:
    """An open attempt that nobody works on any more. `crashed`: its worker is silent; it lives otherwise, and has not
    recorded what became of the attempt."""

    activity_id: str
    number: int
    reason: str
    crashed: bool = True


class ActivityStore(Protocol):
    """Every method raises `StoreUnavailable` when the database does not do its part."""

    def change(
        self, activity_id: str, decide: Callable[[Snapshot], Decision[T]], *, crediting: tuple[str, ...] | None = None
    ) -> T:
        """Lock the activity, show it, apply what `decide` returns; durable when this returns.

        Concurrent changes of one activity happen one after the other, each seeing the one before. `decide` must be
        quick and pure: it runs while the row is locked, and may run again. Nothing is written if it raises.
        A row that could not be locked is not shown: there is no such activity then. Rows that share one id are shown
        as one that is malformed. A write that changes no row is refused (`StoreRefused`), and all others with it.
        A decision that puts an account on hold is made alone: of two at a time, the second sees the first one's hold.
        `crediting` names the provider's ids that the decision may credit to this activity, and is None for one that
        credits nothing: two decisions about one id never overlap, `Snapshot.credited` shows those that another activity
        has, and `Snapshot.neighbours` is filled.
        """
        ...

    def due(self, *, look_ahead: timedelta, limit: int) -> tuple[Due, ...]:
        """Scheduled activities whose time comes within `look_ahead`, the earliest first, at most `limit`.

        Those with an open attempt that may have had an effect, and those of a blocked scope, are left out: they must
        not starve the rest. Of an account that comes back slowly the first `PACED_PER_SWEEP` are shown; the others of
        its backlog count towards no limit.
        """
        ...

    def orphans(self, *, silent_for: timedelta, margin: timedelta, limit: int) -> tuple[Orphan, ...]:
        """Open attempts, claimed or sending, whose worker has not beaten for `silent_for`, or that are past their
        deadline by `margin`, whoever holds them. Those that a newer release left (`Attempt.is_foreign`) are its
        workers' to adopt: they are listed once they are past their deadline by `FOREIGN_FOR`."""
        ...

    def unknowns(self, *, limit: int) -> tuple[str, ...]:
        """Activities in phase unknown whose attempt's `look_at` has come, the longest waiting first; for those of a
        newer release see `orphans`."""
        ...
