"""One activity, several workers, a lying provider and careless people, in any order: it happens once at most.

The one rule: this model knows what really happened; the store knows only what was written. At the end the two agree.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from functools import partial
from typing import Any

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from engagement_core.decisions.begin import decide_begin
from engagement_core.decisions.claim import Claimed, ClaimPolicy, Holder, decide_claim
from engagement_core.decisions.dead_letters import decide_requeue, decide_resolve
from engagement_core.decisions.judge_read_back import ReconcilePolicy, decide_reconcile, unknown_attempt
from engagement_core.decisions.orphans import decide_orphan
from engagement_core.decisions.recheck import decide_last_look
from engagement_core.decisions.release import give_back
from engagement_core.decisions.retry import RetryPolicy
from engagement_core.decisions.verdict import decide_verdict
from engagement_core.model.activity import Activity, EngagementType
from engagement_core.model.attempt import Attempt
from engagement_core.model.decision import Decision
from engagement_core.model.errors import Cause, Failure
from engagement_core.model.lifecycle import Phase
from engagement_core.model.orphan import Orphan
from engagement_core.model.provider import Answer, Applied, Found, NoReadBack, NotSent, ReadBack, Seen
from engagement_core.model.snapshot import Snapshot
from fakes.activities import InMemoryActivityStore
from fakes.clock import InMemoryClock
from support.builders import CARTRIDGE, NOW, POD, SECOND, a_comment, a_like, an_account

KEY = "activity-1"
POLICY = ReconcilePolicy()
HELD = {Phase.CLAIMED, Phase.SENDING}


@dataclass(frozen=True)
class Way:
    """How the next steps go: what the provider does and answers, how far its reads lag, and what is recorded twice."""

    applies: bool
    loses_answer: bool
    refusal: Answer
    lag: timedelta
    records_again: bool


ways = st.builds(
    Way,
    applies=st.booleans(),
    loses_answer=st.booleans(),
    refusal=st.sampled_from(
        [
            Failure(cause=Cause.RATE_LIMITED, message="Too many requests."),
            Failure(cause=Cause.RATE_LIMITED, message="Too many requests.", retry_after=60 * SECOND),
            Failure(cause=Cause.REJECTED, message="No."),
            NotSent(reason="A rest.", retry_in=SECOND),
        ]
    ),
    lag=st.sampled_from([0, 30, 90]).map(lambda seconds: seconds * SECOND),
    records_again=st.booleans(),
)


@dataclass
class Execution:
    """What one worker holds: a claim, and the answer once it has sent."""

    claimed: Claimed
    answer: Answer | None = None


IN_THE_END = Way(
    applies=False,
    loses_answer=False,
    refusal=NotSent(reason="It is over.", retry_in=SECOND),
    lag=POLICY.visibility_lag,
    records_again=False,
)


class OneActivity(RuleBasedStateMachine):
    """Every step may come at any time; only the steps of one worker come in their own order."""

    @initialize(kind=st.sampled_from(EngagementType), reads_back=st.booleans())
    def begin_the_story(self, kind: EngagementType, reads_back: bool) -> None:
        """A like or a comment, at a provider with or without read-back."""
        self.clock = InMemoryClock(origin=NOW)
        self.store = InMemoryActivityStore(now=self.clock.now)
        self.store.activities[KEY] = a_like() if kind is EngagementType.LIKE else a_comment()
        self.store.pods["pod-1"], self.store.cartridges["voice-1"] = POD, CARTRIDGE
        self.store.accounts["account-1"] = an_account()
        self.executions: list[Execution] = []
        self.effects: list[datetime] = []
        self.reads_back = reads_back
        self.may_repeat = kind is EngagementType.LIKE and not reads_back
        self.tokens = 0

    def change(self, decide: Any, crediting: tuple[str, ...] | None = None) -> Any:
        """Change it through the store, like every change."""
        return self.store.change(KEY, decide, crediting=crediting)

    def attempts(self) -> list[Attempt]:
        """The rows of the audit log."""
        return list(self.store.attempts.get(KEY, {}).values())

    def row(self) -> Activity:
        """The public row."""
        activity = self.store.activities[KEY]
        assert isinstance(activity, Activity)
        return activity

    def read(self, lag: timedelta) -> ReadBack:
        """What the provider shows; its reads are `lag` behind its writes."""
        if not self.reads_back:
            return NoReadBack()
        is_like = self.row().engagement_type is EngagementType.LIKE
        return Seen(
            own=tuple(
                Found(
                    engagement_id=None if is_like else f"c-{number}",
                    text=None if is_like else "Hello!",
                    created_at=None if is_like else at,
                )
                for number, at in enumerate(self.effects)
                if at <= self.clock.now() - lag
            )
        )

    @precondition(lambda self: self.attempts())
    @rule(seconds=st.sampled_from([1, 5, 31, 130, 3600]))
    def time_passes(self, seconds: float) -> None:
        """Time passes for all of them at once."""
        self.clock.advance(timedelta(seconds=seconds))

    @rule(how=ways, steps=st.sampled_from([4, 4, 3, 2, 1]))
    def somebody_takes_it(self, how: Way, steps: int) -> None:
        """A worker gets a wake-up, whether or not anything is due; it may stop after any step, and continue later."""
        self.tokens += 1
        holder = Holder(worker_id=f"worker-{self.tokens}", token=f"token-{self.tokens}")
        claim = self.change(partial(decide_claim, holder=holder, policy=ClaimPolicy()))
        if isinstance(claim, Claimed):
            self.executions.append(Execution(claimed=claim))
            self.go_on(self.executions[-1], how, steps - 1)

    @precondition(lambda self: self.executions)
    @rule(data=st.data(), how=ways, steps=st.integers(1, 3))
    def somebody_goes_on(self, data: st.DataObject, how: Way, steps: int) -> None:
        """A worker continues, perhaps after it has slept for hours."""
        self.go_on(data.draw(st.sampled_from(self.executions)), how, steps)

    def go_on(self, mine: Execution, how: Way, steps: int) -> None:
        """The next steps of one worker: begin, send, record."""
        for _ in range(steps):
            if mine not in self.executions:
                return
            if mine.claimed.attempt.phase is Phase.CLAIMED:
                self.begin(mine, how)
            elif mine.answer is None:
                self.send(mine, how)
            else:
                self.record(mine, how)

    def begin(self, mine: Execution, how: Way) -> None:
        """Begin to send, after a recheck if the claim asks for it."""
        self.executions.remove(mine)
        if mine.claimed.needs_recheck and self.reads_back:
            seen = self.read(how.lag)
            look = partial(decide_last_look, claimed=mine.claimed, text="Hello!", seen=seen, policy=POLICY)
            if self.change(look) is not None:
                return
        begun = self.change(partial(decide_begin, claimed=mine.claimed, text="Hello!"))
        if isinstance(begun, Claimed):
            mine.claimed = begun
            self.executions.append(mine)

    def send(self, mine: Execution, how: Way) -> None:
        """Send before the deadline, or not at all; the answer may be lost."""
        if self.clock.now() >= mine.claimed.attempt.deadline_at:
            mine.answer = Failure(cause=Cause.NOT_SENT, message="Too late to be sent.")
            return
        told: Answer = how.refusal
        if how.applies:
            self.effects.append(self.clock.now())
            told = Applied(engagement_id=f"c-{len(self.effects) - 1}", created_at=self.clock.now())
        mine.answer = Failure(cause=Cause.NO_ANSWER, message="No answer came.") if how.loses_answer else told

    def record(self, mine: Execution, how: Way) -> None:
        """Record the answer, perhaps twice: the first commit may have been applied after all."""
        self.change(self.verdict(mine))
        if not how.records_again:
            self.executions.remove(mine)

    def verdict(self, mine: Execution) -> Any:
        """The decision about an answer."""
        assert mine.answer is not None
        return partial(decide_verdict, attempt=mine.claimed.attempt, answer=mine.answer, policy=RetryPolicy())

    @precondition(lambda self: self.executions)
    @rule(data=st.data(), dies=st.booleans())
    def somebody_gives_up(self, data: st.DataObject, dies: bool) -> None:
        """A worker stops: it records all that it knows or, if it has sent nothing, gives back its claim."""
        mine = data.draw(st.sampled_from(self.executions))
        self.executions.remove(mine)
        if mine.answer is None and not dies:
            self.change(partial(give_back, token=mine.claimed.attempt.token))

    @precondition(lambda self: any(attempt.phase in HELD for attempt in self.attempts()))
    @rule()
    def orphans_are_adopted(self) -> None:
        """Attempts of workers that only slept are adopted, too; these workers come back."""
        for attempt in self.attempts():
            orphan = Orphan(activity_id=KEY, number=attempt.number, reason="silent")
            self.change(partial(decide_orphan, orphan=orphan))

    @precondition(lambda self: any(attempt.phase is Phase.UNKNOWN for attempt in self.attempts()))
    @rule(how=ways)
    def unknown_is_looked_for(self, how: Way) -> None:
        """An unknown outcome is read back when its `look_at` has come."""
        mine = unknown_attempt(self.change(_look))
        if mine is None:
            return
        assert mine.look_at is not None
        wait = mine.look_at - self.clock.now()
        self.clock.advance(max(wait, timedelta(0)))
        seen, read_at = self.read(how.lag), self.clock.now()
        decide = partial(decide_reconcile, token=mine.token, seen=seen, read_at=read_at, policy=POLICY)
        self.change(decide, seen.ids if isinstance(seen, Seen) else ())

    @precondition(lambda self: self.attempts())
    @rule(status=st.sampled_from(["scheduled", "scheduled", "scheduled", "failed", "cancelled"]))
    def somebody_updates_the_row_carelessly(self, status: str) -> None:
        """Another service, or a person with psql, sets the row back to scheduled, or to another status and back."""
        word = status if self.row().status == "scheduled" else "scheduled"
        self.store.activities[KEY] = replace(self.row(), status=word)

    @precondition(lambda self: self.row().status == "failed")
    @rule(waits=st.booleans())
    def a_person_reviews_it(self, waits: bool) -> None:
        """A person resolves it by what the post shows, perhaps too early, and requeues it."""
        if waits:
            self.clock.advance(timedelta(minutes=5))
        shown = [at for at in self.effects if at <= self.clock.now() - POLICY.visibility_lag]
        self.change(partial(decide_resolve, executed=bool(shown), visibility_lag=POLICY.visibility_lag))
        self.change(decide_requeue)

    @invariant()
    def it_happens_once_at_most(self) -> None:
        """This is the promise. Only a like without a read-back may be sent again."""
        assert self.may_repeat or len(self.effects) <= 1

    @invariant()
    def one_attempt_at_most_may_have_had_an_effect(self) -> None:
        """The partial unique index never had to refuse anything."""
        assert sum(attempt.may_have_had_effect for attempt in self.attempts()) <= 1

    @invariant()
    def what_is_executed_has_happened(self) -> None:
        """Nothing is recorded as executed that was never sent."""
        assert self.row().status != "executed" or self.effects

    def teardown(self) -> None:
        """All answers are recorded and all unknown outcomes are read back: everything that happened is recorded."""
        if not hasattr(self, "store"):
            return
        for mine in self.executions:
            if mine.answer is not None:
                self.change(self.verdict(mine))
        self.clock.advance(timedelta(hours=2))
        self.orphans_are_adopted()
        self.unknown_is_looked_for(IN_THE_END)
        attempts = self.attempts()
        assert not any(attempt.is_open for attempt in attempts)
        if self.effects and not self.may_repeat:
            known = [attempt for attempt in attempts if attempt.may_have_had_effect or attempt.proves_effect]
            assert known, "it happened, and nothing on record says that it may have"


def _look(snapshot: Snapshot) -> Decision[Snapshot]:
    return Decision(snapshot)


TestOneActivity = OneActivity.TestCase
TestOneActivity.settings = settings(max_examples=600, stateful_step_count=25, deadline=None)
