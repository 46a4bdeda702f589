"""The recheck before a comment is sent again: it is sent only if nothing on the post may be it."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import Any

from engagement_core.decisions.judge_read_back import ReconcilePolicy
from engagement_core.decisions.recheck import decide_last_look
from engagement_core.model.attempt import Attempt, Provenance
from engagement_core.model.decision import AddDeadLetter, Decision, MarkExecuted, MarkScheduled, SaveAttempt
from engagement_core.model.errors import Cause, Effect, Failure
from engagement_core.model.lifecycle import Event, Phase
from engagement_core.model.outcome import Buried, Deferred, Dropped, Executed
from engagement_core.model.provider import Found, ReadBack, Seen
from support.builders import DAY, NOW, SECOND, a_claim, a_comment, a_snapshot, all_of, an_attempt, the

POLICY = ReconcilePolicy()
NOTHING = Seen(own=())
UNREADABLE = Failure(cause=Cause.SERVER_ERROR, message="The provider is down.")
CLAIMED = an_attempt(Phase.CLAIMED, number=2, token="worker-1/8", text=None)
ABSENT = an_attempt(Phase.SCHEDULED, event=Event.FIND_ABSENT, text="Hello there!", began_at=NOW - 300 * SECOND)


def found(text: str | None = "Hello there!", engagement_id: str | None = "c-1", created_at: Any = NOW) -> Found:
    """One comment of ours on the post."""
    return Found(engagement_id=engagement_id, text=text, created_at=created_at)


def last_look(seen: ReadBack, attempts: tuple[Attempt, ...] = (ABSENT, CLAIMED), **shown: Any) -> Decision[Any]:
    """Recheck a comment that was believed absent before it is sent again."""
    snapshot = a_snapshot(a_comment(), attempts=attempts, **shown)
    return decide_last_look(
        snapshot, claimed=a_claim(CLAIMED, a_comment()), text="Hello there!", seen=seen, policy=POLICY
    )


def test_comment_that_is_still_absent_may_be_sent() -> None:
    """Nothing is written; the begin follows."""
    assert last_look(NOTHING) == Decision(None)


def test_a_requeued_comment_whose_looks_prove_nothing_goes_back_to_a_person_in_the_end() -> None:
    """Nothing was sent since the requeue, so the time until we give up counts from the first claim."""
    requeued = replace(ABSENT, number=1, requeued_at=NOW - 2 * DAY)
    first = replace(CLAIMED, number=2, claimed_at=NOW - DAY, phase=Phase.SCHEDULED, event=Event.RELEASE)
    stranger = Seen(own=(found("By hand.", created_at=NOW - SECOND),))
    assert last_look(stranger, (requeued, replace(first, claimed_at=NOW - 40 * SECOND), CLAIMED)).result == Deferred(
        again_in=10 * SECOND, reason="the post shows a comment of the account that belongs to no known activity"
    )
    assert isinstance(last_look(stranger, (requeued, first, CLAIMED)).result, Buried)


def test_comment_that_appeared_after_all_is_not_sent_again() -> None:
    """The search covers the time since the first attempt began, not only since this claim."""
    decision = last_look(Seen(own=(found(created_at=NOW - 299 * SECOND),)))
    assert decision.result == Executed(provenance=Provenance.RECONCILED)
    assert the(MarkExecuted, decision).engagement_id == "c-1"
    assert the(SaveAttempt, decision).attempt.phase is Phase.EXECUTED


def test_last_look_that_fails_postpones() -> None:
    """If the post cannot be read, nothing is sent."""
    decision = last_look(UNREADABLE)
    assert isinstance(decision.result, Deferred)
    assert the(SaveAttempt, decision).attempt.event is Event.RELEASE
    assert the(MarkScheduled, decision).next_retry_at == NOW + 75 * SECOND


def test_stranger_at_the_last_look_postpones() -> None:
    """It may be our comment with a changed text."""
    decision = last_look(Seen(own=(found("Entirely different"),)))
    assert isinstance(decision.result, Deferred)
    assert the(MarkScheduled, decision).next_retry_at == NOW + 75 * SECOND


def test_last_look_does_not_postpone_for_ever() -> None:
    """After a day a person decides, as everywhere else."""
    old = replace(ABSENT, began_at=NOW - 30 * DAY)
    assert isinstance(last_look(Seen(own=(found("Entirely different"),)), attempts=(old, CLAIMED)).result, Buried)


def test_claim_that_was_lost_meanwhile_ends_the_last_look() -> None:
    """Another worker has the activity."""
    lost = replace(CLAIMED, phase=Phase.SCHEDULED, event=Event.RELEASE, effect=Effect.NONE)
    assert last_look(NOTHING, attempts=(ABSENT, lost)) == Decision(
        Dropped(reason="this worker no longer holds the claim")
    )


def test_same_words_from_a_little_before_the_first_sending_postpone() -> None:
    """The provider's clock may be behind: what may be ours is neither accepted as ours nor sent again."""
    decision = last_look(Seen(own=(found(created_at=NOW - 300 * SECOND - timedelta(minutes=9)),)))
    assert isinstance(decision.result, Deferred)
    assert last_look(Seen(own=(found(created_at=NOW - timedelta(minutes=16)),))) == Decision(None)


def test_what_was_taken_away_meanwhile_is_not_buried() -> None:
    """It was cancelled during a day of rechecks: there is no letter and no alert."""
    old = replace(ABSENT, began_at=NOW - 30 * DAY)
    cancelled = a_snapshot(a_comment(status="cancelled"), attempts=(old, CLAIMED))
    decision = decide_last_look(
        cancelled, claimed=a_claim(CLAIMED, a_comment()), text="Hello there!", seen=UNREADABLE, policy=POLICY
    )
    assert isinstance(decision.result, Dropped)
    assert all_of(AddDeadLetter, decision) == []
