"""What a person may do with a dead letter, and when it is refused."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import pytest

from engagement_core.decisions.claim import Claimed, ClaimPolicy, Holder, decide_claim
from engagement_core.decisions.dead_letters import Refused, Requeued, Resolved, decide_requeue, decide_resolve
from engagement_core.model.activity import Activity, Malformed
from engagement_core.model.attempt import Attempt, Provenance, count_crashes, count_refusals
from engagement_core.model.controls import BlockScope, Control, ControlKind
from engagement_core.model.decision import AddDeadLetter, CloseDeadLetter, MarkExecuted, MarkScheduled, SaveAttempt
from engagement_core.model.errors import Effect, ErrorType
from engagement_core.model.lifecycle import Event, Phase
from engagement_core.model.snapshot import Snapshot
from support.builders import NOW, SECOND, a_comment, a_like, a_snapshot, all_of, an_account, an_attempt, earlier, the

LAG = 90 * SECOND
LONG_AGO = NOW - timedelta(hours=1)
BURIED = earlier(1, Phase.FAILED, deadline_at=LONG_AGO, ended_at=LONG_AGO)
UNKNOWN = replace(BURIED, effect=Effect.UNKNOWN, text="Great post!", error={"message": "No answer came."})


def a_letter(*attempts: Attempt, **changes: object) -> Snapshot:
    """A failed like with these attempts."""
    return a_snapshot(a_like(status="failed"), attempts=attempts, **changes)


def refusal(result: object) -> str:
    """Why it was refused, which it must be."""
    assert isinstance(result, Refused)
    return result.reason


def test_requeue_schedules_it_now_and_closes_the_letter() -> None:
    """The row, the attempt and the letter change together."""
    decision = decide_requeue(a_letter(BURIED))
    assert decision.result == Requeued(due_at=NOW)
    assert the(MarkScheduled, decision) == MarkScheduled(activity_id="activity-1", next_retry_at=NOW)
    assert the(CloseDeadLetter, decision).resolution == "requeued"
    assert the(SaveAttempt, decision).attempt == replace(
        BURIED, phase=Phase.SCHEDULED, event=Event.REQUEUE, requeued_at=NOW
    )


def test_requeue_keeps_a_time_that_was_moved_into_the_future() -> None:
    """The next step of `too_late` is to move `scheduled_for`: that time counts."""
    later = NOW + timedelta(days=1)
    assert decide_requeue(
        a_snapshot(a_like(status="failed", scheduled_for=later), attempts=(BURIED,))
    ).result == Requeued(due_at=later)


def test_requeue_starts_the_count_of_attempts_afresh() -> None:
    """Earlier refusals and crashes do not count any more."""
    crashes = tuple(earlier(number, event=Event.RELEASE, crashed=True) for number in range(1, 6))
    refused = earlier(6, event=Event.REFUSE)
    snapshot = a_letter(*crashes, refused)
    saved = the(SaveAttempt, decide_requeue(snapshot)).attempt
    after = (*crashes, saved)
    assert (count_refusals(after), count_crashes(after)) == (0, 0)
    again = replace(snapshot, activity=a_like(), attempts=after)
    claim = decide_claim(again, holder=Holder(worker_id="w", token="w/1"), policy=ClaimPolicy(max_crashes=5))
    assert isinstance(claim.result, Claimed)


def test_requeue_leaves_the_last_attempt_where_it_ended_if_it_was_not_the_one_that_failed() -> None:
    """An activity that was buried before sending has an attempt that the lifecycle does not requeue."""
    saved = the(SaveAttempt, decide_requeue(a_letter(earlier(1)))).attempt
    assert saved == replace(earlier(1), requeued_at=NOW)


def test_a_letter_without_attempts_can_be_requeued() -> None:
    """An invalid activity was never tried; a person has corrected it."""
    decision = decide_requeue(a_letter())
    assert decision.result == Requeued(due_at=NOW)
    assert not all_of(SaveAttempt, decision)


def test_a_row_that_is_still_malformed_is_not_requeued() -> None:
    """It would only be buried again."""
    row = Malformed(id="activity-1", status="failed", problems=("pod_id is missing",))
    decision = decide_requeue(a_snapshot(row))
    assert refusal(decision.result) == "correct its row first: pod_id is missing"
    assert not decision.writes


def test_a_row_that_is_still_invalid_is_not_requeued() -> None:
    """The reason names what is wrong."""
    assert "has no row in linkedin_accounts" in refusal(decide_requeue(a_letter(account=None)).result)


@pytest.mark.parametrize("status", ["scheduled", "executed", "cancelled"])
def test_only_what_failed_is_requeued(status: str) -> None:
    """To requeue twice, or to requeue what another service took back, changes nothing."""
    decision = decide_requeue(a_snapshot(a_like(status=status), attempts=(BURIED,)))
    assert status in refusal(decision.result)
    assert not decision.writes


def test_what_does_not_exist_is_refused() -> None:
    """Requeue and resolve both refuse it."""
    nothing = Snapshot(now=NOW, activity=None)
    assert refusal(decide_requeue(nothing).result) == "there is no such activity"
    assert refusal(decide_resolve(nothing, executed=True, visibility_lag=LAG).result) == "there is no such activity"


def test_what_may_have_happened_is_not_requeued() -> None:
    """The promise: a person must look first."""
    decision = decide_requeue(a_letter(UNKNOWN))
    assert "resolve it" in refusal(decision.result)
    assert not decision.writes


@pytest.mark.parametrize("phase", [Phase.CLAIMED, Phase.SENDING, Phase.UNKNOWN])
def test_what_is_under_way_is_not_requeued(phase: Phase) -> None:
    """Another service wrote `failed` over an activity that a worker has."""
    assert "an attempt is still open" in refusal(decide_requeue(a_letter(an_attempt(phase))).result)


def test_what_has_happened_is_not_requeued() -> None:
    """It is refused whatever the row says."""
    assert "has happened" in refusal(decide_requeue(a_letter(an_attempt(Phase.EXECUTED))).result)


def test_a_requeued_letter_says_what_it_waits_for() -> None:
    """To requeue the work of a held account does not resume the account."""
    hold = Control(
        kind=ControlKind.HOLD, scope=BlockScope.ACCOUNT, scope_id="account-1", until=None, reason="signed out"
    )
    result = decide_requeue(a_letter(BURIED, controls=(hold,))).result
    assert isinstance(result, Requeued)
    assert result.obstacle == "hold on account account-1: signed out"
    assert decide_requeue(a_letter(BURIED, account=an_account(status="expired"))).result == Requeued(
        due_at=NOW, obstacle="the status of account account-1 is expired"
    )


def test_resolved_as_executed_it_is_executed_by_a_persons_word() -> None:
    """The text that was sent is recorded; the id stays empty, because it is not known."""
    decision = decide_resolve(a_letter(UNKNOWN), executed=True, visibility_lag=LAG)
    assert decision.result == Resolved(executed=True)
    assert the(MarkExecuted, decision) == MarkExecuted(
        activity_id="activity-1",
        executed_at=NOW,
        post_id="post-1",
        engagement_id=None,
        created_at=None,
        provenance=Provenance.PERSON,
        comment_generated="Great post!",
    )
    assert the(CloseDeadLetter, decision).resolution == "executed"
    assert the(SaveAttempt, decision).attempt == replace(
        UNKNOWN, phase=Phase.EXECUTED, event=Event.RESOLVE_EXECUTED, effect=Effect.APPLIED
    )


def test_resolved_as_not_executed_it_can_be_requeued() -> None:
    """The letter stays open, says so, and its activity stays failed until then."""
    decision = decide_resolve(a_letter(UNKNOWN), executed=False, visibility_lag=LAG)
    assert decision.result == Resolved(executed=False)
    letter = the(AddDeadLetter, decision).letter
    assert (letter.effect, letter.error_type, letter.buried_at) == (Effect.NONE, ErrorType.OUTCOME_UNKNOWN, LONG_AGO)
    assert letter.message == "No answer came. A person has looked: it was not executed."
    saved = the(SaveAttempt, decision).attempt
    assert saved == replace(UNKNOWN, event=Event.RESOLVE_NOT_EXECUTED, effect=Effect.NONE)
    assert len(decision.writes) == 2
    assert isinstance(decide_requeue(a_letter(saved)).result, Requeued)


@pytest.mark.parametrize("executed", [True, False])
def test_nobody_resolves_before_the_provider_can_have_shown_it(executed: bool) -> None:
    """A person who looks too early cannot know that it is absent."""
    deadline = NOW - LAG + SECOND
    decision = decide_resolve(a_letter(replace(UNKNOWN, deadline_at=deadline)), executed=executed, visibility_lag=LAG)
    assert refusal(decision.result) == "the provider may not show it before 2024-03-15 14:30:01 UTC: look again then"
    assert not decision.writes
    on_time = replace(UNKNOWN, deadline_at=NOW - LAG)
    assert isinstance(decide_resolve(a_letter(on_time), executed=executed, visibility_lag=LAG).result, Resolved)


def test_there_is_nothing_to_resolve_where_the_outcome_is_known() -> None:
    """A refused request did not happen."""
    decision = decide_resolve(a_letter(BURIED), executed=True, visibility_lag=LAG)
    assert "nothing to resolve" in refusal(decision.result)


def test_what_is_still_reconciled_is_not_resolved() -> None:
    """The read-back may still prove it."""
    attempts = (an_attempt(Phase.UNKNOWN, deadline_at=LONG_AGO),)
    scheduled = a_snapshot(a_comment(), attempts=attempts)
    assert "an attempt is still open" in refusal(decide_resolve(scheduled, executed=True, visibility_lag=LAG).result)
    overwritten = a_letter(*attempts)
    assert "an attempt is still open" in refusal(decide_resolve(overwritten, executed=True, visibility_lag=LAG).result)


@pytest.mark.parametrize("executed", [True, False])
def test_a_malformed_row_is_resolved_by_what_was_sent(*, executed: bool) -> None:
    """The attempt knows the post; the row may have lost it meanwhile."""
    row = Malformed(id="activity-1", status="failed", problems=("post_id is missing",))
    snapshot = a_snapshot(row, attempts=(UNKNOWN,))
    decision = decide_resolve(snapshot, executed=executed, visibility_lag=LAG)
    assert decision.result == Resolved(executed=executed)
    assert [write.post_id for write in decision.writes if isinstance(write, MarkExecuted)] == [
        UNKNOWN.post_id
    ] * executed


@pytest.mark.parametrize("executed", [True, False])
@pytest.mark.parametrize("row", [None, a_comment()])
def test_a_row_that_is_gone_or_was_inserted_again_can_be_resolved(*, row: Activity | None, executed: bool) -> None:
    """Its letter is closed either way: there is nothing to requeue."""
    snapshot = replace(a_snapshot(attempts=(UNKNOWN,)), activity=row)
    decision = decide_resolve(snapshot, executed=executed, visibility_lag=LAG)
    assert decision.result == Resolved(executed=executed)
    assert len([write for write in decision.writes if isinstance(write, CloseDeadLetter)]) == 1
    assert not [write for write in decision.writes if isinstance(write, AddDeadLetter)]
    marked = [write for write in decision.writes if isinstance(write, MarkExecuted)]
    assert len(marked) == (executed and row is not None)
