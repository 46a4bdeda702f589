"""The use case: one activity from a wake-up to a verdict, with the in-memory adapters."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from core_side import CARTRIDGE, POD, a_comment, a_like, an_account

from adapters.in_memory.activities import InMemoryActivityStore
from adapters.in_memory.clock import InMemoryClock
from adapters.in_memory.linkedin import InMemoryLinkedIn
from adapters.in_memory.linkedin import Outcome as Scripted
from adapters.in_memory.telemetry import InMemoryTelemetry
from adapters.in_memory.voice import InMemoryVoice
from engagement_core.activity import Activity
from engagement_core.attempt import Provenance
from engagement_core.backlog import Backlog
from engagement_core.errors import Cause, Effect, Failure
from engagement_core.execute import Executor
from engagement_core.lifecycle import Event, Phase
from engagement_core.outcome import Buried, Dropped, Executed, Unknown, Waits
from engagement_core.ports.activities import Decision, Snapshot, StoreUnavailable
from engagement_core.ports.telemetry import Signal

SECOND = timedelta(seconds=1)
REFUSED = Failure(cause=Cause.NO_SESSION, message="No session.")
LOST = Failure(cause=Cause.NO_ANSWER, message="No answer came.")


class Stage:
    """An executor on fakes, with one pod, one account and one voice."""

    def __init__(self, activity: Activity) -> None:
        self.clock = InMemoryClock()
        self.store = InMemoryActivityStore(now=self.clock.now)
        self.linkedin, self.voice = InMemoryLinkedIn(now=self.clock.now), InMemoryVoice()
        self.telemetry, self.backlog = InMemoryTelemetry(), Backlog()
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
            backlog=self.backlog,
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


def test_an_open_breaker_claims_nothing() -> None:
    """It waits, uncharged, without a row."""
    stage = Stage(a_like())
    stage.linkedin.close_for(5 * SECOND)
    assert stage.execute() == Waits(again_in=5 * SECOND, reason="the provider's breaker is open")
    assert stage.store.attempts == {}


@pytest.mark.parametrize("activity", [a_like(), a_comment()], ids=["like", "comment"])
@pytest.mark.parametrize("after_commit", [False, True])
def test_a_database_that_breaks_before_the_call_means_that_nothing_is_sent(
    activity: Activity, after_commit: bool
) -> None:
    """Whether the intent was committed is not known: what was is given back, and the activity is sent once."""
    intent = 1 if activity.comment_text is None else 2
    stage = Stage(activity)
    with stage.breaking(intent, after_commit=after_commit):
        assert isinstance(stage.execute(), Waits)
    assert stage.linkedin.calls == []
    stage.backlog.flush(stage.store)
    assert isinstance(stage.execute(), Executed)
    assert len(stage.linkedin.calls) == 1


@pytest.mark.parametrize("after_commit", [False, True])
def test_a_database_that_breaks_after_the_call_does_not_lose_the_answer(after_commit: bool) -> None:
    """It is kept, nobody sends again meanwhile, and it is recorded when the database is back."""
    stage = Stage(a_like())
    with stage.breaking(2, after_commit=after_commit):
        assert isinstance(stage.execute(), Dropped)
    assert isinstance(stage.execute(), Dropped)
    assert stage.backlog.flush(stage.store) == 1
    assert stage.store.activities["activity-1"].status == "executed"
    assert len(stage.linkedin.calls) == 1


def test_three_refusals_end_as_a_dead_letter() -> None:
    """At once, after 500 ms, after 1.5 s; the text that was frozen first is sent each time, and spoken once."""
    stage = Stage(a_comment())
    stage.linkedin.will(*[Scripted(applies=False, answer=REFUSED)] * 3)
    waits = []
    while isinstance(outcome := stage.execute(), Waits):
        assert outcome.again_in is not None
        waits.append(outcome.again_in)
        stage.clock.advance(outcome.again_in)
    assert waits == [timedelta(milliseconds=500), timedelta(milliseconds=1500)]
    assert isinstance(outcome, Buried)
    assert stage.store.activities["activity-1"].failure_count == 3
    assert stage.voice.spoken_for == ["activity-1"]
    assert "activity-1" in stage.store.dead_letters


def test_a_lost_answer_is_never_followed_by_another_call() -> None:
    """The attempt is unknown, and owns the activity."""
    stage = Stage(a_like())
    stage.linkedin.will(Scripted(applies=True, answer=LOST))
    assert stage.execute() == Unknown(failure=LOST)
    assert isinstance(stage.execute(), Dropped)
    assert len(stage.linkedin.calls) == 1
    assert stage.attempt().effect is Effect.UNKNOWN


def test_a_comment_that_was_believed_absent_is_looked_for_once_more() -> None:
    """It has appeared meanwhile: it is not sent again."""
    stage = Stage(a_comment())
    stage.linkedin.will(Scripted(applies=True, answer=LOST))
    stage.execute()
    attempt = stage.attempt()
    absent = attempt.after(Event.FIND_ABSENT, effect=Effect.NONE, ended_at=stage.clock.now())
    stage.store.attempts["activity-1"][1] = absent
    assert stage.execute() == Executed(provenance=Provenance.RECONCILED)
    assert len(stage.linkedin.calls) == 1
