"""How an activity becomes a dead letter.

The one rule: the row, the letter, the alert and the queue always say the same, because they are decided here.
"""

from __future__ import annotations

from datetime import datetime

from engagement_core.decisions.reschedule import is_still_scheduled
from engagement_core.decisions.retry import wait_asked_for
from engagement_core.model.attempt import Attempt
from engagement_core.model.controls import BlockScope, Control, ControlKind
from engagement_core.model.dead_letter import DeadLetter
from engagement_core.model.decision import (
    AddDeadLetter,
    Block,
    Decision,
    ErrorNote,
    MarkFailed,
    RaiseAlert,
    SaveAttempt,
    Write,
)
from engagement_core.model.errors import Cause, Effect, Failure, Scope
from engagement_core.model.incident import IncidentKind
from engagement_core.model.lifecycle import Event
from engagement_core.model.outcome import Buried, Dropped
from engagement_core.model.snapshot import Snapshot

__all__ = ["LEFT_BY_A_NEWER_RELEASE", "account_effects", "bury", "give_up", "note"]

LEFT_BY_A_NEWER_RELEASE = "A newer release of this software began it, and no worker has settled it."


def note(failure: Failure, now: datetime, *, will_retry: bool) -> ErrorNote:
    """The value of `last_error` for a failure."""
    return ErrorNote(error_type=failure.error_type, message=failure.message, timestamp=now, will_retry=will_retry)


def bury(
    snapshot: Snapshot,
    activity_id: str,
    failure: Failure,
    *,
    counts: bool,
    account_id: str | None = None,
    effect: Effect | None = None,
) -> Decision[Buried | Dropped]:
    """Make it a dead letter. If somebody else has cancelled or ended it meanwhile, it stays so.

    Args:
        snapshot: what the store shows.
        activity_id: the activity.
        failure: the final failure.
        counts: whether an attempt failed (`failure_count` grows).
        account_id: the account that made the call, if one was made.
        effect: what is known of the effect, if that is more than the failure itself says.
    """
    if not is_still_scheduled(snapshot):
        ended = Dropped(reason=f"somebody else ended it meanwhile: {failure.message}")
        return Decision(ended, account_effects(snapshot, account_id, failure))
    letter = _letter(snapshot, activity_id, failure, effect or _known_effect(snapshot, failure))
    failed = MarkFailed(
        activity_id=activity_id,
        executed_at=snapshot.now,
        error=note(failure, snapshot.now, will_retry=False),
        counts=counts,
    )
    of_account = account_effects(snapshot, account_id, failure)
    alert = _alert(snapshot, activity_id, account_id, failure)
    return Decision(Buried(failure=failure), (failed, AddDeadLetter(letter), *of_account, alert))


def give_up(snapshot: Snapshot, attempt: Attempt, why: str) -> Decision[Buried | Dropped]:
    """Leave an outcome that cannot be determined to a person, even if the activity's row was deleted."""
    failure = Failure(cause=Cause.OUTCOME_UNKNOWN, message=why)
    ended = SaveAttempt(attempt.after(Event.BURY, effect=Effect.UNKNOWN, ended_at=snapshot.now))
    if snapshot.activity is not None:
        buried = bury(snapshot, attempt.activity_id, failure, counts=True, effect=Effect.UNKNOWN)
        return Decision(buried.result, (ended, *buried.writes))
    letter = _letter(snapshot, attempt.activity_id, failure, Effect.UNKNOWN)
    alert = _alert(snapshot, attempt.activity_id, None, failure)
    return Decision(Buried(failure=failure), (ended, AddDeadLetter(letter), alert))


def _letter(snapshot: Snapshot, activity_id: str, failure: Failure, effect: Effect) -> DeadLetter:
    return DeadLetter(
        activity_id=activity_id,
        error_type=failure.error_type,
        message=failure.message,
        effect=effect,
        buried_at=snapshot.now,
        next_step=failure.meaning.next_step,
    )


def _known_effect(snapshot: Snapshot, failure: Failure) -> Effect:
    """A failure before the call cannot deny what an earlier attempt may have done."""
    may_have = any(attempt.effect is Effect.REPEATABLE for attempt in snapshot.attempts)
    return Effect.REPEATABLE if may_have and failure.effect is Effect.NONE else failure.effect


def account_effects(snapshot: Snapshot, account_id: str | None, failure: Failure) -> tuple[Write, ...]:
    """What it does to the account that called: a sign-out holds its other work; a limit with a wait cools it down."""
    if account_id is None or failure.meaning.scope is not Scope.ACCOUNT:
        return ()
    wait = wait_asked_for(failure)
    if failure.meaning.retryable and not wait:
        return ()
    control = Control(
        kind=ControlKind.COOL_DOWN if failure.meaning.retryable else ControlKind.HOLD,
        scope=BlockScope.ACCOUNT,
        scope_id=account_id,
        until=snapshot.now + wait if failure.meaning.retryable else None,
        reason=failure.message,
    )
    return (Block(control),)


def _alert(snapshot: Snapshot, activity_id: str, account_id: str | None, failure: Failure) -> RaiseAlert:
    """One incident per account if the account is the cause, else one per error type: a hundred alike only count up."""
    kind, subject, next_step = _incident(account_id, failure)
    pod = f" (pod {snapshot.pod.id})" if snapshot.pod else ""
    return RaiseAlert(
        incident=kind.about(subject),
        kind=kind.value,
        message=f"Activity {activity_id}{pod} failed: {failure.message} Next: {next_step}",
        activity_id=activity_id,
        next_step=next_step,
    )


def _incident(account_id: str | None, failure: Failure) -> tuple[IncidentKind, str, str]:
    """The incident's kind, its subject (an account or an error type) and what to do."""
    next_step, error_type = failure.meaning.next_step, failure.error_type
    if account_id is None or failure.meaning.scope is not Scope.ACCOUNT:
        others = f"To see all of this kind: `engagement dead-letters list --error-type {error_type.value}`."
        return IncidentKind.DEAD_LETTER, error_type.value, f"{next_step} {others}"
    if failure.meaning.retryable:
        return IncidentKind.RATE_LIMIT, account_id, next_step
    held = (
        f"The account's other work is held until you run `engagement resume --account {account_id}`. With v1 the"
        " account is also probed automatically, and its work continues once the provider says that it can act."
    )
    return IncidentKind.AUTH_ERROR, account_id, f"{next_step} {held}"
