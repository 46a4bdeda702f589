"""The use case: one activity from a wake-up to a verdict, with the in-memory adapters."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import timedelta
from functools import partial
from typing import Any

import pytest

from engagement_core.decisions.claim import ClaimPolicy
from engagement_core.decisions.orphans import decide_orphan
from engagement_core.decisions.retry import RetryPolicy
from engagement_core.decisions.verdict import decide_verdict
from engagement_core.model.activity import Activity
from engagement_core.model.attempt import Provenance
from engagement_core.model.decision import Decision, MarkExecuted
from engagement_core.model.errors import Cause, Effect, Failure
from engagement_core.model.lifecycle import Event, Phase
from engagement_core.model.orphan import Orphan
from engagement_core.model.outcome import Buried, Deferred, Dropped, Executed, Unknown
from engagement_core.model.provider import Found, NotSent, Seen
from engagement_core.model.signal import Signal
from engagement_core.model.snapshot import Snapshot
from engagement_core.ports.activities import StoreUnavailable
from engagement_core.use_cases.event_fields import answer_fields
from engagement_core.use_cases.execute import Executor
from engagement_core.use_cases.pending_decisions import PendingDecisions
from fakes.activities import InMemoryActivityStore
from fakes.clock import InMemoryClock
from fakes.linkedin import InMemoryLinkedIn
from fakes.linkedin import Outcome as Scripted
from fakes.telemetry import InMemoryTelemetry
from fakes.voice import InMemoryVoice
from support.builders import CARTRIDGE, POD, a_comment, a_like, an_account

SECOND = timedelta(seconds=1)
REFUSED = Failure(cause=Cause.NO_SESSION, message="No session.")
LOST = Failure(cause=Cause.NO_ANSWER, message="No answer came.")


class Stage:
    """An executor on fakes, with one pod, one account and one voice."""

    def __init__(self, activity: Activity, **options: Any) -> None:
        self.clock = InMemoryClock()
        self.store = InMemoryActivityStore(now=self.clock.now)
        self.linkedin, self.voice = InMemoryLinkedIn(now=self.clock.now), InMemoryVoice()
        self.telemetry, self.pending = InMemoryTelemetry(), PendingDecisions()
        self.store.pods[POD.id], self.store.cartridges[CARTRIDGE.id] = POD, CARTRIDGE
        self.store.accounts["account-1"] = an_account()
        self.store.activities[activity.id] = replace(activity, scheduled_for=self.clock.now())
        self.executor = Executor(
            worker_id="worker-1",
            store=self.store,
            linkedin=self.linkedin,
            voice=self.voice,
            telemetry=self.telemetry,
            clock=self.clock,
            pending=self.pending,
            **options,
        )

    def execute(self) -> Any:
        return self.executor.execute("activity-1")

    def attempt(self, number: int = 1) -> Any:
        return self.store.attempts["activity-1"][number]

    @contextmanager
    def breaking(self, nth: int, *, after_commit: bool) -> Iterator[None]:
        """The database breaks at the n-th change, before or after its commit."""
        changes, change = 0, self.store.change

        def broken(activity_id: str, decide: Callable[[Snapshot], Decision[Any]], **more: Any) -> Any:
            nonlocal changes
            changes += 1
            if changes != nth:
                return change(activity_id, decide, **more)
            if after_commit:
                change(activity_id, decide, **more)
            raise StoreUnavailable("the connection broke")

        self.store.change = broken  # type: ignore[method-assign]
        try:
            yield
        finally:
            self.store.change = change  # type: ignore[method-assign]


def test_a_like_is_sent_once_and_recorded() -> None:
    """With the signals that the log shows."""
    stage = Stage(a_like())
    assert stage.execute() == Executed(provenance=Provenance.RESPONSE)
    assert len(stage.linkedin.calls) == 1
    assert stage.attempt().phase is Phase.EXECUTED
    assert [told.signal for told in stage.telemetry.told] == [
        Signal.ACTIVITY_VALIDATED,
        Signal.CALL_STARTED,
        Signal.CALL_ENDED,
        Signal.DATABASE_UPDATED,
        Signal.JOB_COMPLETED,
    ]


def test_a_comment_is_spoken_frozen_and_sent() -> None:
    """What the voice says is what is sent and stored."""
    stage = Stage(a_comment())
    stage.voice.will_say("activity-1", "This is a fantastic post!")
    assert isinstance(stage.execute(), Executed)
    assert stage.linkedin.calls[0].text == "This is a fantastic post!"
    assert stage.store.executed["activity-1"].comment_generated == "This is a fantastic post!"


@pytest.mark.parametrize("says", [None, "Sure! Here is a comment: {{0}}", ""])
def test_a_voice_that_fails_or_breaks_the_rules_is_not_heard(says: str | None) -> None:
    """The original goes out."""
    stage = Stage(a_comment())
    if says is None:
        stage.voice.will_fail("activity-1", "it is hoarse")
    else:
        stage.voice.will_say("activity-1", says)
    assert isinstance(stage.execute(), Executed)
    assert stage.linkedin.calls[0].text == "Great post!"


@pytest.mark.parametrize(("job_timeout", "allowed"), [(30, 10), (4, 4)])
def test_a_voice_may_last_as_long_as_its_timeout_and_the_attempt_allow(job_timeout: int, allowed: int) -> None:
    """In seconds, the shorter of the two."""
    stage = Stage(a_comment(), claim_policy=ClaimPolicy(job_timeout=job_timeout * SECOND), voice_timeout=10 * SECOND)
    remaining: list[float] = []
    stage.voice.before_speaking = lambda _, deadline: remaining.append(deadline.remaining())
    stage.execute()
    assert remaining == [allowed]


def test_an_open_breaker_claims_nothing() -> None:
    """It waits, uncharged, without a row."""
    stage = Stage(a_like())
    stage.linkedin.close_for(5 * SECOND)
    assert stage.execute() == Deferred(again_in=5 * SECOND, reason="the provider's breaker is open")
    assert stage.store.attempts == {}


@pytest.mark.parametrize(
    ("activity", "nth"),
    [(a_like(), 1), (a_comment(), 1), (a_comment(), 2)],
    ids=["like, claim and begin", "comment, claim", "comment, begin"],
)
@pytest.mark.parametrize("after_commit", [False, True])
def test_a_database_that_breaks_before_the_call_means_that_nothing_is_sent(
    activity: Activity, nth: int, after_commit: bool
) -> None:
    """Whether it was committed is not known: what was is given back, and the activity is sent once."""
    stage = Stage(activity)
    with stage.breaking(nth, after_commit=after_commit):
        assert isinstance(stage.execute(), Deferred)
    assert stage.linkedin.calls == []
    stage.pending.flush(stage.store)
    assert isinstance(stage.execute(), Executed)
    assert len(stage.linkedin.calls) == 1


def test_an_outage_fills_no_memory() -> None:
    """However often an activity is tried meanwhile, there is one claim to give back."""
    stage = Stage(a_like())
    with stage.breaking(1, after_commit=False):
        assert isinstance(stage.execute(), Deferred)
    for _ in range(3):
        assert stage.execute() == Deferred(again_in=SECOND, reason="the database has yet to be told of its last try")
    assert len(stage.pending) == 1
    stage.pending.flush(stage.store)
    assert isinstance(stage.execute(), Executed)


@pytest.mark.parametrize(("activity", "nth"), [(a_like(), 2), (a_comment(), 3)], ids=["like", "comment"])
@pytest.mark.parametrize("after_commit", [False, True])
def test_a_database_that_breaks_after_the_call_does_not_lose_the_answer(
    activity: Activity, nth: int, after_commit: bool
) -> None:
    """It is kept, nobody sends again meanwhile, and it is recorded when the database is back."""
    stage = Stage(activity)
    with stage.breaking(nth, after_commit=after_commit):
        assert isinstance(stage.execute(), Dropped)
    assert isinstance(stage.execute(), Deferred)
    somebody_else = replace(stage.executor, worker_id="worker-2", pending=PendingDecisions())
    assert isinstance(somebody_else.execute("activity-1"), Dropped)
    assert stage.pending.flush(stage.store) == 1
    assert stage.store.activities["activity-1"].status == "executed"
    assert len(stage.linkedin.calls) == 1


def test_three_refusals_end_as_a_dead_letter() -> None:
    """At once, after 500 ms, after 1.5 s."""
    stage = Stage(a_comment())
    stage.linkedin.will(*[Scripted(applies=False, answer=REFUSED)] * 3)
    waits = []
    while isinstance(outcome := stage.execute(), Deferred):
        assert outcome.again_in is not None
        waits.append(outcome.again_in)
        stage.clock.advance(outcome.again_in)
    assert waits == [timedelta(milliseconds=500), timedelta(milliseconds=1500)]
    assert isinstance(outcome, Buried)
    assert stage.store.activities["activity-1"].failure_count == 3
    assert "activity-1" in stage.store.dead_letters


def test_the_first_text_wins() -> None:
    """What was frozen first is sent each time, whatever the voice would say by now; it is not even asked."""
    stage = Stage(a_comment())
    stage.linkedin.will(Scripted(applies=False, answer=REFUSED))
    stage.voice.will_say("activity-1", "The first text.")
    stage.execute()
    stage.voice.will_say("activity-1", "Another text.")
    stage.clock.advance(SECOND)
    assert isinstance(stage.execute(), Executed)
    assert [call.text for call in stage.linkedin.calls] == ["The first text."] * 2
    assert stage.voice.spoken_for == ["activity-1"]


def test_a_defect_in_a_voice_does_not_cost_the_comment() -> None:
    """The original goes out, and the log says why; not with the voice's words, which may quote the comment."""
    stage = Stage(a_comment())

    def break_down(*_: object) -> None:
        raise ZeroDivisionError("Great post!")

    stage.voice.before_speaking = break_down
    assert isinstance(stage.execute(), Executed)
    assert stage.linkedin.calls[0].text == "Great post!"
    (prepared,) = stage.telemetry.fields_of(Signal.COMMENT_PREPARED)
    assert prepared["reason"] == "the voice failed unexpectedly: ZeroDivisionError"


def _adopt_at_the_call(stage: Stage) -> None:
    """Somebody takes this worker for dead while its call is on the wire."""

    def adopt(*_: object) -> None:
        orphan = Orphan(activity_id="activity-1", number=1, reason="it was silent")
        stage.store.change("activity-1", partial(decide_orphan, orphan=orphan))

    stage.linkedin.before_engaging = adopt


def test_an_answer_that_comes_after_the_lease_was_lost_is_believed() -> None:
    """Nobody has found out anything else meanwhile: it happened, once."""
    stage = Stage(a_like())
    _adopt_at_the_call(stage)
    assert stage.execute() == Executed(provenance=Provenance.RESPONSE)
    assert stage.store.activities["activity-1"].status == "executed"
    assert (stage.attempt().phase, stage.attempt().effect) == (Phase.EXECUTED, Effect.APPLIED)


def test_an_answer_that_comes_after_it_was_believed_absent_keeps_it_from_being_sent_again() -> None:
    """It was scheduled again; before anybody sends, the late answer makes it executed."""
    stage = Stage(a_like())

    def take_for_absent(*_: object) -> None:
        lost = stage.attempt().after(Event.LOSE_TRACK)
        ended = lost.after(Event.FIND_ABSENT, effect=Effect.NONE, ended_at=stage.clock.now())
        stage.store.attempts["activity-1"][1] = ended

    stage.linkedin.before_engaging = take_for_absent
    assert stage.execute() == Executed(provenance=Provenance.RESPONSE)
    assert isinstance(stage.execute(), Dropped)
    assert len(stage.linkedin.calls) == 1


def test_an_answer_that_comes_while_another_attempt_owns_the_activity_is_evidence() -> None:
    """It decides nothing; but once the other attempt is refused, nothing is sent again."""
    stage = Stage(a_like())

    def another_claims(*_: object) -> None:
        stage.linkedin.before_engaging = lambda *_: None
        lost = stage.attempt().after(Event.LOSE_TRACK)
        ended = lost.after(Event.FIND_ABSENT, effect=Effect.NONE, ended_at=stage.clock.now())
        other = replace(stage.attempt(), number=2, token="worker-2/0", worker_id="worker-2")
        stage.store.attempts["activity-1"].update({1: ended, 2: other})

    stage.linkedin.before_engaging = another_claims
    assert isinstance(stage.execute(), Dropped)
    assert stage.attempt().proves_effect
    assert stage.store.activities["activity-1"].status == "scheduled"
    verdict = partial(decide_verdict, attempt=stage.attempt(2), answer=REFUSED, policy=RetryPolicy())
    assert isinstance(stage.store.change("activity-1", verdict), Executed)
    assert isinstance(stage.execute(), Dropped)
    assert len(stage.linkedin.calls) == 1


def test_a_lost_answer_is_never_followed_by_another_call() -> None:
    """The attempt is unknown, and owns the activity."""
    stage = Stage(a_like())
    stage.linkedin.will(Scripted(applies=True, answer=LOST))
    assert stage.execute() == Unknown(failure=LOST)
    assert isinstance(stage.execute(), Dropped)
    assert len(stage.linkedin.calls) == 1
    assert stage.attempt().effect is Effect.UNKNOWN


def _a_comment_believed_absent(*, applied: bool) -> Stage:
    stage = Stage(a_comment())
    stage.linkedin.will(Scripted(applies=applied, answer=LOST))
    stage.execute()
    absent = stage.attempt().after(Event.FIND_ABSENT, effect=Effect.NONE, ended_at=stage.clock.now())
    stage.store.attempts["activity-1"][1] = absent
    return stage


def test_a_comment_that_was_believed_absent_is_looked_for_once_more() -> None:
    """It has appeared meanwhile: it is not sent again."""
    stage = _a_comment_believed_absent(applied=True)
    assert stage.execute() == Executed(provenance=Provenance.RECONCILED)
    assert len(stage.linkedin.calls) == 1


def test_a_comment_that_is_absent_at_the_last_look_is_sent_again() -> None:
    """With the text that was frozen first."""
    stage = _a_comment_believed_absent(applied=False)
    assert stage.execute() == Executed(provenance=Provenance.RESPONSE)
    assert [call.text for call in stage.linkedin.calls] == ["Great post!"] * 2
    assert len(stage.linkedin.ledger) == 1


def test_a_comment_that_another_activity_has_is_not_taken_for_this_one_at_the_last_look() -> None:
    """The same words on the same post, by the same account: this one is still to be sent."""
    stage = _a_comment_believed_absent(applied=False)
    stage.store.executed["activity-2"] = MarkExecuted(
        activity_id="activity-2",
        executed_at=stage.clock.now(),
        post_id="post-1",
        engagement_id="comment-9",
        created_at=None,
        provenance=Provenance.RESPONSE,
        comment_generated="Great post!",
    )
    theirs = Found(engagement_id="comment-9", text="Great post!", created_at=stage.clock.now())
    stage.linkedin.will_read(Seen(own=(theirs,)))
    assert stage.execute() == Executed(provenance=Provenance.RESPONSE)
    assert len(stage.linkedin.calls) == 2


def test_a_last_look_that_fails_sends_nothing() -> None:
    """It proves nothing: the claim is given back until the next look."""
    stage = _a_comment_believed_absent(applied=True)
    stage.linkedin.will_read(LOST)
    outcome = stage.execute()
    assert isinstance(outcome, Deferred)
    assert outcome.again_in is not None
    assert len(stage.linkedin.calls) == 1
    stage.clock.advance(outcome.again_in)
    assert stage.execute() == Executed(provenance=Provenance.RECONCILED)
    assert len(stage.linkedin.calls) == 1


def test_a_database_that_breaks_at_the_last_look_means_that_nothing_is_sent() -> None:
    """The claim is given back when it is there again."""
    stage = _a_comment_believed_absent(applied=False)
    with stage.breaking(2, after_commit=False):
        assert isinstance(stage.execute(), Deferred)
    assert len(stage.linkedin.calls) == 1
    assert stage.pending.flush(stage.store) == 1
    assert isinstance(stage.execute(), Executed)
    assert len(stage.linkedin.ledger) == 1


def test_every_event_names_the_activity_and_from_the_claim_on_the_attempt_and_the_pod() -> None:
    """So that a search for any of them finds all of it."""
    stage = Stage(a_comment())
    assert isinstance(stage.execute(), Executed)
    for told in stage.telemetry.told:
        identity = {"activity_id": "activity-1", "attempt": 1, "pod_id": POD.id, "engagement_type": "comment"}
        assert identity.items() <= told.fields.items(), told.signal


def test_end_says_how_long_it_took_and_the_answer_what_was_said() -> None:
    """From the wake-up, on a clock that stands still here."""
    stage = Stage(a_like())
    stage.execute()
    (ended,) = stage.telemetry.fields_of(Signal.CALL_ENDED)
    (completed,) = stage.telemetry.fields_of(Signal.JOB_COMPLETED)
    (updated,) = stage.telemetry.fields_of(Signal.DATABASE_UPDATED)
    assert ended["outcome"] == "applied"
    assert "engagement_id" in ended
    assert completed["duration_ms"] == updated["duration_ms"] == 0
    assert completed["provenance"] == "response"


def test_activity_that_cannot_be_tried_is_an_error_too() -> None:
    """Classified like one that the provider refused, before it becomes a dead letter."""
    stage = Stage(replace(a_comment(), comment_text=" "))
    assert isinstance(stage.execute(), Buried)
    assert [told.signal for told in stage.telemetry.told] == [Signal.ERROR_CLASSIFIED, Signal.DEAD_LETTER]
    assert stage.telemetry.told[0].fields["error_type"] == "invalid_activity"


def test_answer_that_the_database_takes_later_is_told_then() -> None:
    """Else it would be executed, and neither logged nor counted."""
    stage = Stage(a_like())
    with stage.breaking(2, after_commit=False):
        assert isinstance(stage.execute(), Dropped)
    assert stage.telemetry.fields_of(Signal.JOB_COMPLETED) == []
    stage.pending.flush(stage.store)
    (completed,) = stage.telemetry.fields_of(Signal.JOB_COMPLETED)
    assert (completed["activity_id"], completed["attempt"], completed["engagement_type"]) == ("activity-1", 1, "like")
    assert len(stage.telemetry.fields_of(Signal.DATABASE_UPDATED)) == 1


@pytest.mark.parametrize(
    ("answer", "outcome"),
    [
        (REFUSED, "refused"),
        (LOST, "unknown"),
        (Failure(cause=Cause.NOT_SENT, message="No route."), "not_sent"),
    ],
)
def test_what_came_of_a_call_is_one_word(answer: Failure, outcome: str) -> None:
    """Whatever the provider's own words were."""
    assert answer_fields(answer)["outcome"] == outcome


def test_breaker_that_speaks_for_the_provider_releases() -> None:
    """It is no failed call."""
    assert answer_fields(NotSent(reason="open", retry_in=SECOND)) == {"outcome": "released"}
