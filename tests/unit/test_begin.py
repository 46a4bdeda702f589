"""The last decision before a comment is sent: everything that allowed the claim is checked again."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from engagement_core.decisions.begin import decide_begin
from engagement_core.decisions.claim import Claimed, ClaimResult
from engagement_core.decisions.release import give_back, release
from engagement_core.model.activity import Malformed
from engagement_core.model.attempt import Attempt, Provenance
from engagement_core.model.controls import BlockScope, Control, ControlKind
from engagement_core.model.decision import Decision, MarkExecuted, MarkScheduled, SaveAttempt
from engagement_core.model.errors import Effect
from engagement_core.model.lifecycle import Event, Phase
from engagement_core.model.outcome import Deferred, Dropped, Executed
from engagement_core.model.snapshot import Snapshot
from support.builders import (
    DAY,
    ME,
    NOW,
    SECOND,
    a_claim,
    a_comment,
    a_snapshot,
    all_of,
    an_account,
    an_attempt,
    earlier,
    the,
)

MINE = an_attempt(Phase.CLAIMED)
AT_ONCE = timedelta(0)


def begin(
    activity: Any = None, *, mine: Attempt = MINE, text: str = "Hello!", attempts: Any = None, **shown: Any
) -> Decision[ClaimResult]:
    """Begin my attempt at a comment as it was claimed, while the store now shows this."""
    snapshot = a_snapshot(activity or a_comment(), attempts=(mine,) if attempts is None else attempts, **shown)
    return decide_begin(snapshot, claimed=a_claim(MINE, a_comment()), text=text)


def given_back(decision: Decision[ClaimResult]) -> Attempt:
    """My attempt, released without an effect."""
    released = the(SaveAttempt, decision).attempt
    assert (released.phase, released.event, released.effect) == (Phase.SCHEDULED, Event.RELEASE, Effect.NONE)
    assert (released.ended_at, released.crashed, released.began_at) == (NOW, False, None)
    return released


def test_sending_begins_with_the_text_frozen() -> None:
    """The returned attempt is the stored one, and its text is what is sent."""
    decision = begin(text="Hello!")
    saved = the(SaveAttempt, decision).attempt
    assert (saved.phase, saved.event, saved.effect) == (Phase.SENDING, Event.BEGIN_SENDING, Effect.UNKNOWN)
    assert (saved.text, saved.began_at, saved.token) == ("Hello!", NOW, ME.token)
    assert isinstance(decision.result, Claimed)
    assert decision.result.attempt == saved
    assert decision.result.engagement.text == "Hello!"


def test_a_text_that_is_frozen_already_wins() -> None:
    """It wins whatever the voice says this time."""
    decision = begin(mine=replace(MINE, text="First!"), text="Second!")
    assert the(SaveAttempt, decision).attempt.text == "First!"


@pytest.mark.parametrize(
    "attempts",
    [
        (),
        (replace(MINE, token="somebody-else/1"),),
        (an_attempt(Phase.SENDING),),
        (an_attempt(Phase.UNKNOWN),),
        (replace(MINE, phase=Phase.SCHEDULED, event=Event.RELEASE, effect=Effect.NONE),),
        (replace(MINE, phase=Phase.SCHEDULED, event=Event.RELEASE, effect=Effect.NONE), earlier(2, Phase.CLAIMED)),
    ],
    ids=["gone", "another token", "begun", "unknown", "released", "taken over"],
)
def test_lost_claim_is_fenced_off(attempts: tuple[Attempt, ...]) -> None:
    """A worker that slept meanwhile changes nothing and sends nothing."""
    assert begin(attempts=attempts) == Decision(Dropped(reason="this worker no longer holds the claim"))


@pytest.mark.parametrize(
    "activity",
    [
        a_comment(status="cancelled"),
        a_comment(status="executed"),
        Malformed(id="activity-1", status="scheduled", problems=("post_id is missing",)),
    ],
    ids=["cancelled", "executed", "malformed"],
)
def test_activity_that_was_taken_away_is_not_sent(activity: Any) -> None:
    """Cancelling works until the last moment."""
    decision = begin(activity)
    assert decision.result == Dropped(reason="it was changed or cancelled while it was prepared")
    given_back(decision)


@pytest.mark.parametrize("status", ["cancelled", "executed", "failed"])
def test_giving_back_never_schedules_what_somebody_took_away(status: str) -> None:
    """The other service's status stays."""
    assert all_of(MarkScheduled, begin(a_comment(status=status))) == []


def test_late_give_back_never_schedules_what_somebody_took_away() -> None:
    """The same holds for a pending decision that is applied minutes later."""
    snapshot = a_snapshot(a_comment(status="cancelled"), attempts=(MINE,))
    assert all_of(MarkScheduled, give_back(snapshot, token=ME.token)) == []


def test_moved_activity_waits_for_its_new_time() -> None:
    """It is given back and claimed again when it is due."""
    decision = begin(a_comment(scheduled_for=NOW + DAY))
    assert decision.result == Deferred(again_in=DAY, reason="it was moved while it was prepared")
    given_back(decision)


@pytest.mark.parametrize(
    ("activity", "account"),
    [
        (a_comment(post_id="post-2"), an_account()),
        (replace(a_comment(), comment_text="Grand post!"), an_account()),
        (a_comment(profile_id=None), an_account()),
        (a_comment(), an_account(id="account-2")),
        (a_comment(), None),
    ],
    ids=["another post", "another text", "no profile", "another account", "no account"],
)
def test_edited_activity_is_prepared_again(activity: Any, account: Any) -> None:
    """The prepared text does not fit any more: the activity is claimed again at once."""
    decision = begin(activity, account=account)
    assert decision.result == Deferred(again_in=AT_ONCE, reason="it was edited while it was prepared")
    given_back(decision)


def test_the_deadline_is_checked_before_the_intent_is_written() -> None:
    """A voice that took too long costs the attempt, but nothing is sent too late."""
    decision = begin(mine=replace(MINE, deadline_at=NOW))
    assert decision.result == Deferred(
        again_in=AT_ONCE, reason="its preparation took longer than the attempt's time limit"
    )
    given_back(decision)
    assert isinstance(begin(mine=replace(MINE, deadline_at=NOW + SECOND)).result, Claimed)


def test_gate_that_closed_meanwhile_holds_it_back() -> None:
    """When `pause` has returned, an earlier claim respects it too."""
    pause = Control(kind=ControlKind.PAUSE, scope=BlockScope.ALL, scope_id="", until=None, reason="stop")
    decision = begin(controls=(pause,))
    assert decision.result == Deferred(again_in=None, reason="pause on all: stop")
    given_back(decision)


def test_cap_that_was_used_up_meanwhile_holds_it_back() -> None:
    """The cap is charged at begin, so it is also checked at begin."""
    limited = an_account(daily_limit=5)
    snapshot = a_snapshot(a_comment(), attempts=(MINE,), account=limited, sent_in_last_day=5)
    decision = decide_begin(snapshot, claimed=a_claim(MINE, a_comment(), account=limited), text="Hello!")
    assert isinstance(decision.result, Deferred)
    given_back(decision)


@pytest.mark.parametrize(
    ("account", "sent"), [(an_account(status="restricted"), 0), (an_account(daily_limit=5), 5)], ids=["held", "capped"]
)
def test_account_that_was_held_meanwhile_sends_nothing(account: Any, sent: int) -> None:
    """Admission checks the account as it is now."""
    assert isinstance(begin(account=account, sent_in_last_day=sent).result, Deferred)


def test_give_back_keeps_the_time_of_a_waiting_retry() -> None:
    """A release is not a retry: it makes the next try neither earlier nor later."""
    decision = begin(a_comment(scheduled_for=NOW - DAY, next_retry_at=NOW + SECOND))
    assert the(MarkScheduled, decision) == MarkScheduled(activity_id="activity-1", next_retry_at=NOW + SECOND)


def test_late_evidence_is_believed_instead_of_sending() -> None:
    """My claim is released, and the earlier attempt is recorded as executed."""
    witness = earlier(1, event=Event.FIND_ABSENT, text="First!", evidence={"effect": "applied", "engagement_id": "c-1"})
    mine = replace(MINE, number=2)
    decision = begin(mine=mine, attempts=(witness, mine))
    assert decision.result == Executed(provenance=Provenance.RESPONSE)
    saved = [(write.attempt.number, write.attempt.effect) for write in all_of(SaveAttempt, decision)]
    assert saved == [(2, Effect.NONE), (1, Effect.APPLIED)]
    executed = the(MarkExecuted, decision)
    assert (executed.engagement_id, executed.comment_generated) == ("c-1", "First!")
    assert decision.writes.index(executed) == len(decision.writes) - 1


@pytest.mark.parametrize("phase", [Phase.CLAIMED, Phase.SENDING, Phase.UNKNOWN])
def test_what_an_execution_holds_can_be_given_back(phase: Phase) -> None:
    """The execution knows that it has sent nothing, even if others believe that its worker is dead."""
    held = an_attempt(phase, began_at=None)
    given_back(give_back(a_snapshot(attempts=(held,)), token=ME.token))


@pytest.mark.parametrize("phase", [Phase.SCHEDULED, Phase.EXECUTED, Phase.FAILED])
def test_giving_back_twice_changes_nothing(phase: Phase) -> None:
    """The commit that failed may have been applied after all."""
    assert give_back(a_snapshot(attempts=(an_attempt(phase),)), token=ME.token) == Decision(None)


def test_nobody_gives_back_what_another_one_holds() -> None:
    """The fencing token decides."""
    assert give_back(a_snapshot(attempts=(earlier(1, Phase.CLAIMED),)), token=ME.token) == Decision(None)


def test_a_release_without_a_row_to_read_keeps_no_time() -> None:
    """A malformed row has no retry time to keep."""
    snapshot = Snapshot(now=NOW, activity=Malformed(id="activity-1", status="scheduled", problems=("bad",)))
    assert release(snapshot, MINE)[1] == MarkScheduled(activity_id="activity-1", next_retry_at=None)
