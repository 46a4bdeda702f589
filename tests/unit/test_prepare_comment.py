"""The text of a comment: prepared ahead of time, paid for once, and used only for what it was made from."""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from engagement_core.decisions.begin import decide_begin
from engagement_core.decisions.claim import Claimed, ClaimPolicy, decide_claim
from engagement_core.model.activity import Activity
from engagement_core.model.attempt import Attempt
from engagement_core.model.controls import BlockScope, Control, ControlKind
from engagement_core.model.decision import SaveAttempt
from engagement_core.model.errors import Cause, Effect, Failure
from engagement_core.model.lifecycle import Event, Phase
from engagement_core.model.outcome import Deferred, Dropped, Executed
from engagement_core.model.signal import Signal
from engagement_core.ports.activities import StoreUnavailable
from engagement_core.ports.clock import Deadline
from engagement_core.use_cases.execute import Executor
from engagement_core.use_cases.pending_decisions import PendingDecisions
from engagement_core.use_cases.prepare_comment import Preparer
from fakes.activities import InMemoryActivityStore
from fakes.clock import InMemoryClock
from fakes.linkedin import InMemoryLinkedIn
from fakes.linkedin import Outcome as Scripted
from fakes.telemetry import InMemoryTelemetry
from fakes.voice import InMemoryVoice
from support.builders import (
    CARTRIDGE,
    ME,
    POD,
    SECOND,
    a_claim,
    a_comment,
    a_like,
    a_snapshot,
    an_account,
    an_attempt,
    earlier,
)

ID = "activity-1"
SPOKEN = "This is a fantastic post!"
PAUSE = Control(kind=ControlKind.PAUSE, scope=BlockScope.ALL, scope_id="", until=None, reason="stop")
REFUSED = Failure(cause=Cause.NO_SESSION, message="No session.")
EDITED = "Grand post!"


class Stage:
    """One comment that is due in a minute, an executor on fakes, and its preparer."""

    def __init__(self, activity: Activity | None = None, **changes: Any) -> None:
        self.clock = InMemoryClock()
        self.store = InMemoryActivityStore(now=self.clock.now)
        self.linkedin, self.voice = InMemoryLinkedIn(now=self.clock.now), InMemoryVoice()
        self.telemetry = InMemoryTelemetry()
        self.store.pods[POD.id], self.store.cartridges[CARTRIDGE.id] = POD, CARTRIDGE
        self.store.accounts["account-1"] = an_account()
        comment = replace(activity or a_comment(), scheduled_for=self.clock.now() + 60 * SECOND)
        self.store.activities[ID] = replace(comment, **changes)
        self.voice.will_say(ID, SPOKEN)
        self.executor = self.another_worker("worker-1")
        self.preparer = self.executor.preparer

    def another_worker(self, worker_id: str) -> Executor:
        """Another worker, in a process of its own."""
        return Executor(
            worker_id=worker_id,
            store=self.store,
            linkedin=self.linkedin,
            voice=self.voice,
            telemetry=self.telemetry,
            clock=self.clock,
            pending=PendingDecisions(),
        )

    @property
    def asked(self) -> int:
        """How often the voice was asked."""
        return len(self.voice.spoken_for)

    @property
    def sent(self) -> list[str | None]:
        """What reached the provider."""
        return [call.text for call in self.linkedin.calls]

    def edit(self, **changes: Any) -> None:
        """Another service changes the row."""
        row = self.store.activities[ID]
        assert isinstance(row, Activity)
        self.store.activities[ID] = replace(row, **changes)

    def execute_when_due(self) -> Any:
        """Execute it one minute later."""
        self.clock.advance(60 * SECOND)
        return self.executor.execute(ID)

    def speak_within(self, seconds: float) -> Any:
        """The text that an execution would get."""
        row = self.store.activities[ID]
        assert isinstance(row, Activity)
        return self.preparer.speak(row, POD, CARTRIDGE, Deadline.after(self.clock, timedelta(seconds=seconds)))


def test_a_comment_that_was_prepared_is_sent_without_asking_the_voice() -> None:
    """The voice was asked ahead of time, and nothing was written then."""
    stage = Stage()
    assert stage.preparer.prepare(ID)
    assert (stage.asked, stage.store.attempts) == (1, {})
    assert isinstance(stage.execute_when_due(), Executed)
    assert (stage.sent, stage.asked) == ([SPOKEN], 1)


def test_what_was_prepared_is_told_apart_from_what_is_said_in_time() -> None:
    """The event says which, without a comment's text."""
    stage = Stage()
    stage.preparer.prepare(ID)
    stage.execute_when_due()
    ahead, in_time = stage.telemetry.fields_of(Signal.COMMENT_PREPARED)
    assert (ahead["activity_id"], ahead["ahead"], ahead["used_voice"], ahead["reason"]) == (ID, True, True, None)
    assert (in_time["attempt"], in_time["used_voice"]) == (1, True)
    assert SPOKEN not in str(ahead) + str(in_time)


def test_a_comment_is_prepared_once() -> None:
    """It does not matter how often it is found."""
    stage = Stage()
    assert [stage.preparer.prepare(ID) for _ in range(3)] == [True, False, False]
    assert stage.asked == 1


@pytest.mark.parametrize(
    "change",
    [
        lambda stage: stage.edit(comment_text=EDITED),
        lambda stage: stage.store.cartridges.update({CARTRIDGE.id: replace(CARTRIDGE, tone="thoughtful")}),
        lambda stage: stage.store.cartridges.update({CARTRIDGE.id: replace(CARTRIDGE, templates={"openers": ["Hi!"]})}),
        lambda stage: (stage.store.pods.update({"pod-2": replace(POD, id="pod-2")}), stage.edit(pod_id="pod-2")),
    ],
    ids=["comment", "tone", "templates", "pod"],
)
def test_what_was_made_from_something_else_is_said_anew(change: Callable[[Stage], Any]) -> None:
    """The last words of the author or the pod count."""
    stage = Stage()
    stage.preparer.prepare(ID)
    change(stage)
    stage.voice.will_say(ID, "Something else.")
    assert isinstance(stage.execute_when_due(), Executed)
    assert (stage.sent, stage.asked) == (["Something else."], 2)


def test_an_answer_that_breaks_the_rules_is_found_out_ahead_of_time() -> None:
    """It was paid for, and is not asked for again: the original is sent, and the log says why."""
    stage = Stage()
    stage.voice.will_say(ID, "Sure! Here is a comment: {{0}}")
    stage.preparer.prepare(ID)
    stage.execute_when_due()
    assert (stage.sent, stage.asked) == (["Great post!"], 1)
    assert "double braces" in str(stage.telemetry.fields_of(Signal.COMMENT_PREPARED)[0]["reason"])


def test_a_voice_that_failed_ahead_of_time_does_not_delay_the_comment() -> None:
    """When it is due, nothing waits for the same voice again."""
    stage = Stage()
    stage.voice.will_fail(ID, "it is hoarse")
    stage.preparer.prepare(ID)
    assert isinstance(stage.execute_when_due(), Executed)
    assert (stage.sent, stage.asked) == (["Great post!"], 1)
    assert [told["reason"] for told in stage.telemetry.fields_of(Signal.COMMENT_PREPARED)] == ["it is hoarse"] * 2


def test_a_voice_that_failed_is_asked_again_while_there_is_time() -> None:
    """It is asked again after 15 seconds, but not so late that the comment would have to wait."""
    stage = Stage()
    stage.edit(scheduled_for=stage.clock.now() + 55 * SECOND)
    stage.voice.will_fail(ID, "it is hoarse")
    asked = []
    for _ in range(90):
        if stage.preparer.prepare(ID):
            asked.append(stage.clock.seconds)
        stage.clock.advance(SECOND)
    assert asked == [0, 15, 30]
    stage.voice.will_say(ID, SPOKEN)
    stage.executor.execute(ID)
    assert stage.sent == ["Great post!"]


def test_a_voice_that_recovers_ahead_of_time_is_heard() -> None:
    """The second answer replaces the first failure."""
    stage = Stage()
    stage.voice.will_fail(ID, "it is hoarse")
    stage.preparer.prepare(ID)
    stage.voice.will_say(ID, SPOKEN)
    stage.clock.advance(15 * SECOND)
    assert stage.preparer.prepare(ID)
    assert not stage.preparer.prepare(ID)
    stage.execute_when_due()
    assert (stage.sent, stage.asked) == ([SPOKEN], 2)


@pytest.mark.parametrize("change", [{"comment_text": ""}, {"status": "cancelled"}], ids=["invalid", "cancelled"])
def test_a_voice_that_failed_is_not_asked_again_for_what_is_not_wanted_any_more(change: dict[str, Any]) -> None:
    """The row is read once more, and then not again."""
    stage = Stage()
    stage.voice.will_fail(ID, "it is hoarse")
    stage.preparer.prepare(ID)
    stage.edit(**change)
    stage.clock.advance(15 * SECOND)
    assert not stage.preparer.prepare(ID)
    assert stage.asked == 1


@pytest.mark.parametrize(
    "stage",
    [
        lambda: Stage(a_like()),
        lambda: Stage(status="cancelled"),
        lambda: Stage(status="executed"),
        lambda: Stage(comment_text="x" * 1251),
        lambda: Stage(comment_text=None),
        lambda: Stage(post_id=""),
        lambda: Stage(pod_id="nobody's"),
        lambda: Stage(profile_id="a stranger"),
    ],
    ids=["like", "cancelled", "executed", "too long", "no text", "no post", "no pod", "no account"],
)
def test_nobody_pays_for_words_that_nothing_needs(stage: Callable[[], Stage]) -> None:
    """The row is read once."""
    scene = stage()
    changes, change = 0, scene.store.change

    def counted(*args: Any, **more: Any) -> Any:
        nonlocal changes
        changes += 1
        return change(*args, **more)

    scene.store.change = counted  # type: ignore[method-assign]
    assert not scene.preparer.prepare(ID)
    assert not scene.preparer.prepare(ID)
    assert (scene.asked, changes) == (0, 1)


def test_a_row_that_is_gone_or_malformed_or_without_a_voice_is_left_alone() -> None:
    """There is no text to prepare."""
    stage = Stage()
    assert not stage.preparer.prepare("nobody")
    stage.store.cartridges.clear()
    assert not stage.preparer.prepare(ID)
    assert stage.asked == 0


@pytest.mark.parametrize(
    "attempt",
    [
        earlier(1, text=SPOKEN, text_source="Great post!"),
        earlier(1, text=SPOKEN),
        earlier(1, Phase.CLAIMED, text_source="Great post!"),
        earlier(1, Phase.UNKNOWN, text=SPOKEN),
    ],
    ids=["frozen", "frozen, from before sources were kept", "claimed", "unknown"],
)
def test_what_has_its_words_or_an_owner_is_not_prepared(attempt: Attempt) -> None:
    """The first text wins, and an activity in flight has an owner."""
    stage = Stage()
    stage.store.attempts[ID] = {1: attempt}
    assert not stage.preparer.prepare(ID)
    assert stage.asked == 0


def test_a_database_that_is_away_prepares_nothing() -> None:
    """The periodic task gets the error, and the comment is tried again."""
    stage = Stage()
    change = stage.store.change

    def broken(*_: Any, **__: Any) -> Any:
        raise StoreUnavailable("gone")

    stage.store.change = broken  # type: ignore[method-assign]
    with pytest.raises(StoreUnavailable):
        stage.preparer.prepare(ID)
    stage.store.change = change  # type: ignore[method-assign]
    assert stage.preparer.prepare(ID)


def test_an_execution_waits_for_a_preparation_that_is_under_way() -> None:
    """Otherwise the voice would be paid twice."""
    stage = Stage()
    speaking, may_speak = threading.Event(), threading.Event()

    def hold(*_: Any) -> None:
        speaking.set()
        may_speak.wait(10)

    stage.voice.before_speaking = hold
    preparing = threading.Thread(target=stage.preparer.prepare, args=(ID,))
    preparing.start()
    assert speaking.wait(10)
    assert not stage.preparer.prepare(ID)
    threading.Timer(0.05, may_speak.set).start()
    assert isinstance(stage.execute_when_due(), Executed)
    preparing.join(10)
    assert (stage.sent, stage.asked) == ([SPOKEN], 1)


def test_an_execution_does_not_wait_for_longer_than_it_has() -> None:
    """The original goes out in time."""
    stage = Stage()
    speaking, may_speak = threading.Event(), threading.Event()

    def hold(*_: Any) -> None:
        speaking.set()
        may_speak.wait(10)

    stage.voice.before_speaking = hold
    preparing = threading.Thread(target=stage.preparer.prepare, args=(ID,))
    preparing.start()
    try:
        assert speaking.wait(10)
        spoken = stage.speak_within(0.05)
        assert (spoken.text, spoken.reason) == ("Great post!", "its preparation is still running")
        assert stage.speak_within(-1).text == "Great post!"
    finally:
        may_speak.set()
        preparing.join(10)
    assert stage.asked == 1


def test_a_preparation_that_is_cut_off_leaves_nobody_waiting() -> None:
    """The worker is stopped in the middle of it."""
    stage = Stage()

    def cut_off(*_: Any) -> None:
        raise KeyboardInterrupt

    stage.voice.before_speaking = cut_off
    with pytest.raises(KeyboardInterrupt):
        stage.preparer.prepare(ID)
    assert stage.speak_within(30).reason == "its preparation was interrupted"


@pytest.mark.parametrize(("seconds", "allowed"), [(30, 10), (4, 4), (-1, 0)])
def test_the_voice_is_given_its_timeout_and_no_more_than_the_deadline(seconds: float, allowed: float) -> None:
    """The times are in seconds."""
    stage = Stage()
    given: list[float] = []
    stage.voice.before_speaking = lambda _, deadline: given.append(deadline.remaining())
    stage.speak_within(seconds)
    assert given == [allowed]


def test_ahead_of_time_the_voice_is_given_its_whole_timeout() -> None:
    """No execution waits for it yet."""
    stage = Stage()
    given: list[float] = []
    stage.voice.before_speaking = lambda _, deadline: given.append(deadline.remaining())
    stage.preparer.prepare(ID)
    assert given == [10]


def test_a_text_that_could_not_be_sent_is_not_paid_for_again_in_this_process() -> None:
    """The database failed at begin: the claim is given back without the text, and the process remembers it."""
    stage = Stage()
    change, changes = stage.store.change, iter([False, True])

    def breaks_at_begin(*args: Any, **more: Any) -> Any:
        if next(changes, False):
            raise StoreUnavailable("gone")
        return change(*args, **more)

    stage.store.change = breaks_at_begin  # type: ignore[method-assign]
    assert isinstance(stage.execute_when_due(), Deferred)
    stage.executor.pending.flush(stage.store)
    assert isinstance(stage.executor.execute(ID), Executed)
    assert (stage.sent, stage.asked) == ([SPOKEN], 1)


def test_what_is_done_is_forgotten() -> None:
    """A person who requeues it may have corrected the voice, so the voice is asked again."""
    stage = Stage()
    stage.preparer.prepare(ID)
    stage.execute_when_due()
    assert stage.speak_within(30).text == SPOKEN
    assert stage.asked == 2


def test_what_was_cancelled_is_forgotten() -> None:
    """A wake-up for it drops its text, too."""
    stage = Stage()
    stage.preparer.prepare(ID)
    stage.edit(status="cancelled")
    assert isinstance(stage.execute_when_due(), Dropped)
    stage.edit(status="scheduled")
    stage.executor.execute(ID)
    assert stage.asked == 2


def test_only_so_many_are_remembered() -> None:
    """The oldest entry is dropped first, and then the voice is asked once more."""
    stage = Stage()
    preparer = Preparer(store=stage.store, voice=stage.voice, telemetry=stage.telemetry, clock=stage.clock, capacity=2)
    for number in (1, 2, 3):
        comment = replace(a_comment(), id=f"a-{number}", scheduled_for=stage.clock.now() + 60 * SECOND)
        stage.store.activities[comment.id] = comment
        assert preparer.prepare(comment.id)
    assert [preparer.prepare(key) for key in ("a-3", "a-2", "a-1")] == [False, False, True]


def paused_at_begin(stage: Stage) -> None:
    """A person pauses everything while the voice speaks, and resumes it later."""

    def pause(*_: Any) -> None:
        stage.store.controls.append(PAUSE)

    stage.voice.before_speaking = pause
    assert isinstance(stage.execute_when_due(), Deferred)
    stage.voice.before_speaking = lambda *_: None
    stage.store.controls.clear()


def test_a_text_that_could_not_be_sent_is_kept_for_another_worker() -> None:
    """The released attempt keeps it, together with what it was made from."""
    stage = Stage()
    paused_at_begin(stage)
    released = stage.store.attempts[ID][1]
    assert (released.event, released.effect, released.began_at) == (Event.RELEASE, Effect.NONE, None)
    assert (released.text, released.text_source) == (SPOKEN, "Great post!")
    assert isinstance(stage.another_worker("worker-2").execute(ID), Executed)
    assert (stage.sent, stage.asked) == ([SPOKEN], 1)


def test_a_comment_that_was_edited_after_its_text_was_kept_is_said_anew() -> None:
    """It does not matter which worker does it."""
    stage = Stage()
    paused_at_begin(stage)
    stage.edit(comment_text=EDITED)
    stage.voice.will_say(ID, "This is a grand post!")
    assert isinstance(stage.another_worker("worker-2").execute(ID), Executed)
    assert (stage.sent, stage.asked) == (["This is a grand post!"], 2)


def test_a_comment_that_was_edited_while_the_voice_spoke_is_said_anew() -> None:
    """The text is recorded as made from the old comment."""
    stage = Stage()
    stage.voice.before_speaking = lambda *_: stage.edit(comment_text=EDITED)
    assert isinstance(stage.execute_when_due(), Deferred)
    stage.voice.will_say(ID, "This is a grand post!")
    assert isinstance(stage.executor.execute(ID), Executed)
    assert stage.sent == ["This is a grand post!"]


def test_an_original_that_could_not_be_sent_is_not_kept() -> None:
    """The voice was down for a moment only: the next claim asks it again."""
    stage = Stage()
    stage.voice.will_fail(ID, "it is hoarse")
    paused_at_begin(stage)
    assert stage.store.attempts[ID][1].text is None
    stage.voice.will_say(ID, SPOKEN)
    assert isinstance(stage.another_worker("worker-2").execute(ID), Executed)
    assert stage.sent == [SPOKEN]


def test_a_retry_sends_the_same_words_and_asks_nobody() -> None:
    """Another worker's text is kept, too, whatever the voice would say by now."""
    stage = Stage()
    stage.linkedin.will(Scripted(applies=False, answer=REFUSED))
    assert isinstance(stage.execute_when_due(), Deferred)
    stage.voice.will_say(ID, "Another text.")
    stage.clock.advance(SECOND)
    assert isinstance(stage.another_worker("worker-2").execute(ID), Executed)
    assert (stage.sent, stage.asked) == ([SPOKEN, SPOKEN], 1)


def test_a_retry_of_a_comment_that_was_edited_is_said_anew() -> None:
    """The refused attempt left nothing behind, so the author's correction counts."""
    stage = Stage()
    stage.linkedin.will(Scripted(applies=False, answer=REFUSED))
    stage.execute_when_due()
    stage.edit(comment_text=EDITED)
    stage.voice.will_say(ID, "This is a grand post!")
    stage.clock.advance(SECOND)
    stage.executor.execute(ID)
    assert stage.sent == [SPOKEN, "This is a grand post!"]


@pytest.mark.parametrize(
    ("source", "text"),
    [("Great post!", "First!"), (None, "First!"), ("Great post", None)],
    ids=["the same original", "from before sources were kept", "another original"],
)
def test_a_claim_carries_the_text_that_was_made_from_this_original(source: str | None, text: str | None) -> None:
    """It also carries the source of its own text."""
    before = (earlier(1, event=Event.RELEASE, began_at=None, text="First!", text_source=source),)
    decision = decide_claim(a_snapshot(a_comment(), attempts=before), holder=ME, policy=ClaimPolicy())
    (saved,) = (write.attempt for write in decision.writes if isinstance(write, SaveAttempt))
    assert (saved.text, saved.text_source) == (text, "Great post!")


def test_a_like_has_no_text_and_no_source() -> None:
    """This holds even if its row has a comment."""
    like = a_like(comment_text="Great post!")
    result = decide_claim(a_snapshot(like), holder=ME, policy=ClaimPolicy()).result
    assert isinstance(result, Claimed)
    assert (result.attempt.text, result.attempt.text_source) == (None, None)


def test_a_release_at_begin_does_not_replace_a_text_that_is_frozen() -> None:
    """It stays, whatever the voice says this time."""
    mine = an_attempt(Phase.CLAIMED, text="First!", text_source="Great post!")
    snapshot = a_snapshot(a_comment(), attempts=(mine,), controls=(PAUSE,))
    decision = decide_begin(snapshot, claimed=a_claim(mine, a_comment()), text="Second!")
    (saved,) = (write.attempt for write in decision.writes if isinstance(write, SaveAttempt))
    assert saved.text == "First!"
