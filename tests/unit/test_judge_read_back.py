"""What a read-back proves: presence, and, only late and after a complete read, absence."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from engagement_core.decisions.judge_read_back import Reconciled, ReconcilePolicy, decide_reconcile, unknown_attempt
from engagement_core.decisions.matching import AMBIGUOUS, UNEXPLAINED
from engagement_core.model.activity import EngagementType, Malformed
from engagement_core.model.attempt import Attempt, Provenance
from engagement_core.model.decision import AddDeadLetter, Decision, MarkExecuted, MarkFailed, MarkScheduled, SaveAttempt
from engagement_core.model.errors import Cause, Effect, Failure
from engagement_core.model.lifecycle import Event, Phase
from engagement_core.model.outcome import Buried, Deferred, Dropped, Executed
from engagement_core.model.provider import Found, NoReadBack, ReadBack, Seen
from engagement_core.model.signal import Signal
from engagement_core.ports.clock import Deadline
from engagement_core.use_cases.reconcile import Reconciler
from fakes.activities import InMemoryActivityStore
from fakes.clock import InMemoryClock
from fakes.linkedin import InMemoryLinkedIn, Outcome
from fakes.telemetry import InMemoryTelemetry
from support.builders import (
    DAY,
    ME,
    NOW,
    SECOND,
    a_claim,
    a_comment,
    a_like,
    a_snapshot,
    all_of,
    an_attempt,
    earlier,
    the,
)

POLICY = ReconcilePolicy()
LOST = an_attempt(Phase.UNKNOWN, text="Hello there!", error={"message": "No answer came."})
VISIBLE = LOST.deadline_at + POLICY.visibility_lag
PAUSE = POLICY.pause(timedelta(seconds=120))
LOST_LIKE = replace(LOST, engagement_type=EngagementType.LIKE, text=None)
NOTHING = Seen(own=())
UNREADABLE = Failure(cause=Cause.SERVER_ERROR, message="The provider is down.")


def found(text: str | None = "Hello there!", engagement_id: str | None = "c-1", created_at: Any = NOW) -> Found:
    """One engagement of ours on the post."""
    return Found(engagement_id=engagement_id, text=text, created_at=created_at)


def look(
    seen: ReadBack, activity: Any = None, *, mine: Attempt = LOST, attempts: Any = None, **shown: Any
) -> Decision[Reconciled]:
    """Judge a read of the post that began when everything is visible."""
    snapshot = a_snapshot(activity or a_comment(), attempts=attempts or (mine,), **{"now": VISIBLE, **shown})
    return decide_reconcile(snapshot, token=ME.token, seen=seen, read_at=snapshot.now, policy=POLICY)


def test_own_comment_with_the_same_text_is_present() -> None:
    """It was executed; the provenance is recorded, and the id is credited."""
    decision = look(Seen(own=(found("Something else", "c-0", NOW - DAY), found())))
    assert decision.result == Executed(provenance=Provenance.RECONCILED)
    saved = the(SaveAttempt, decision).attempt
    assert (saved.phase, saved.event, saved.effect) == (Phase.EXECUTED, Event.FIND_PRESENT, Effect.APPLIED)
    executed = the(MarkExecuted, decision)
    assert (executed.engagement_id, executed.comment_generated) == ("c-1", "Hello there!")
    assert executed.provenance is Provenance.RECONCILED


@pytest.mark.parametrize("shown", [" Hello there!\n", "Hello\u00a0there!", "Hello  there!", "Hello\nthere!"])
def test_spaces_that_the_provider_changed_do_not_matter(shown: str) -> None:
    """The provider trims and collapses blanks."""
    assert isinstance(look(Seen(own=(found(shown),))).result, Executed)


def test_entities_that_the_provider_changed_do_not_matter() -> None:
    """The provider escapes or unescapes entities."""
    escaped, plain = "Q&amp;A &lt;3", "Q&A <3"
    assert isinstance(look(Seen(own=(found(escaped),)), mine=replace(LOST, text=plain)).result, Executed)
    assert isinstance(look(Seen(own=(found(plain),)), mine=replace(LOST, text=escaped)).result, Executed)
    twice = "Q&amp;amp;A &amp;lt;3"
    assert isinstance(look(Seen(own=(found(twice),)), mine=replace(LOST, text=escaped)).result, Executed)


def test_accents_that_the_provider_composed_do_not_matter() -> None:
    """The same letters in another normal form are the same text."""
    composed, apart = "Caf\u00e9!", "Cafe\u0301!"
    assert isinstance(look(Seen(own=(found(composed),)), mine=replace(LOST, text=apart)).result, Executed)
    assert isinstance(look(Seen(own=(found(apart),)), mine=replace(LOST, text=composed)).result, Executed)


def test_a_like_is_believed_before_the_lag_is_over_and_a_comment_is_not() -> None:
    """Any like of the account is our like; a comment with the same text may be another activity's."""
    like = Seen(own=(Found(engagement_id=None, text=None, created_at=None),))
    assert isinstance(look(like, a_like(), mine=LOST_LIKE, now=NOW).result, Executed)
    early = look(Seen(own=(found(),)), now=NOW)
    assert early.result == Deferred(again_in=VISIBLE - NOW, reason="the provider may not show it yet")


@pytest.mark.parametrize("late_by", [timedelta(0), timedelta(seconds=5)])
def test_times_are_compared_with_tolerance(late_by: timedelta) -> None:
    """The provider truncates its dates, and its clock is not ours."""
    assert LOST.began_at is not None
    assert isinstance(look(Seen(own=(found(created_at=LOST.began_at - late_by),))).result, Executed)


def test_comment_without_a_date_may_be_ours() -> None:
    """A comment that cannot be ruled out counts."""
    assert isinstance(look(Seen(own=(found(created_at=None),))).result, Executed)


def test_older_comment_with_the_same_text_is_not_this_one() -> None:
    """Pods repeat themselves: yesterday's comment proves nothing about today's."""
    assert isinstance(look(Seen(own=(found(created_at=NOW - DAY),))).result, Deferred)


def test_id_that_belongs_to_another_activity_is_ignored() -> None:
    """Two activities with the same text on the same post need two comments."""
    decision = look(Seen(own=(found(),)), credited=frozenset({"c-1"}))
    assert the(SaveAttempt, decision).attempt.event is Event.FIND_ABSENT


def test_of_two_like_texts_the_one_that_nobody_has_is_ours() -> None:
    """The other one belongs to the other activity."""
    decision = look(Seen(own=(found(), found(engagement_id="c-2"))), credited=frozenset({"c-1"}))
    assert the(MarkExecuted, decision).engagement_id == "c-2"


def test_id_that_two_comments_bear_accounts_for_neither() -> None:
    """The provider's ids started again: the other activity's old comment has the same id as ours."""
    older = found("Other words", created_at=NOW - timedelta(hours=1))
    assert isinstance(look(Seen(own=(found(), older)), credited=frozenset({"c-1"})).result, Executed)
    twice = look(Seen(own=(found(), found())), credited=frozenset({"c-1"}))
    assert the(SaveAttempt, twice).attempt.event is Event.FIND_ABSENT


def test_absence_is_believed_when_everything_is_visible() -> None:
    """It is scheduled again at once, and the attempt is charged."""
    decision = look(NOTHING)
    assert decision.result == Deferred(again_in=timedelta(0), reason="find_absent: it is sent again")
    saved = the(SaveAttempt, decision).attempt
    assert (saved.phase, saved.event, saved.effect) == (Phase.SCHEDULED, Event.FIND_ABSENT, Effect.NONE)
    scheduled = the(MarkScheduled, decision)
    assert (scheduled.next_retry_at, scheduled.counts) == (VISIBLE, True)
    assert scheduled.error is not None
    assert (scheduled.error.error_type.value, scheduled.error.message) == ("outcome_unknown", "No answer came.")


def test_absence_is_not_believed_before_the_deadline_and_the_lag_are_over() -> None:
    """The time that counts is when the read began, on the database's clock."""
    snapshot = a_snapshot(a_comment(), attempts=(LOST,), now=VISIBLE + SECOND)
    decision = decide_reconcile(
        snapshot, token=ME.token, seen=NOTHING, read_at=VISIBLE - timedelta(microseconds=1), policy=POLICY
    )
    assert isinstance(decision.result, Deferred)
    assert the(SaveAttempt, decision).attempt.phase is Phase.UNKNOWN
    assert all_of(MarkScheduled, decision) == []


def test_early_look_comes_again_when_everything_is_visible() -> None:
    """Not earlier: that would prove nothing."""
    decision = look(NOTHING, now=NOW + 40 * SECOND)
    assert decision.result == Deferred(
        again_in=VISIBLE - (NOW + 40 * SECOND), reason="the provider may not show it yet"
    )
    assert the(SaveAttempt, decision).attempt.look_at == VISIBLE


def test_strangers_comment_forbids_absence() -> None:
    """It may be ours with a changed text: nothing is sent while this is not known."""
    decision = look(Seen(own=(found("Entirely different"),)))
    assert isinstance(decision.result, Deferred)
    saved = the(SaveAttempt, decision).attempt
    assert (saved.phase, saved.look_at) == (Phase.UNKNOWN, VISIBLE + PAUSE)


def test_strangers_comment_that_belongs_to_another_activity_is_none() -> None:
    """The other activity explains it."""
    decision = look(Seen(own=(found("Entirely different"),)), credited=frozenset({"c-1"}))
    assert the(SaveAttempt, decision).attempt.event is Event.FIND_ABSENT


def test_like_that_is_shown_is_present() -> None:
    """A like has neither text nor date nor id."""
    mine = LOST_LIKE
    decision = look(Seen(own=(Found(engagement_id=None, text=None, created_at=None),)), a_like(), mine=mine)
    assert decision.result == Executed(provenance=Provenance.RECONCILED)


def test_like_that_is_not_shown_is_absent() -> None:
    """It waits as long as a comment, and is proven in the same way."""
    decision = look(NOTHING, a_like(), mine=LOST_LIKE)
    assert the(SaveAttempt, decision).attempt.event is Event.FIND_ABSENT


def test_failed_read_proves_nothing() -> None:
    """The read is repeated after a while."""
    decision = look(UNREADABLE)
    assert decision.result == Deferred(again_in=PAUSE, reason="the read-back failed: The provider is down.")
    assert the(SaveAttempt, decision).attempt == replace(LOST, look_at=VISIBLE + PAUSE)


@pytest.mark.parametrize("seen", [UNREADABLE, Seen(own=(found("Entirely different"),))], ids=["failed", "stranger"])
def test_what_cannot_be_proven_in_a_day_is_left_to_a_person(seen: ReadBack) -> None:
    """It becomes a dead letter of unknown effect 24 hours after it began, not before."""
    assert LOST.began_at is not None
    at = LOST.began_at + DAY
    assert isinstance(look(seen, now=at - SECOND).result, Deferred)
    decision = look(seen, now=at)
    assert isinstance(decision.result, Buried)
    letter = the(AddDeadLetter, decision).letter
    assert (letter.error_type.value, letter.effect) == ("outcome_unknown", Effect.UNKNOWN)
    saved = the(SaveAttempt, decision).attempt
    assert (saved.phase, saved.effect) == (Phase.FAILED, Effect.UNKNOWN)
    assert saved.may_have_had_effect


def test_presence_is_believed_after_a_day_too() -> None:
    """The limit applies only while the outcome is not known."""
    assert isinstance(look(Seen(own=(found(),)), now=NOW + 2 * DAY).result, Executed)


def test_like_that_nobody_can_read_back_is_repeated_after_the_deadline() -> None:
    """A reaction is set, not added: whatever the first call did, a second one changes nothing."""
    mine = LOST_LIKE
    early = look(NoReadBack(), a_like(), mine=mine, now=NOW)
    assert early.result == Deferred(again_in=29 * SECOND, reason="the call may still be running")
    decision = look(NoReadBack(), a_like(), mine=mine, now=mine.deadline_at)
    saved = the(SaveAttempt, decision).attempt
    assert (saved.event, saved.effect) == (Event.REPEAT, Effect.REPEATABLE)
    assert not saved.may_have_had_effect
    assert the(MarkScheduled, decision).counts is True


def test_comment_that_nobody_can_read_back_is_left_to_a_person() -> None:
    """No second send without proof, and no decision before the call must have ended."""
    assert isinstance(look(NoReadBack(), now=NOW).result, Deferred)
    decision = look(NoReadBack(), now=LOST.deadline_at)
    assert isinstance(decision.result, Buried)
    letter = the(AddDeadLetter, decision).letter
    assert (letter.error_type.value, letter.effect) == ("outcome_unknown", Effect.UNKNOWN)
    assert letter.message == "No answer came. The provider cannot be asked whether the comment was posted."
    assert the(MarkFailed, decision).counts is True


@pytest.mark.parametrize(
    ("seen", "activity", "effect"),
    [(NOTHING, a_comment(), Effect.NONE), (NoReadBack(), a_like(), Effect.REPEATABLE)],
    ids=["absent", "repeat"],
)
def test_third_attempt_that_left_nothing_is_the_last(seen: ReadBack, activity: Any, effect: Effect) -> None:
    """It becomes a dead letter that may be requeued at once."""
    mine = replace(LOST, number=3, engagement_type=activity.engagement_type)
    decision = look(seen, activity, attempts=(earlier(1), earlier(2), mine))
    assert isinstance(decision.result, Buried)
    assert the(AddDeadLetter, decision).letter.effect is effect
    assert not the(SaveAttempt, decision).attempt.may_have_had_effect


@pytest.mark.parametrize(
    "attempts",
    [(replace(LOST, token="somebody-else/1"),), (an_attempt(Phase.EXECUTED),), (an_attempt(Phase.SCHEDULED),)],
    ids=["another token", "executed", "scheduled"],
)
def test_what_was_settled_meanwhile_is_left_alone(attempts: Any) -> None:
    """Several workers may read back at once."""
    assert look(NOTHING, attempts=attempts) == Decision(Dropped(reason="its outcome is already known"))


def test_only_one_attempt_can_be_unknown() -> None:
    """It is the one that is read back."""
    assert unknown_attempt(a_snapshot(attempts=(earlier(1), LOST))) == LOST
    assert unknown_attempt(a_snapshot(attempts=(earlier(1), an_attempt()))) is None


def test_unknown_outcome_of_a_row_that_became_malformed_is_settled() -> None:
    """The attempt knows what was sent: what the post shows settles it, whatever the row says by now."""
    row = Malformed(id="activity-1", status="scheduled", problems=("post_id is missing",))
    assert the(SaveAttempt, look(NOTHING, row)).attempt.event is Event.FIND_ABSENT
    assert the(SaveAttempt, look(UNREADABLE, row)).attempt.look_at == VISIBLE + PAUSE


def test_unknown_outcome_of_a_row_that_was_deleted_is_left_to_a_person() -> None:
    """The audit log and a letter say that it may have happened; there is no row to change."""
    snapshot = replace(a_snapshot(a_comment(), attempts=(LOST,), now=VISIBLE), activity=None)
    decision = decide_reconcile(snapshot, token=ME.token, seen=NOTHING, read_at=VISIBLE, policy=POLICY)
    saved = the(SaveAttempt, decision).attempt
    assert (saved.phase, saved.effect) == (Phase.FAILED, Effect.UNKNOWN)
    assert the(AddDeadLetter, decision).letter.effect is Effect.UNKNOWN
    assert all_of(MarkFailed, decision) == []


def test_absence_never_schedules_what_somebody_took_away() -> None:
    """The other service's status stays; the attempt itself is closed."""
    decision = look(NOTHING, a_comment(status="cancelled"))
    assert all_of(MarkScheduled, decision) == []


def test_late_evidence_of_an_earlier_attempt_is_read() -> None:
    """It has happened, whatever the last attempt did."""
    witness = earlier(1, event=Event.FIND_ABSENT, evidence={"effect": "applied", "engagement_id": "c-0"})
    decision = look(NoReadBack(), attempts=(witness, replace(LOST, number=2)))
    assert all_of(MarkFailed, decision) == []


def test_outcome_is_looked_for_on_the_post_that_it_was_sent_to() -> None:
    """An edit of the row meanwhile proves nothing about what was sent."""
    clock = InMemoryClock(origin=NOW)
    store = InMemoryActivityStore(now=clock.now)
    linkedin = InMemoryLinkedIn(now=clock.now)
    linkedin.will(Outcome(answer=Failure(cause=Cause.NO_ANSWER, message="No answer came.")))
    snapshot = a_snapshot(a_comment())
    assert snapshot.pod is not None
    assert snapshot.account is not None
    linkedin.engage(a_claim(LOST, a_comment()).engagement, Deadline.after(clock, SECOND))
    store.activities["activity-1"] = a_comment(post_id="post-2")
    store.pods["pod-1"], store.accounts["account-1"] = snapshot.pod, snapshot.account
    store.attempts["activity-1"] = {1: replace(LOST, look_at=NOW)}
    clock.advance(DAY / 2)
    Reconciler(store=store, linkedin=linkedin, telemetry=InMemoryTelemetry(), clock=clock).settle("activity-1")
    assert store.attempts["activity-1"][1].may_have_had_effect


def test_letter_that_a_read_back_leads_to_is_told_like_every_other() -> None:
    """It is counted among the dead letters, too, once."""
    clock, telemetry = InMemoryClock(origin=NOW), InMemoryTelemetry()
    store = InMemoryActivityStore(now=clock.now)
    store.attempts["activity-1"] = {1: replace(LOST, look_at=NOW)}
    clock.advance(DAY / 2)
    linkedin = InMemoryLinkedIn(now=clock.now)
    assert Reconciler(store=store, linkedin=linkedin, telemetry=telemetry, clock=clock).settle_all() == 1
    assert set(store.dead_letters) == {"activity-1"}
    (told,) = telemetry.fields_of(Signal.DEAD_LETTER)
    assert (told["activity_id"], told["attempt"], told["error_type"]) == ("activity-1", 1, "outcome_unknown")
    assert told["message"] == store.dead_letters["activity-1"].message


@pytest.mark.parametrize("behind", [timedelta(seconds=6), timedelta(minutes=10)])
def test_same_words_from_a_little_before_the_sending_prove_neither(behind: timedelta) -> None:
    """The provider's clock may be behind. It may be ours, so it is not sent again; it may be another's, so it is not
    taken."""
    assert LOST.began_at is not None
    shown = Seen(own=(found(created_at=LOST.began_at - behind),))
    assert look(shown).result == Deferred(again_in=PAUSE, reason=UNEXPLAINED)
    assert the(SaveAttempt, look(shown)).attempt.phase is Phase.UNKNOWN
    credited = look(shown, credited=frozenset({"c-1"}))
    assert the(SaveAttempt, credited).attempt.event is Event.FIND_ABSENT


@pytest.mark.parametrize(
    "older", [found(created_at=NOW - timedelta(minutes=12)), found("Other words", created_at=NOW - 30 * SECOND)]
)
def test_what_is_older_than_any_skew_or_says_something_else_forbids_nothing(older: Found) -> None:
    """Otherwise an account that comments more than once a day would always be stuck."""
    assert the(SaveAttempt, look(Seen(own=(older,)))).attempt.event is Event.FIND_ABSENT


def test_what_an_earlier_attempt_left_is_the_engagement_too() -> None:
    """It was believed absent and appears while the second sending is unknown: it has happened."""
    first = earlier(1, event=Event.FIND_ABSENT, text="Hello there!", began_at=NOW - 300 * SECOND)
    second = replace(LOST, number=2)
    decision = look(Seen(own=(found(created_at=NOW - 300 * SECOND),)), mine=second, attempts=(first, second))
    assert decision.result == Executed(provenance=Provenance.RECONCILED)


def test_nothing_is_buried_that_somebody_took_away() -> None:
    """No letter is written, so none is announced."""
    decision = look(UNREADABLE, a_comment(status="cancelled"), now=NOW + DAY)
    assert isinstance(decision.result, Dropped)
    assert all_of(AddDeadLetter, decision) == []
    assert the(SaveAttempt, decision).attempt.phase is Phase.FAILED


_MINUTE = timedelta(minutes=1)
_UNDER_WAY = replace(LOST, activity_id="activity-2", token="worker-2/1", phase=Phase.SENDING)
_WITHOUT_ID = replace(
    _UNDER_WAY,
    phase=Phase.EXECUTED,
    event=Event.CONFIRM,
    effect=Effect.APPLIED,
    ended_at=NOW,
    answer={"engagement_id": None},
)
_LOST_TOO = replace(_UNDER_WAY, phase=Phase.UNKNOWN, event=Event.LOSE_TRACK, deadline_at=LOST.deadline_at + SECOND)


@pytest.mark.parametrize("rival", [_UNDER_WAY, _WITHOUT_ID, _LOST_TOO], ids=lambda rival: rival.phase.value)
@pytest.mark.parametrize("created_at", [NOW, NOW - 9 * _MINUTE, NOW + 9 * _MINUTE, None])
def test_what_another_activity_may_have_posted_in_the_same_words_is_not_taken(rival: Attempt, created_at: Any) -> None:
    """Its answer may still name it, or has named nothing; meanwhile ours is not sent again either."""
    decision = look(Seen(own=(found(created_at=created_at),)), neighbours=(rival,))
    assert decision.result == Deferred(again_in=PAUSE, reason=AMBIGUOUS)
    assert the(SaveAttempt, decision).attempt.phase is Phase.UNKNOWN


@pytest.mark.parametrize(
    "rival",
    [
        replace(_UNDER_WAY, text="Other words"),
        replace(_WITHOUT_ID, began_at=NOW - 12 * _MINUTE, ended_at=NOW - 11 * _MINUTE),
        replace(_UNDER_WAY, began_at=NOW + 11 * _MINUTE),
        replace(_LOST_TOO, deadline_at=LOST.deadline_at),
    ],
    ids=("other words", "long before", "long after", "judged by now as well"),
)
def test_what_another_activity_cannot_have_posted_is_taken(rival: Attempt) -> None:
    """If both are judged by the post alone, each takes one comment, and it does not matter which."""
    assert isinstance(look(Seen(own=(found(),)), neighbours=(rival,)).result, Executed)


def test_a_rival_whose_comment_is_not_shown_forbids_nothing() -> None:
    """A comment that the post does not show cannot be taken."""
    assert the(SaveAttempt, look(NOTHING, neighbours=(_UNDER_WAY,))).attempt.event is Event.FIND_ABSENT


def test_a_comment_in_a_neighbour_s_words_and_at_its_time_is_accounted_for() -> None:
    """The provider gave no id for it. Each such neighbour explains one comment with its own text only."""
    other = replace(_WITHOUT_ID, text="Other words.")
    theirs = found(engagement_id="c-9", text="Other words.")
    assert the(SaveAttempt, look(Seen(own=(theirs,)), neighbours=(other,))).attempt.event is Event.FIND_ABSENT
    second = replace(theirs, engagement_id="c-10")
    assert look(Seen(own=(theirs, second)), neighbours=(other,)).result == Deferred(again_in=PAUSE, reason=UNEXPLAINED)
    changed = replace(theirs, text="Other words, shortened.")
    assert look(Seen(own=(changed,)), neighbours=(other,)).result == Deferred(again_in=PAUSE, reason=UNEXPLAINED)


def test_the_later_one_is_not_taken_while_an_earlier_one_may_be_ours() -> None:
    """If the provider's clock is behind, ours seems to be older than its sending, and the later one is another's."""
    assert LOST.began_at is not None
    shown = Seen(own=(found(created_at=LOST.began_at - 6 * SECOND), found(engagement_id="c-2")))
    assert look(shown).result == Deferred(again_in=PAUSE, reason=UNEXPLAINED)


def test_what_a_neighbour_has_is_not_ours_although_its_row_does_not_say_so() -> None:
    """The neighbour's row was deleted or emptied; its attempt still has the id."""
    named = replace(_WITHOUT_ID, answer={"engagement_id": "c-1"})
    assert the(SaveAttempt, look(Seen(own=(found(),)), neighbours=(named,))).attempt.event is Event.FIND_ABSENT


def _posted_before(age: timedelta, number: int = 2) -> Attempt:
    """A neighbour that was executed without an id, so long before ours was sent."""
    assert LOST.began_at is not None
    at = LOST.began_at - age
    return replace(_WITHOUT_ID, activity_id=f"activity-{number}", began_at=at, ended_at=at + SECOND)


def test_of_more_comments_than_others_have_posted_one_is_ours() -> None:
    """An executed neighbour without an id has posted one of them, at its time."""
    neighbour = _posted_before(_MINUTE)
    theirs, ours = found(created_at=neighbour.began_at), found(engagement_id="c-2")
    assert the(MarkExecuted, look(Seen(own=(theirs, ours)), neighbours=(neighbour,))).engagement_id == "c-2"
    both = (neighbour, _posted_before(2 * _MINUTE, number=3))
    assert look(Seen(own=(theirs, ours)), neighbours=both).result == Deferred(again_in=PAUSE, reason=AMBIGUOUS)


@pytest.mark.parametrize("neighbours", [(_posted_before(2 * _MINUTE),), (_posted_before(_MINUTE),)])
def test_one_that_is_too_early_for_ours_and_nobody_else_s_for_certain_forbids_to_take_another(
    neighbours: tuple[Attempt, ...],
) -> None:
    """The provider's clock may be behind: the early one would be ours, and the one that we took another activity's."""
    assert LOST.began_at is not None
    early = [found(engagement_id=f"c-{n}", created_at=LOST.began_at - _MINUTE) for n in (3, 4)]
    shown = Seen(own=(*early, found()))
    assert look(shown, neighbours=neighbours).result == Deferred(again_in=PAUSE, reason=UNEXPLAINED)


def test_a_comment_that_two_pages_show_is_one() -> None:
    """A neighbour has posted it; only a second one would be ours."""
    neighbour = _posted_before(SECOND)
    assert look(Seen(own=(found(), found())), neighbours=(neighbour,)).result == Deferred(
        again_in=PAUSE, reason=AMBIGUOUS
    )


def test_comments_that_are_shown_without_ids_are_counted_as_well() -> None:
    """Two activities and one comment: the other activity is known to have posted it, not this one."""
    nameless = found(engagement_id=None)
    assert look(Seen(own=(nameless,)), neighbours=(_WITHOUT_ID,)).result == Deferred(again_in=PAUSE, reason=AMBIGUOUS)
    other = found(engagement_id=None, created_at=NOW + SECOND)
    assert isinstance(look(Seen(own=(nameless, other)), neighbours=(_WITHOUT_ID,)).result, Executed)
