"""The claim: what is checked again under the lock before a worker owns an activity."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from engagement_core.decisions.claim import Claimed, ClaimPolicy, ClaimResult, decide_claim
from engagement_core.model.activity import EngagementType, Malformed, Pod
from engagement_core.model.attempt import Provenance
from engagement_core.model.controls import BlockScope, Control, ControlKind
from engagement_core.model.decision import AddDeadLetter, Decision, MarkExecuted, MarkFailed, RaiseAlert, SaveAttempt
from engagement_core.model.errors import Cause, Effect, ErrorType
from engagement_core.model.lifecycle import Event, Phase
from engagement_core.model.outcome import Buried, Deferred, Dropped, Executed
from engagement_core.model.provider import Engagement
from engagement_core.model.snapshot import Snapshot
from support.builders import (
    CARTRIDGE,
    DAY,
    ME,
    NOW,
    POD,
    SECOND,
    a_comment,
    a_like,
    a_snapshot,
    all_of,
    an_account,
    an_attempt,
    earlier,
    the,
)


def claim(snapshot: Snapshot, **policy: Any) -> Decision[ClaimResult]:
    """My claim."""
    return decide_claim(snapshot, holder=ME, policy=ClaimPolicy(**policy))


def buried(decision: Decision[ClaimResult]) -> tuple[Cause, str]:
    """Why it became a dead letter."""
    assert isinstance(decision.result, Buried)
    return decision.result.failure.cause, decision.result.failure.message


def test_like_is_claimed_and_begun_in_one_commit() -> None:
    """It has nothing to prepare: the intent to send is written with the claim."""
    decision = claim(a_snapshot())
    saved = the(SaveAttempt, decision).attempt
    assert (saved.phase, saved.event, saved.effect) == (Phase.SENDING, Event.BEGIN_SENDING, Effect.UNKNOWN)
    assert (saved.number, saved.token, saved.worker_id) == (1, ME.token, ME.worker_id)
    assert (saved.claimed_at, saved.began_at, saved.account_id) == (NOW, NOW, "account-1")
    assert isinstance(decision.result, Claimed)
    assert decision.result.attempt == saved
    assert decision.result.engagement == Engagement(
        engagement_type=a_like().engagement_type, post_id="post-1", account=an_account(), text=None
    )


def test_comment_is_claimed_and_not_yet_begun() -> None:
    """Its voice comes first; until then nothing may be sent."""
    decision = claim(a_snapshot(a_comment()))
    saved = the(SaveAttempt, decision).attempt
    assert (saved.phase, saved.effect, saved.began_at, saved.text) == (Phase.CLAIMED, Effect.UNKNOWN, None, None)
    assert isinstance(decision.result, Claimed)
    assert (decision.result.pod, decision.result.cartridge) == (POD, CARTRIDGE)


def test_the_deadline_counts_from_the_claim() -> None:
    """One hard total deadline, on the database's clock."""
    assert the(SaveAttempt, claim(a_snapshot(), job_timeout=7 * SECOND)).attempt.deadline_at == NOW + 7 * SECOND


def test_attempts_are_numbered_on() -> None:
    """Also after a requeue: a number is never used twice."""
    before = (earlier(1), earlier(2, requeued_at=NOW))
    assert the(SaveAttempt, claim(a_snapshot(attempts=before))).attempt.number == 3


def test_lateness_is_told() -> None:
    """The lateness is what a user notices."""
    result = claim(a_snapshot(now=NOW + 3 * SECOND)).result
    assert isinstance(result, Claimed)
    assert result.lateness == 3 * SECOND


@pytest.mark.parametrize("early_by", [SECOND, SECOND / 1_000_000])
def test_activity_that_is_not_due_is_not_claimed(early_by: timedelta) -> None:
    """It is not claimed even one microsecond early; the answer says how long to wait."""
    assert claim(a_snapshot(now=NOW - early_by)) == Decision(Deferred(again_in=early_by, reason="it is not due yet"))


def test_a_retry_is_due_at_its_own_time() -> None:
    """Not at the activity's time, which is long past."""
    waiting = a_like(scheduled_for=NOW - DAY, next_retry_at=NOW + SECOND)
    assert claim(a_snapshot(waiting)) == Decision(Deferred(again_in=SECOND, reason="it is not due yet"))
    assert isinstance(claim(a_snapshot(waiting, now=NOW + SECOND)).result, Claimed)


def test_an_activity_moved_into_the_future_waits_for_its_new_time() -> None:
    """A retry that was planned before the move does not bring it forward."""
    moved = a_like(scheduled_for=NOW + DAY, next_retry_at=NOW - SECOND)
    assert claim(a_snapshot(moved)) == Decision(Deferred(again_in=DAY, reason="it is not due yet"))


def test_activity_that_does_not_exist_is_dropped() -> None:
    """A job may ring for an id that does not exist."""
    assert claim(Snapshot(now=NOW, activity=None)) == Decision(
        Dropped(reason="there is no such activity", status="missing")
    )


@pytest.mark.parametrize("status", ["executed", "failed", "cancelled", "SCHEDULED", "", "draft"])
def test_any_other_status_is_not_ours(status: str) -> None:
    """Nothing is claimed, and another service's status is not overwritten."""
    assert claim(a_snapshot(a_like(status=status))) == Decision(
        Dropped(reason=f"its status is {status!r}, not 'scheduled'", status=status)
    )


def test_a_job_for_what_has_failed_hears_why() -> None:
    """A person who looks at the queue reads the reason of the failure."""
    failed = an_attempt(Phase.FAILED, event=Event.BURY, effect=Effect.NONE, error={"message": "The post is gone."})
    assert claim(a_snapshot(a_like(status="failed"), attempts=(failed,))) == Decision(
        Dropped(reason="it failed: The post is gone.", status="failed")
    )


@pytest.mark.parametrize("phase", [Phase.CLAIMED, Phase.SENDING, Phase.UNKNOWN])
def test_open_attempt_that_may_have_had_an_effect_forbids_another_one(phase: Phase) -> None:
    """The worker that holds it decides what becomes of it."""
    assert claim(a_snapshot(attempts=(earlier(1, phase),))) == Decision(Dropped(reason="attempt 1 owns it"))


@pytest.mark.parametrize(
    "words",
    [
        {"phase": Phase("resting")},
        {"phase": Phase.FAILED, "event": Event("handed_over")},
        {"phase": Phase.SCHEDULED, "effect": Effect("partly")},
        {"phase": Phase.EXECUTED, "engagement_type": EngagementType("follow")},
    ],
)
def test_what_a_newer_release_left_in_words_of_its_own_is_its_own(words: dict[str, Any]) -> None:
    """This release does not know what such a word means, so nothing is sent and nothing is written."""
    left = replace(earlier(1, Phase.SENDING), **words)
    assert claim(a_snapshot(attempts=(left,))) == Decision(Dropped(reason="attempt 1 owns it"))


def test_row_that_was_set_back_after_it_was_executed_is_marked_as_executed_again() -> None:
    """The record of the attempt says how it was executed; nothing is sent."""
    done = replace(
        earlier(1, Phase.EXECUTED, effect=Effect.APPLIED), event=Event.FIND_PRESENT, answer={"engagement_id": "e-1"}
    )
    decision = claim(a_snapshot(attempts=(done,)))
    assert decision.result == Executed(provenance=Provenance.RECONCILED)
    (marked,) = decision.writes
    assert isinstance(marked, MarkExecuted)
    assert (marked.post_id, marked.engagement_id) == (done.post_id, "e-1")


@pytest.mark.parametrize(
    ("changes", "activity"),
    [
        ({"post_id": "another"}, {}),
        ({"account_id": "another"}, {}),
        ({"engagement_type": EngagementType.COMMENT}, {}),
    ],
)
def test_id_that_was_used_for_another_engagement_is_a_dead_letter(
    changes: dict[str, Any], activity: dict[str, Any]
) -> None:
    """A person decides whether it is wanted once more, with a new id."""
    done = replace(earlier(1, Phase.EXECUTED, effect=Effect.APPLIED), **changes)
    cause, why = buried(claim(a_snapshot(a_like(**activity), attempts=(done,))))
    assert cause is Cause.INVALID_ACTIVITY
    assert "another engagement" in why


def test_id_whose_outcome_nobody_knows_is_a_dead_letter() -> None:
    """Its row was deleted while the outcome was unknown, and inserted again: a person looks at the post."""
    left = replace(earlier(1, Phase.FAILED, effect=Effect.UNKNOWN), event=Event.BURY)
    decision = claim(a_snapshot(attempts=(left,)))
    assert buried(decision)[0] is Cause.OUTCOME_UNKNOWN
    (letter,) = [write.letter for write in decision.writes if isinstance(write, AddDeadLetter)]
    assert letter.effect is Effect.UNKNOWN


@pytest.mark.parametrize("effect", [Effect.NONE, Effect.REPEATABLE])
def test_attempt_that_left_nothing_that_matters_allows_another_one(effect: Effect) -> None:
    """It was refused, found absent, or is a like that may be repeated."""
    assert isinstance(claim(a_snapshot(attempts=(earlier(1, effect=effect),))).result, Claimed)


def test_malformed_row_is_buried_with_all_its_problems() -> None:
    """A person is alerted; otherwise every sweep would find the row again for ever."""
    row = Malformed(id="activity-1", status="scheduled", problems=("post_id is missing", "pod_id is missing"))
    decision = claim(a_snapshot(row))
    assert buried(decision) == (Cause.INVALID_ACTIVITY, "post_id is missing; pod_id is missing.")
    assert the(MarkFailed, decision).counts is False
    assert the(AddDeadLetter, decision).letter.effect is Effect.NONE
    assert the(RaiseAlert, decision).incident == "dead_letter:invalid_activity"


def test_malformed_row_of_another_status_is_left_alone() -> None:
    """It does not matter that a cancelled row is malformed."""
    row = Malformed(id="activity-1", status="cancelled", problems=("pod_id is missing",))
    assert claim(a_snapshot(row)).writes == ()


@pytest.mark.parametrize(
    ("changes", "why"),
    [
        ({"comment_text": None}, "it is empty."),
        ({"comment_text": ""}, "it is empty."),
        ({"comment_text": " \u200b\n"}, "it is empty."),
        ({"comment_text": "x" * 1251}, "it has 1251 characters; the provider takes 1250."),
        ({"comment_text": "Hi {{0}}"}, "it has double braces, which the provider reads as a mention."),
        ({"post_id": " "}, "post_id is empty."),
        ({"post_id": "p" * 501}, "post_id has more than 500 characters."),
        ({"post_id": "", "comment_text": ""}, "post_id is empty; it is empty."),
    ],
)
def test_activity_that_cannot_be_executed_is_buried(changes: dict[str, Any], why: str) -> None:
    """Before anything is sent, with a reason that does not quote the comment."""
    assert buried(claim(a_snapshot(replace(a_comment(), **changes)))) == (Cause.INVALID_ACTIVITY, why)


def test_longest_comment_is_claimed() -> None:
    """1250 characters are allowed."""
    assert isinstance(claim(a_snapshot(replace(a_comment(), comment_text="x" * 1250))).result, Claimed)


def test_like_needs_no_text() -> None:
    """A text that could not be sent does not stop a like."""
    assert isinstance(claim(a_snapshot(a_like(comment_text="x" * 1251))).result, Claimed)


def test_profile_without_an_account_never_falls_back_to_the_pods() -> None:
    """Never act as somebody else."""
    decision = claim(a_snapshot(a_like(profile_id="profile-9"), account=None))
    assert buried(decision) == (Cause.INVALID_ACTIVITY, "profile profile-9 has no row in linkedin_accounts.")


@pytest.mark.parametrize(
    ("pod", "why"),
    [
        (None, "pod pod-1 does not exist."),
        (
            Pod(id="pod-1", voice_cartridge_id=None, linkedin_account_id=None),
            "it names no profile, and pod pod-1 has no linkedin_account_id.",
        ),
        (
            Pod(id="pod-1", voice_cartridge_id=None, linkedin_account_id="account-9"),
            "account account-9 of pod pod-1 has no row in linkedin_accounts.",
        ),
    ],
)
def test_activity_for_which_nobody_can_act_is_buried(pod: Pod | None, why: str) -> None:
    """The message says which row is missing."""
    decision = claim(a_snapshot(a_like(profile_id=None), pod=pod, account=None))
    assert buried(decision) == (Cause.INVALID_ACTIVITY, why)


def test_closed_gate_defers_without_a_charge() -> None:
    """Nothing is written, and the answer says until when it waits."""
    cool_down = Control(
        kind=ControlKind.COOL_DOWN,
        scope=BlockScope.ACCOUNT,
        scope_id="account-1",
        until=NOW + 9 * SECOND,
        reason="asked to",
    )
    assert claim(a_snapshot(controls=(cool_down,))) == Decision(
        Deferred(again_in=9 * SECOND, reason="cool-down on account account-1: asked to")
    )


def test_gate_that_a_person_must_open_has_no_time() -> None:
    """The sweep finds the activity when the account may act again."""
    assert claim(a_snapshot(account=an_account(status="expired"))) == Decision(
        Deferred(again_in=None, reason="the status of account account-1 is expired")
    )


def test_five_dead_workers_are_enough() -> None:
    """An activity that crashes every worker must not do so for ever."""
    four = tuple(earlier(n, event=Event.RELEASE, crashed=True) for n in range(1, 5))
    assert isinstance(claim(a_snapshot(attempts=four)).result, Claimed)
    five = (*four, earlier(5, event=Event.RELEASE, crashed=True))
    why = "5 times a worker died while it worked on it, or did not finish it in time."
    assert buried(claim(a_snapshot(attempts=five))) == (Cause.QUARANTINED, why)


def test_a_requeue_ends_the_quarantine() -> None:
    """A person has found out why the workers crashed."""
    five = tuple(earlier(n, event=Event.RELEASE, crashed=True) for n in range(1, 6))
    requeued = (*five[:-1], replace(five[-1], requeued_at=NOW))
    assert isinstance(claim(a_snapshot(attempts=requeued)).result, Claimed)


@pytest.mark.parametrize(("late_by", "sent"), [(10 * SECOND, True), (11 * SECOND, False)])
def test_what_is_too_late_is_not_sent(late_by: timedelta, sent: bool) -> None:
    """With the limit that the operator set; exactly at the limit is in time."""
    decision = claim(a_snapshot(now=NOW + late_by), max_lateness=10 * SECOND)
    assert isinstance(decision.result, Claimed) == sent
    if not sent:
        assert buried(decision) == (Cause.TOO_LATE, "it was due 11 s ago; the limit is 10 s.")
        assert the(MarkFailed, decision).error.error_type is ErrorType.TOO_LATE


@pytest.mark.parametrize(("requeued_at", "sent"), [(None, False), (NOW + 15 * SECOND, True)])
def test_retries_and_cool_downs_make_it_late_and_a_person_does_not(requeued_at: Any, sent: bool) -> None:
    """Lateness counts from its time, whatever it waited for; a person who requeues it still wants it."""
    waited = a_like(next_retry_at=NOW + 19 * SECOND)
    before = earlier(1, requeued_at=requeued_at)
    shown = a_snapshot(waited, attempts=(before,), now=NOW + 20 * SECOND)
    assert isinstance(claim(shown, max_lateness=10 * SECOND).result, Claimed) == sent


def test_without_a_limit_nothing_is_too_late() -> None:
    """The default: late is better than never."""
    assert isinstance(claim(a_snapshot(now=NOW + 365 * DAY)).result, Claimed)


def test_late_evidence_is_believed_instead_of_sending() -> None:
    """An answer that came after the attempt had been given up says that it happened."""
    witness = earlier(
        1, event=Event.FIND_ABSENT, text="Great post!", evidence={"effect": "applied", "engagement_id": "c-1"}
    )
    decision = claim(a_snapshot(a_comment(), attempts=(witness, earlier(2))))
    assert decision.result == Executed(provenance=Provenance.RESPONSE)
    believed = the(SaveAttempt, decision).attempt
    assert (believed.number, believed.phase, believed.effect) == (1, Phase.EXECUTED, Effect.APPLIED)
    executed = the(MarkExecuted, decision)
    assert (executed.engagement_id, executed.comment_generated) == ("c-1", "Great post!")


def test_late_evidence_is_believed_before_the_time_has_come() -> None:
    """What has happened needs no due time, no admission and no account."""
    witness = earlier(1, evidence={"effect": "applied", "engagement_id": None})
    waiting = a_like(next_retry_at=NOW + DAY)
    decision = claim(a_snapshot(waiting, attempts=(witness,), account=an_account(status="expired")))
    assert isinstance(decision.result, Executed)


def test_the_first_text_wins() -> None:
    """A retry neither pays for the voice again nor changes the text."""
    before = (earlier(1, text="First!"), earlier(2, text="Second!"))
    assert the(SaveAttempt, claim(a_snapshot(a_comment(), attempts=before))).attempt.text == "First!"


def test_a_requeue_frees_the_text() -> None:
    """A person may have corrected the comment."""
    before = (earlier(1, text="First!", requeued_at=NOW),)
    assert the(SaveAttempt, claim(a_snapshot(a_comment(), attempts=before))).attempt.text is None


def test_comment_that_was_believed_absent_is_suspect() -> None:
    """It is read back once more before it is sent; a like needs no recheck."""
    absent = (earlier(1, event=Event.FIND_ABSENT, text="Great post!", requeued_at=NOW), earlier(2))
    for activity, needs_recheck in ((a_comment(), True), (a_like(), False)):
        result = claim(a_snapshot(activity, attempts=absent)).result
        assert isinstance(result, Claimed)
        assert result.needs_recheck == needs_recheck
    result = claim(a_snapshot(a_comment(), attempts=(earlier(1),))).result
    assert isinstance(result, Claimed)
    assert not result.needs_recheck


def test_burial_tells_one_story() -> None:
    """The row, the letter and the alert have the same reason and the same time."""
    decision = claim(a_snapshot(a_comment(post_id="")))
    failed, letter, alert = the(MarkFailed, decision), the(AddDeadLetter, decision).letter, the(RaiseAlert, decision)
    assert (failed.error.message, letter.message) == ("post_id is empty.", "post_id is empty.")
    assert (failed.executed_at, failed.error.timestamp, letter.buried_at) == (NOW, NOW, NOW)
    assert failed.error.will_retry is False
    assert alert.message == f"Activity activity-1 (pod pod-1) failed: post_id is empty. Next: {alert.next_step}"
    assert (alert.next_step or "").startswith(letter.next_step)
    assert all_of(SaveAttempt, decision) == []
