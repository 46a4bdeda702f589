"""Use case: a person reviews what failed for good, and requeues or closes it.

The one rule: what may have happened is never requeued. A person must first look and say whether it happened, and not
before the provider can show it.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from engagement_core.decisions.admission import Defer, admit
from engagement_core.decisions.late_evidence import mark_executed
from engagement_core.decisions.validation import problems_of
from engagement_core.model.activity import Activity, Malformed, PublicStatus
from engagement_core.model.attempt import Attempt, Provenance
from engagement_core.model.dead_letter import DeadLetter
from engagement_core.model.decision import AddDeadLetter, CloseDeadLetter, Decision, MarkScheduled, SaveAttempt
from engagement_core.model.errors import Effect, ErrorType
from engagement_core.model.lifecycle import Event, Phase
from engagement_core.model.snapshot import Snapshot

__all__ = ["Refused", "Requeued", "Resolved", "decide_requeue", "decide_resolve"]


@dataclass(frozen=True, kw_only=True, slots=True)
class Requeued:
    """The activity is scheduled for `due_at`. `obstacle` says why its account may not act now; None if it may."""

    due_at: datetime
    obstacle: str | None = None


@dataclass(frozen=True, kw_only=True, slots=True)
class Resolved:
    """It is known now whether it happened. If `executed`, its letter is closed; otherwise it can be requeued."""

    executed: bool


@dataclass(frozen=True, kw_only=True, slots=True)
class Refused:
    """Nothing was changed, for `reason`."""

    reason: str


def decide_requeue(snapshot: Snapshot) -> Decision[Requeued | Refused]:
    """Schedule a dead letter again, with a fresh count of attempts, if no attempt may have had an effect."""
    activity = snapshot.activity
    obstacle = _not_failed(snapshot) or _may_have_happened(snapshot) or _still_invalid(snapshot)
    if obstacle is not None or not isinstance(activity, Activity):
        return Decision(Refused(reason=obstacle or "its row describes no valid activity"))
    counted = (SaveAttempt(_requeued(snapshot.attempts[-1], snapshot.now)),) if snapshot.attempts else ()
    scheduled = MarkScheduled(activity_id=activity.id, next_retry_at=snapshot.now)
    closed = CloseDeadLetter(activity_id=activity.id, closed_at=snapshot.now, resolution="requeued")
    result = Requeued(due_at=max(activity.scheduled_for, snapshot.now), obstacle=_waits_because(snapshot))
    return Decision(result, (*counted, scheduled, closed))


def decide_resolve(snapshot: Snapshot, *, executed: bool, visibility_lag: timedelta) -> Decision[Resolved | Refused]:
    """Accept a person's statement about an unknown outcome.

    Args:
        snapshot: what the store shows now.
        executed: what the person saw on the post.
        visibility_lag: how long the provider's reads may lag behind its writes. An earlier look proves nothing.
    """
    mine = _to_be_resolved(snapshot, visibility_lag)
    if isinstance(mine, str):
        return Decision(Refused(reason=mine))
    return _resolve_executed(snapshot, mine) if executed else _resolve_not_executed(snapshot, mine)


_UNDER_WAY = "an attempt is still open and may still report what happened"


def _not_failed(snapshot: Snapshot) -> str | None:
    if snapshot.activity is None:
        return "there is no such activity"
    if snapshot.activity.status != PublicStatus.FAILED.value:
        return f"its status is {snapshot.activity.status!r}: it is not a dead letter"
    return None


def _may_have_happened(snapshot: Snapshot) -> str | None:
    owner = next((attempt for attempt in snapshot.attempts if attempt.may_have_had_effect), None)
    if owner is None:
        return None
    if owner.is_open:
        return _UNDER_WAY
    if owner.effect is Effect.APPLIED:
        return "it has happened: one of its attempts is recorded as executed"
    return "it may have happened: look at the post, then resolve it as executed or not-executed"


def _to_be_resolved(snapshot: Snapshot, visibility_lag: timedelta) -> Attempt | str:
    """The attempt that a person may judge now, or the reason why there is none. The activity's row does not matter: it
    may have been set back or deleted."""
    mine = next((attempt for attempt in snapshot.attempts if attempt.effect is Effect.UNKNOWN), None)
    if mine is None:
        return _not_failed(snapshot) or "its outcome is known: there is nothing to resolve"
    if mine.is_foreign:
        return "a newer release of this software began it: resolve it with that release"
    if mine.is_open:
        return _UNDER_WAY
    visible_at = mine.deadline_at + visibility_lag
    if snapshot.now < visible_at:
        return f"the provider may not show it before {visible_at:%Y-%m-%d %H:%M:%S} UTC: look again then"
    return mine


def _still_invalid(snapshot: Snapshot) -> str | None:
    activity = snapshot.activity
    if isinstance(activity, Malformed):
        problems = activity.problems
    elif activity is not None:
        problems = problems_of(snapshot, activity)
    else:
        problems = ()
    return f"correct its row first: {'; '.join(problems)}" if problems else None


def _requeued(last: Attempt, now: datetime) -> Attempt:
    # If the activity was buried without a new attempt, its last attempt keeps the phase in which it had ended.
    if last.phase is Phase.FAILED:
        return last.after(Event.REQUEUE, requeued_at=now)
    return replace(last, requeued_at=now)


def _waits_because(snapshot: Snapshot) -> str | None:
    if snapshot.account is None:
        return None
    admission = admit(snapshot, snapshot.account)
    return admission.reason if isinstance(admission, Defer) else None


def _resolve_executed(snapshot: Snapshot, mine: Attempt) -> Decision[Resolved | Refused]:
    executed = mark_executed(snapshot, mine, Provenance.PERSON, engagement_id=None)
    closed = CloseDeadLetter(activity_id=mine.activity_id, closed_at=snapshot.now, resolution="executed")
    ended = mine.after(Event.RESOLVE_EXECUTED, effect=Effect.APPLIED)
    return Decision(Resolved(executed=True), (SaveAttempt(ended), *executed, closed))


def _resolve_not_executed(snapshot: Snapshot, mine: Attempt) -> Decision[Resolved | Refused]:
    ended = mine.after(Event.RESOLVE_NOT_EXECUTED, effect=Effect.NONE)
    if snapshot.activity is None or snapshot.activity.status != PublicStatus.FAILED.value:
        # There is nothing to requeue: the row was deleted, or is not failed any more.
        closed = CloseDeadLetter(activity_id=mine.activity_id, closed_at=snapshot.now, resolution="not-executed")
        return Decision(Resolved(executed=False), (SaveAttempt(ended), closed))
    said = mine.error_message
    letter = DeadLetter(
        activity_id=mine.activity_id,
        error_type=ErrorType.OUTCOME_UNKNOWN,
        message=f"{said or 'Its outcome was unknown.'} A person has looked: it was not executed.",
        effect=Effect.NONE,
        buried_at=mine.ended_at or snapshot.now,
        next_step="Requeue it if it is still wanted.",
    )
    return Decision(Resolved(executed=False), (SaveAttempt(ended), AddDeadLetter(letter)))
