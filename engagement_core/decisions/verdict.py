"""Decides what an answer means for the activity, the attempt and the account.

The one rule: *decisions are fenced, evidence never is*. Only the attempt that owns the activity decides what becomes of
it. But an answer that says what happened is always recorded, however late, and all later decisions read it.
"""

from __future__ import annotations

from dataclasses import replace

from engagement_core.decisions.bury import account_effects, bury, note
from engagement_core.decisions.late_evidence import accept_late_proof, find_late_proof, mark_executed
from engagement_core.decisions.release import release
from engagement_core.decisions.reschedule import wait_again
from engagement_core.decisions.retry import Reconcile, RetryAt, RetryPolicy
from engagement_core.model.activity import PublicStatus
from engagement_core.model.answer_record import as_record
from engagement_core.model.attempt import Attempt, Provenance, count_refusals
from engagement_core.model.controls import BlockScope, ControlKind
from engagement_core.model.decision import CloseDeadLetter, Decision, SaveAttempt, Write
from engagement_core.model.errors import Effect, Failure, Scope
from engagement_core.model.lifecycle import Event, Phase
from engagement_core.model.outcome import Deferred, Dropped, Executed, Outcome, Unknown
from engagement_core.model.provider import Answer, Applied, NotSent
from engagement_core.model.snapshot import Snapshot

__all__ = ["decide_verdict"]


# After one of these the verdict is recorded already: to decide again (a commit whose answer was lost) changes nothing.
_OWN_VERDICTS = frozenset({Event.CONFIRM, Event.REFUSE, Event.RELEASE})


def decide_verdict(snapshot: Snapshot, *, attempt: Attempt, answer: Answer, policy: RetryPolicy) -> Decision[Outcome]:
    """Record what the provider answered to `attempt`. May be decided again: what is already recorded stays.

    Args:
        snapshot: what the store shows now; it may be more than the sender knew.
        attempt: as it was when it was sent.
        answer: what came back.
        policy: whether and when a refusal is followed by another attempt.
    """
    mine = _find(snapshot, attempt)
    if mine is None:
        return Decision(Dropped(reason="its attempt is no longer recorded"))
    if mine.phase not in (Phase.SENDING, Phase.UNKNOWN):
        return _late(snapshot, mine, answer)
    if isinstance(answer, Applied):
        return _confirm(snapshot, mine, answer)
    if isinstance(answer, NotSent):
        waits = Deferred(again_in=answer.retry_in, reason=answer.reason)
        return Decision(waits, release(snapshot, mine, not_before=snapshot.now + answer.retry_in))
    return _fail(snapshot, mine, answer, policy)


def _confirm(snapshot: Snapshot, mine: Attempt, answer: Applied) -> Decision[Outcome]:
    ended = mine.after(Event.CONFIRM, effect=Effect.APPLIED, ended_at=snapshot.now, answer=as_record(answer))
    return Decision(_executed(mine), (SaveAttempt(ended), *_mark_executed(snapshot, mine, answer)))


def _fail(snapshot: Snapshot, mine: Attempt, failure: Failure, policy: RetryPolicy) -> Decision[Outcome]:
    decision = policy.decide(failure, refused=count_refusals(snapshot.attempts) + 1, now=snapshot.now)
    if isinstance(decision, Reconcile):
        return _lose_track(snapshot, mine, failure)
    seen = find_late_proof(snapshot)
    refused = mine.after(Event.REFUSE, effect=Effect.NONE, ended_at=snapshot.now, error=as_record(failure))
    if seen is not None:
        believed = accept_late_proof(snapshot, seen, before=(SaveAttempt(refused),))
        return Decision(believed.result, believed.writes)
    if isinstance(decision, RetryAt):
        error = note(failure, snapshot.now, will_retry=True)
        writes = (
            SaveAttempt(refused),
            *wait_again(snapshot, mine.activity_id, next_retry_at=decision.at, error=error, counts=True),
            *account_effects(snapshot, mine.account_id, failure),
        )
        return Decision(Deferred(again_in=decision.at - snapshot.now, reason=failure.message), writes)
    if failure.meaning.scope is Scope.ACCOUNT and not failure.meaning.retryable and _is_held(snapshot, mine):
        return _wait_with_account(snapshot, mine, failure)
    return _bury_refused(snapshot, mine, replace(failure, message=decision.reason))


def _is_held(snapshot: Snapshot, mine: Attempt) -> bool:
    return any(
        (control.kind, control.scope, control.scope_id) == (ControlKind.HOLD, BlockScope.ACCOUNT, mine.account_id)
        for control in snapshot.controls
    )


def _wait_with_account(snapshot: Snapshot, mine: Attempt, failure: Failure) -> Decision[Outcome]:
    """One expired login costs one activity. Its other calls wait, uncharged, like activities that had not begun."""
    released = release(snapshot, replace(mine, error=as_record(failure)))
    waits = Deferred(again_in=None, reason=f"its account is held: {failure.message}")
    return Decision(waits, (*released, *account_effects(snapshot, mine.account_id, failure)))


def _bury_refused(snapshot: Snapshot, mine: Attempt, failure: Failure) -> Decision[Outcome]:
    ended = mine.after(Event.BURY, effect=Effect.NONE, ended_at=snapshot.now, error=as_record(failure))
    buried = bury(snapshot, mine.activity_id, failure, counts=True, account_id=mine.account_id)
    return Decision(buried.result, (SaveAttempt(ended), *buried.writes))


def _lose_track(snapshot: Snapshot, mine: Attempt, failure: Failure) -> Decision[Outcome]:
    if mine.phase is Phase.UNKNOWN:
        return Decision(Unknown(failure=failure))
    lost = mine.after(Event.LOSE_TRACK, error=as_record(failure), look_at=mine.deadline_at)
    error = note(failure, snapshot.now, will_retry=True)
    waits = wait_again(snapshot, mine.activity_id, next_retry_at=None, error=error)
    return Decision(Unknown(failure=failure), (SaveAttempt(lost), *waits))


def _late(snapshot: Snapshot, mine: Attempt, answer: Answer) -> Decision[Outcome]:
    """Another worker or a person has closed the attempt meanwhile: the answer is late evidence now."""
    if mine.evidence is not None or mine.event in _OWN_VERDICTS:
        return Decision(Dropped(reason="its verdict is already recorded"))
    witnessed = replace(mine, evidence=as_record(answer))
    another_owns_it = any(other.may_have_had_effect for other in snapshot.attempts if other.token != mine.token)
    is_settled = mine.phase is Phase.EXECUTED or not _may_still_become_executed(snapshot)
    if not isinstance(answer, Applied) or another_owns_it or is_settled:
        # What the provider said about the account is valid, however late it arrives.
        of_account = account_effects(snapshot, mine.account_id, answer) if isinstance(answer, Failure) else ()
        kept = Dropped(reason="its lease was lost; the answer is kept as late evidence")
        return Decision(kept, (SaveAttempt(witnessed), *of_account))
    writes: tuple[Write, ...] = (
        SaveAttempt(witnessed.after(Event.CONFIRM, effect=Effect.APPLIED)),
        *_mark_executed(snapshot, mine, answer),
        CloseDeadLetter(activity_id=mine.activity_id, closed_at=snapshot.now, resolution="executed"),
    )
    return Decision(_executed(mine), writes)


def _executed(mine: Attempt) -> Executed:
    return Executed(provenance=Provenance.RESPONSE, engagement_type=mine.engagement_type)


def _may_still_become_executed(snapshot: Snapshot) -> bool:
    return snapshot.activity is None or snapshot.activity.status != PublicStatus.EXECUTED.value


def _mark_executed(snapshot: Snapshot, mine: Attempt, answer: Applied) -> tuple[Write, ...]:
    return mark_executed(
        snapshot, mine, Provenance.RESPONSE, engagement_id=answer.engagement_id, created_at=answer.created_at
    )


def _find(snapshot: Snapshot, attempt: Attempt) -> Attempt | None:
    return next((other for other in snapshot.attempts if other.token == attempt.token), None)
