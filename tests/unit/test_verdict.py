"""The verdict: what an answer means, whenever it arrives and however often it is decided."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from engagement_core.decisions.retry import RetryPolicy
from engagement_core.decisions.verdict import decide_verdict
from engagement_core.model.attempt import Attempt, Provenance
from engagement_core.model.controls import BlockScope, Control, ControlKind
from engagement_core.model.decision import (
    AddDeadLetter,
    Block,
    CloseDeadLetter,
    Decision,
    MarkExecuted,
    MarkFailed,
    MarkScheduled,
    RaiseAlert,
    SaveAttempt,
)
from engagement_core.model.errors import Cause, Effect, ErrorType, Failure
from engagement_core.model.lifecycle import Event, Phase
from engagement_core.model.outcome import Buried, Deferred, Dropped, Executed, Outcome, Unknown
from engagement_core.model.provider import Answer, Applied, NotSent
from engagement_core.model.snapshot import Snapshot
from support.builders import DAY, NOW, SECOND, a_comment, a_snapshot, all_of, an_account, an_attempt, earlier, the

SENT = an_attempt(text="Hello!")
YES = Applied(engagement_id="c-1", created_at=NOW - SECOND)
LIMITED = Failure(cause=Cause.RATE_LIMITED, message="Too many requests.")
LOST = Failure(cause=Cause.NO_ANSWER, message="No answer came.")
GONE = Failure(
    cause=Cause.POST_GONE, message="There is no such post.", provider_status=404, provider_type="errors/gone"
)


def verdict(
    answer: Answer, *attempts: Attempt, activity: Any = None, sent: Attempt = SENT, **shown: Any
) -> Decision[Outcome]:
    """Decide about the answer to my attempt, while the store shows these attempts (only mine by default)."""
    snapshot = a_snapshot(activity or a_comment(), attempts=attempts or (sent,), **shown)
    return decide_verdict(snapshot, attempt=sent, answer=answer, policy=RetryPolicy())


def test_yes_is_executed() -> None:
    """The attempt, the row and the outcome say so, with the provider's id, its time and the text that was sent."""
    decision = verdict(YES)
    assert decision.result == Executed(provenance=Provenance.RESPONSE)
    saved = the(SaveAttempt, decision).attempt
    assert (saved.phase, saved.effect, saved.ended_at) == (Phase.EXECUTED, Effect.APPLIED, NOW)
    assert saved.answer == {"effect": "applied", "engagement_id": "c-1", "created_at": "2024-03-15T14:29:59+00:00"}
    assert the(MarkExecuted, decision) == MarkExecuted(
        activity_id="activity-1",
        executed_at=NOW,
        post_id="post-1",
        engagement_id="c-1",
        created_at=NOW - SECOND,
        provenance=Provenance.RESPONSE,
        comment_generated="Hello!",
    )


def test_yes_without_an_id_or_a_time_is_executed_too() -> None:
    """A like has none."""
    decision = verdict(Applied(engagement_id=None, created_at=None))
    assert the(SaveAttempt, decision).attempt.answer == {"effect": "applied", "engagement_id": None, "created_at": None}
    assert the(MarkExecuted, decision).engagement_id is None


def test_what_was_sent_is_recorded_whatever_the_row_says_now() -> None:
    """An edit that comes during the call changes nothing about what happened."""
    executed = the(MarkExecuted, verdict(YES, activity=a_comment(post_id="post-2")))
    assert executed.post_id == "post-1"


def test_not_sent_is_released_without_a_charge() -> None:
    """An open breaker is not the fault of the activity."""
    decision = verdict(NotSent(reason="The provider is not called for a while.", retry_in=5 * SECOND))
    assert decision.result == Deferred(again_in=5 * SECOND, reason="The provider is not called for a while.")
    assert the(SaveAttempt, decision).attempt.event is Event.RELEASE
    assert the(SaveAttempt, decision).attempt.effect is Effect.NONE
    assert the(MarkScheduled, decision) == MarkScheduled(activity_id="activity-1", next_retry_at=NOW + 5 * SECOND)


def test_refusal_is_retried_and_charged() -> None:
    """The row says when and why, and that there will be another attempt."""
    decision = verdict(LIMITED)
    assert decision.result == Deferred(again_in=timedelta(milliseconds=500), reason="Too many requests.")
    saved = the(SaveAttempt, decision).attempt
    assert (saved.phase, saved.event, saved.effect) == (Phase.SCHEDULED, Event.REFUSE, Effect.NONE)
    scheduled = the(MarkScheduled, decision)
    assert (scheduled.next_retry_at, scheduled.counts) == (NOW + timedelta(milliseconds=500), True)
    assert scheduled.error is not None
    assert (scheduled.error.error_type, scheduled.error.will_retry) == (ErrorType.RATE_LIMIT, True)


def test_three_rate_limits_without_a_hint_are_a_dead_letter_and_an_alert() -> None:
    """The specification's own example."""
    first, second = earlier(1), earlier(2)
    assert verdict(LIMITED, sent=replace(SENT, number=1)).result == Deferred(
        again_in=timedelta(milliseconds=500), reason="Too many requests."
    )
    mine = replace(SENT, number=2)
    assert verdict(LIMITED, first, mine, sent=mine).result == Deferred(
        again_in=timedelta(milliseconds=1500), reason="Too many requests."
    )
    mine = replace(SENT, number=3)
    decision = verdict(LIMITED, first, second, mine, sent=mine)
    assert isinstance(decision.result, Buried)
    letter = the(AddDeadLetter, decision).letter
    assert (letter.error_type, letter.effect) == (ErrorType.RATE_LIMIT, Effect.NONE)
    assert letter.message == "gave up after 3 attempts: Too many requests."
    assert the(MarkFailed, decision).counts is True
    assert the(MarkFailed, decision).error.will_retry is False
    assert "pod-1" in the(RaiseAlert, decision).message
    assert all_of(Block, decision) == []


def test_releases_and_crashes_do_not_use_up_the_attempts() -> None:
    """Only what the provider refused is charged."""
    free = [earlier(n, event=Event.RELEASE, crashed=n % 2 == 0) for n in range(1, 5)]
    mine = replace(SENT, number=5)
    assert isinstance(verdict(LIMITED, *free, mine, sent=mine).result, Deferred)


def test_a_requeue_gives_all_the_attempts_back() -> None:
    """The count starts again at zero."""
    old = (earlier(1), earlier(2), earlier(3, event=Event.BURY, requeued_at=NOW))
    mine = replace(SENT, number=4)
    assert isinstance(verdict(LIMITED, *old, mine, sent=mine).result, Deferred)


def test_retry_after_is_a_floor_and_cools_the_whole_account_down() -> None:
    """Earlier sends of the account could not succeed and would endanger it."""
    decision = verdict(replace(LIMITED, retry_after=60 * SECOND))
    assert the(MarkScheduled, decision).next_retry_at == NOW + 60 * SECOND
    assert the(Block, decision).control == Control(
        kind=ControlKind.COOL_DOWN,
        scope=BlockScope.ACCOUNT,
        scope_id="account-1",
        until=NOW + 60 * SECOND,
        reason="Too many requests.",
    )


def test_nobody_cools_down_for_more_than_a_day() -> None:
    """Neither the activity nor the account does."""
    decision = verdict(replace(LIMITED, retry_after=300 * DAY))
    assert the(MarkScheduled, decision).next_retry_at == NOW + DAY
    assert the(Block, decision).control.until == NOW + DAY


def test_the_last_rate_limit_cools_the_account_down_too() -> None:
    """The activity is given up, the account still has to wait."""
    mine = replace(SENT, number=3)
    decision = verdict(replace(LIMITED, retry_after=60 * SECOND), earlier(1), earlier(2), mine, sent=mine)
    assert isinstance(decision.result, Buried)
    assert the(Block, decision).control.until == NOW + 60 * SECOND


def test_sign_out_fails_this_activity_and_holds_the_accounts_others() -> None:
    """One alert for the account, not one for each of fifty activities."""
    decision = verdict(Failure(cause=Cause.ACCOUNT_SIGNED_OUT, message="Signed out."))
    assert isinstance(decision.result, Buried)
    control = the(Block, decision).control
    assert (control.kind, control.scope_id, control.until) == (ControlKind.HOLD, "account-1", None)
    assert the(RaiseAlert, decision).incident == "auth_error:account-1"


@pytest.mark.parametrize("now_acting", [an_account(id="account-2"), None], ids=["another account", "no account"])
def test_the_account_that_made_the_call_is_held(now_acting: Any) -> None:
    """The account that the row names by now has done nothing."""
    decision = verdict(Failure(cause=Cause.ACCOUNT_SIGNED_OUT, message="Signed out."), account=now_acting)
    assert [block.control.scope_id for block in all_of(Block, decision)] == ["account-1"]


@pytest.mark.parametrize("cause", [Cause.POST_GONE, Cause.PROFILE_BLOCKED, Cause.REJECTED])
def test_what_cannot_succeed_is_buried_at_once(cause: Cause) -> None:
    """With the provider's words kept in the attempt; the account's other work goes on."""
    decision = verdict(replace(GONE, cause=cause))
    saved = the(SaveAttempt, decision).attempt
    assert (saved.phase, saved.effect) == (Phase.FAILED, Effect.NONE)
    assert saved.error == {
        "effect": "none",
        "cause": cause.value,
        "error_type": replace(GONE, cause=cause).error_type.value,
        "message": "There is no such post.",
        "provider_status": 404,
        "provider_type": "errors/gone",
    }
    assert all_of(Block, decision) == []
    assert the(RaiseAlert, decision).incident == f"dead_letter:{replace(GONE, cause=cause).error_type.value}"


@pytest.mark.parametrize("status", ["cancelled", "executed"])
def test_refusal_never_schedules_what_somebody_took_away(status: str) -> None:
    """The other service's status stays; the attempt itself is closed."""
    assert all_of(MarkScheduled, verdict(LIMITED, activity=a_comment(status=status))) == []


@pytest.mark.parametrize("answer", [LOST, NotSent(reason="A rest.", retry_in=SECOND)], ids=["lost", "not sent"])
def test_other_answers_never_schedule_what_somebody_took_away(answer: Answer) -> None:
    """An unknown outcome does not schedule it either."""
    assert all_of(MarkScheduled, verdict(answer, activity=a_comment(status="cancelled"))) == []


@pytest.mark.parametrize(
    "cause", [Cause.NO_ANSWER, Cause.SERVER_ERROR, Cause.UNINTELLIGIBLE, Cause.ALREADY_DONE, Cause.OUTCOME_UNKNOWN]
)
def test_what_may_have_happened_is_unknown(cause: Cause) -> None:
    """It is read back after the deadline, and nothing is sent before that."""
    decision = verdict(replace(LOST, cause=cause))
    assert isinstance(decision.result, Unknown)
    saved = the(SaveAttempt, decision).attempt
    assert (saved.phase, saved.effect, saved.ended_at) == (Phase.UNKNOWN, Effect.UNKNOWN, None)
    assert saved.look_at == SENT.deadline_at
    scheduled = the(MarkScheduled, decision)
    assert (scheduled.next_retry_at, scheduled.counts) == (None, False)


ANSWERS: list[Answer] = [YES, LIMITED, GONE, LOST, NotSent(reason="A rest.", retry_in=SECOND)]


@pytest.mark.parametrize("answer", ANSWERS, ids=["yes", "refused", "buried", "lost", "not sent"])
def test_a_verdict_decided_again_changes_nothing_that_counts(answer: Answer) -> None:
    """The commit whose answer was lost may have been applied after all."""
    once = the(SaveAttempt, verdict(answer)).attempt
    again = verdict(answer, once)
    assert [write for write in again.writes if not isinstance(write, SaveAttempt)] == []
    for write in all_of(SaveAttempt, again):
        assert replace(write.attempt, evidence=None) == once


@pytest.mark.parametrize("answer", ANSWERS, ids=["yes", "refused", "buried", "lost", "not sent"])
def test_a_verdict_decided_three_times_writes_at_most_twice(answer: Answer) -> None:
    """The third time there is nothing left to write."""
    current, decisions = SENT, []
    for _ in range(3):
        decisions.append(verdict(answer, current))
        for write in all_of(SaveAttempt, decisions[-1]):
            current = write.attempt
    assert decisions[-1].writes == ()


@pytest.mark.parametrize("answer", [LIMITED, GONE, YES], ids=["refused", "buried", "yes"])
def test_unknown_attempt_still_takes_its_own_answer(answer: Answer) -> None:
    """Another worker thought that this one was dead. It was only slow, and its answer counts."""
    lost = replace(SENT, phase=Phase.UNKNOWN, event=Event.LOSE_TRACK, crashed=True, look_at=NOW)
    decision = verdict(answer, lost)
    assert the(SaveAttempt, decision).attempt.phase is not Phase.UNKNOWN
    assert all_of(MarkExecuted, decision) or all_of(MarkFailed, decision) or all_of(MarkScheduled, decision)


def test_second_uncertainty_adds_nothing() -> None:
    """The outcome is being reconciled already."""
    lost = replace(SENT, phase=Phase.UNKNOWN, event=Event.LOSE_TRACK)
    assert verdict(LOST, lost) == Decision(Unknown(failure=LOST))


CLOSED_BY_OTHERS = [
    replace(SENT, phase=Phase.SCHEDULED, event=Event.FIND_ABSENT, effect=Effect.NONE),
    replace(SENT, phase=Phase.SCHEDULED, event=Event.REPEAT, effect=Effect.REPEATABLE),
    replace(SENT, phase=Phase.FAILED, event=Event.BURY, effect=Effect.UNKNOWN),
    replace(SENT, phase=Phase.FAILED, event=Event.RESOLVE_NOT_EXECUTED, effect=Effect.NONE),
    replace(SENT, phase=Phase.SCHEDULED, event=Event.REQUEUE, effect=Effect.NONE, requeued_at=NOW),
]


@pytest.mark.parametrize("closed", CLOSED_BY_OTHERS, ids=lambda attempt: attempt.event.value)
def test_stale_worker_decides_nothing_but_its_yes_is_believed(closed: Attempt) -> None:
    """Nobody else owns the activity: the evidence is enough, even for a dead letter."""
    decision = verdict(YES, closed)
    assert decision.result == Executed(provenance=Provenance.RESPONSE)
    saved = the(SaveAttempt, decision).attempt
    assert (saved.phase, saved.effect, saved.event) == (Phase.EXECUTED, Effect.APPLIED, Event.CONFIRM)
    assert saved.evidence is not None
    assert the(MarkExecuted, decision).engagement_id == "c-1"
    assert the(CloseDeadLetter, decision) == CloseDeadLetter(
        activity_id="activity-1", closed_at=NOW, resolution="executed"
    )


@pytest.mark.parametrize("closed", CLOSED_BY_OTHERS, ids=lambda attempt: attempt.event.value)
@pytest.mark.parametrize("answer", [LIMITED, GONE, LOST, NotSent(reason="A rest.", retry_in=SECOND)])
def test_stale_no_is_kept_and_decides_nothing(closed: Attempt, answer: Answer) -> None:
    """The activity's row is not changed: it has moved on."""
    decision = verdict(answer, closed)
    assert isinstance(decision.result, Dropped)
    assert the(SaveAttempt, decision).attempt.phase is closed.phase
    assert not the(SaveAttempt, decision).attempt.proves_effect
    assert len(decision.writes) == 1


def test_late_yes_is_kept_while_another_attempt_owns_the_activity() -> None:
    """It cannot decide, but every later claim, begin and reconcile reads it."""
    closed = replace(SENT, phase=Phase.SCHEDULED, event=Event.FIND_ABSENT, effect=Effect.NONE)
    decision = verdict(YES, closed, earlier(2, Phase.CLAIMED))
    assert isinstance(decision.result, Dropped)
    kept = the(SaveAttempt, decision).attempt
    assert kept.proves_effect
    assert replace(kept, evidence=None) == closed


def test_late_yes_for_what_is_executed_already_only_leaves_a_trace() -> None:
    """A person who audits must see a duplicate that really happened."""
    closed = replace(SENT, phase=Phase.SCHEDULED, event=Event.FIND_ABSENT, effect=Effect.NONE)
    decision = verdict(YES, closed, activity=a_comment(status="executed"))
    assert isinstance(decision.result, Dropped)
    assert the(SaveAttempt, decision).attempt.proves_effect
    assert len(decision.writes) == 1


@pytest.mark.parametrize("event", [Event.FIND_PRESENT, Event.RESOLVE_EXECUTED])
def test_late_yes_after_a_careless_update_does_not_raise(event: Event) -> None:
    """An executed activity stays executed, whatever status was written into its row."""
    closed = replace(SENT, phase=Phase.EXECUTED, event=event, effect=Effect.APPLIED)
    verdict(YES, closed, activity=a_comment(status="failed"))


def test_answer_without_an_attempt_is_dropped() -> None:
    """The row was deleted meanwhile."""
    snapshot = Snapshot(now=NOW, activity=None)
    decision = decide_verdict(snapshot, attempt=SENT, answer=YES, policy=RetryPolicy())
    assert decision == Decision(Dropped(reason="its attempt is no longer recorded"))


def test_the_token_and_not_the_number_says_whose_answer_it_is() -> None:
    """Another attempt of the same number is another attempt."""
    assert isinstance(verdict(YES, replace(SENT, token="somebody-else/1")).result, Dropped)


def test_wait_that_was_asked_for_is_kept_in_the_audit_log() -> None:
    """It is stored in seconds."""
    saved = the(SaveAttempt, verdict(replace(LIMITED, retry_after=60 * SECOND))).attempt
    assert saved.error is not None
    assert saved.error["retry_after_s"] == 60.0


def test_refusal_after_late_evidence_is_no_dead_letter() -> None:
    """It has happened: a dead letter would ask a person to do it again."""
    witness = earlier(1, event=Event.FIND_ABSENT, text="Hello!", evidence={"effect": "applied", "engagement_id": "c-1"})
    mine = replace(SENT, number=2)
    assert all_of(MarkFailed, verdict(GONE, witness, mine, sent=mine)) == []


SIGNED_OUT = Failure(cause=Cause.ACCOUNT_SIGNED_OUT, message="The login has expired.")
HOLD = Control(
    kind=ControlKind.HOLD, scope=BlockScope.ACCOUNT, scope_id="account-1", until=None, reason="The login has expired."
)


def test_another_refusal_of_a_held_account_costs_nothing() -> None:
    """Its call was running when the first refusal came: it waits with the rest, keeps its text, and raises no alert."""
    decision = verdict(SIGNED_OUT, controls=(HOLD,))
    assert decision.result == Deferred(again_in=None, reason="its account is held: The login has expired.")
    saved = the(SaveAttempt, decision).attempt
    assert (saved.event, saved.effect, saved.text) == (Event.RELEASE, Effect.NONE, "Hello!")
    assert saved.error is not None
    assert saved.error["error_type"] == "auth_error"
    assert the(MarkScheduled, decision) == MarkScheduled(activity_id="activity-1", next_retry_at=None)
    assert the(Block, decision).control.kind is ControlKind.HOLD
    assert all_of(RaiseAlert, decision) == []


@pytest.mark.parametrize(
    "control",
    [
        replace(HOLD, kind=ControlKind.PAUSE),
        replace(HOLD, scope_id="account-2"),
        replace(HOLD, scope=BlockScope.POD, scope_id="pod-1"),
    ],
    ids=["pause", "another account", "pod"],
)
def test_only_a_hold_of_its_own_account_excuses_a_refusal(control: Control) -> None:
    """A block for another reason says nothing about the login."""
    assert isinstance(verdict(SIGNED_OUT, controls=(control,)).result, Buried)


def test_a_held_account_excuses_no_other_refusal() -> None:
    """A deleted post stays deleted."""
    assert isinstance(verdict(GONE, controls=(HOLD,)).result, Buried)


def test_the_alert_of_an_expired_login_says_both_ways_back() -> None:
    """A person resumes the account, or a probe does where the provider can be asked."""
    told = the(RaiseAlert, verdict(SIGNED_OUT)).message
    assert "engagement resume --account account-1" in told
    assert "also probed automatically" in told


@pytest.mark.parametrize("status", ["cancelled", "executed"])
def test_what_somebody_else_ended_is_not_said_to_be_buried(status: str) -> None:
    """There is no letter, so the queue does not get one."""
    decision = verdict(GONE, activity=a_comment(status=status))
    assert decision.result == Dropped(reason="somebody else ended it meanwhile: There is no such post.")
    assert all_of(AddDeadLetter, decision) == []
    assert the(SaveAttempt, decision).attempt.phase is Phase.FAILED
