"""Use case: one activity, from a wake-up to a verdict.

The one rule: claim, prepare, begin, send once, record. Each step is total: it returns a value that says how it ended,
and the first one that is not a success ends the execution.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from datetime import timedelta
from functools import partial
from itertools import count

from engagement_core.activity import EngagementType
from engagement_core.backlog import Backlog
from engagement_core.begin import decide_begin
from engagement_core.claim import Claimed, ClaimPolicy, ClaimResult, Holder, decide_claim
from engagement_core.errors import Failure
from engagement_core.findings import ReconcilePolicy
from engagement_core.last_look import decide_last_look
from engagement_core.outcome import Buried, Dropped, Executed, Outcome, Waits
from engagement_core.ports.activities import ActivityStore, Decision, Snapshot, StoreUnavailable
from engagement_core.ports.clock import Clock, Deadline
from engagement_core.ports.linkedin import Answer, LinkedIn, NoReadBack, Seen
from engagement_core.ports.telemetry import Signal, Telemetry
from engagement_core.ports.voice import Voice
from engagement_core.prepare import Preparer
from engagement_core.release import give_back
from engagement_core.retry import RetryPolicy
from engagement_core.verdict import decide_verdict

__all__ = ["Executor"]

_STORE_RETRY = timedelta(seconds=1)


@dataclass(frozen=True, kw_only=True)
class Executor:
    """Executes activities for one worker. Safe to use from several threads.

    `voice_timeout` bounds the voice inside the attempt's own deadline. `preparer` may be told of comments ahead of
    their time.
    """

    worker_id: str
    store: ActivityStore
    linkedin: LinkedIn
    voice: Voice
    telemetry: Telemetry
    clock: Clock
    backlog: Backlog
    claim_policy: ClaimPolicy = field(default_factory=ClaimPolicy)
    retry_policy: RetryPolicy = field(default_factory=RetryPolicy)
    reconcile_policy: ReconcilePolicy = field(default_factory=ReconcilePolicy)
    voice_timeout: timedelta = timedelta(seconds=10)
    preparer: Preparer = field(init=False, repr=False)
    _tokens: Iterator[int] = field(default_factory=count, init=False, repr=False)

    def __post_init__(self) -> None:
        preparer = Preparer(
            store=self.store,
            voice=self.voice,
            telemetry=self.telemetry,
            clock=self.clock,
            timeout=self.voice_timeout,
        )
        object.__setattr__(self, "preparer", preparer)  # the way of a frozen dataclass

    def execute(self, activity_id: str) -> Outcome:
        """Execute the activity if that may be done now; never raises for what a row, the provider or a server does."""
        deadline = Deadline.after(self.clock, self.claim_policy.job_timeout)
        held_back = self.linkedin.available_in()
        if held_back > timedelta(0):
            return self._told(activity_id, Waits(again_in=held_back, reason="the provider's breaker is open"))
        holder = Holder(worker_id=self.worker_id, token=f"{self.worker_id}/{next(self._tokens)}")
        claim = self._claim(activity_id, holder)
        if isinstance(claim, Claimed) and claim.activity.engagement_type is EngagementType.COMMENT:
            claim = self._begin(claim, deadline)
        if not isinstance(claim, Claimed):
            return self._told(activity_id, claim)
        answer = self._send(claim, deadline)
        return self._told(activity_id, self._record(claim, answer))

    def _claim(self, activity_id: str, holder: Holder) -> ClaimResult:
        decide = partial(decide_claim, activity_id=activity_id, holder=holder, policy=self.claim_policy)
        try:
            result = self.store.change(activity_id, decide)
        except StoreUnavailable as error:
            # Whether the claim was committed is not known. If it was, it is ours: nothing was sent, so give it back.
            self.backlog.add(activity_id, partial(give_back, token=holder.token))
            return self._store_lost(activity_id, error)
        if isinstance(result, Claimed):
            self.telemetry.emit(
                Signal.ACTIVITY_VALIDATED, activity_id=activity_id, attempt=result.attempt.number, pod_id=result.pod.id
            )
        return result

    def _begin(self, claimed: Claimed, deadline: Deadline) -> ClaimResult:
        text = claimed.attempt.text or self._speak(claimed, deadline)
        try:
            if claimed.suspect:
                found = self._look_once_more(claimed, text, deadline)
                if found is not None:
                    return found
            return self.store.change(claimed.activity.id, partial(decide_begin, claimed=claimed, text=text))
        except StoreUnavailable as error:
            self.backlog.add(claimed.activity.id, partial(give_back, token=claimed.attempt.token))
            return self._store_lost(claimed.activity.id, error)

    def _speak(self, claimed: Claimed, deadline: Deadline) -> str:
        started = self.clock.elapsed()
        spoken = self.preparer.speak(claimed.activity, claimed.pod, claimed.cartridge, deadline)
        self.telemetry.emit(
            Signal.COMMENT_PREPARED,
            activity_id=claimed.activity.id,
            attempt=claimed.attempt.number,
            used_voice=spoken.used_voice,
            reason=spoken.reason,
            duration_ms=self._since(started),
        )
        return spoken.text

    def _look_once_more(self, claimed: Claimed, text: str, deadline: Deadline) -> ClaimResult | None:
        engagement = replace(claimed.engagement, text=text)
        seen = self.linkedin.read_back(engagement, deadline)
        if isinstance(seen, NoReadBack):
            return None
        decide = partial(decide_last_look, claimed=claimed, text=text, seen=seen, policy=self.reconcile_policy)
        return self.store.change(claimed.activity.id, decide, crediting=seen.ids if isinstance(seen, Seen) else ())

    def _send(self, claimed: Claimed, deadline: Deadline) -> Answer:
        identity = {"activity_id": claimed.activity.id, "attempt": claimed.attempt.number}
        kind = claimed.activity.engagement_type.value
        started = self.clock.elapsed()
        lateness_ms = round(claimed.lateness / timedelta(milliseconds=1), 3)
        self.telemetry.emit(Signal.CALL_STARTED, **identity, engagement_type=kind, lateness_ms=lateness_ms)
        answer = self.linkedin.engage(claimed.engagement, deadline)
        self.telemetry.emit(
            Signal.CALL_ENDED, **identity, outcome=type(answer).__name__.lower(), duration_ms=self._since(started)
        )
        if isinstance(answer, Failure):
            self.telemetry.emit(
                Signal.ERROR_CLASSIFIED,
                **identity,
                error_type=answer.error_type.value,
                effect=answer.effect.value,
                cause=answer.cause.value,
                message=answer.message,
            )
        return answer

    def _record(self, claimed: Claimed, answer: Answer) -> Outcome:
        decide: Callable[[Snapshot], Decision[Outcome]] = partial(
            decide_verdict,
            attempt=claimed.attempt,
            answer=answer,
            policy=self.retry_policy,
        )
        activity_id = claimed.activity.id
        try:
            verdict = self.store.change(activity_id, decide)
        except StoreUnavailable as error:
            self.backlog.add(activity_id, decide)
            self.telemetry.emit(Signal.STORE_UNAVAILABLE, activity_id=activity_id, message=str(error))
            return Dropped(reason="the answer is kept until the database is back")
        self.telemetry.emit(
            Signal.DATABASE_UPDATED,
            activity_id=activity_id,
            attempt=claimed.attempt.number,
            engagement_type=claimed.activity.engagement_type.value,
            verdict=type(verdict).__name__.lower(),
        )
        return verdict

    def _store_lost(self, activity_id: str, error: StoreUnavailable) -> Waits:
        self.telemetry.emit(Signal.STORE_UNAVAILABLE, activity_id=activity_id, message=str(error))
        return Waits(again_in=_STORE_RETRY, reason="the database is unavailable; nothing was sent")

    def _told(self, activity_id: str, outcome: Outcome) -> Outcome:
        if not isinstance(outcome, Waits):
            self.preparer.forget(activity_id)
        match outcome:
            case Executed():
                self.telemetry.emit(Signal.JOB_COMPLETED, activity_id=activity_id, provenance=outcome.provenance.value)
            case Waits():
                self.telemetry.emit(Signal.ACTIVITY_DEFERRED, activity_id=activity_id, reason=outcome.reason)
            case Buried():
                self.telemetry.emit(
                    Signal.DEAD_LETTER,
                    activity_id=activity_id,
                    error_type=outcome.failure.error_type.value,
                    message=outcome.failure.message,
                )
            case Dropped():
                self.telemetry.emit(Signal.ACTIVITY_DROPPED, activity_id=activity_id, reason=outcome.reason)
        return outcome

    def _since(self, started: float) -> float:
        return round((self.clock.elapsed() - started) * 1000, 3)
