"""Use case: one activity, from a wake-up to a verdict.

The one rule: claim, send once, record. Between claim and send, a comment is prepared and begun; a like is begun by its
claim. Each step is total: it returns a value that says how it ended. The first that is no success ends the execution.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from datetime import timedelta
from functools import partial
from itertools import count

from engagement_core.decisions.begin import decide_begin
from engagement_core.decisions.claim import (
    SATURATED_RETRY_AFTER,
    Claimed,
    ClaimPolicy,
    ClaimResult,
    Holder,
    decide_claim,
)
from engagement_core.decisions.judge_read_back import ReconcilePolicy
from engagement_core.decisions.recheck import decide_last_look
from engagement_core.decisions.release import give_back
from engagement_core.decisions.retry import RetryPolicy
from engagement_core.model.activity import EngagementType
from engagement_core.model.errors import Failure
from engagement_core.model.outcome import Buried, Deferred, Dropped, Outcome
from engagement_core.model.provider import Answer, NoReadBack, NotSent, ids_to_credit
from engagement_core.model.signal import Signal
from engagement_core.ports.activities import ActivityStore, StoreBusy, StoreRefused, StoreUnavailable
from engagement_core.ports.clock import Clock, Deadline
from engagement_core.ports.linkedin import LinkedIn
from engagement_core.ports.telemetry import Telemetry
from engagement_core.ports.voice import Voice
from engagement_core.use_cases.bulkhead import AccountBulkhead
from engagement_core.use_cases.event_fields import answer_fields, emit_outcome, emit_refusal, failure_fields
from engagement_core.use_cases.pending_decisions import TRY_AGAIN_AFTER, PendingDecisions
from engagement_core.use_cases.prepare_comment import Preparer
from engagement_core.use_cases.provider_calls import engage, read_back
from engagement_core.use_cases.record_verdict import Recorder

__all__ = ["Executor"]

_REFUSES = "the database refuses to record what becomes of activities"
_STORE_RETRY = timedelta(seconds=1)
_BUSY_RETRY = timedelta(seconds=5)


@dataclass(kw_only=True, eq=False)
class Executor:
    """Executes activities for one worker. Safe to use from several threads.

    `voice_timeout` bounds the voice inside the attempt's own deadline. `most_slow_calls` is how many calls at a time a
    slow account may have. `preparer` prepares comments ahead of their time; `calls` is the bulkhead of the accounts.
    """

    worker_id: str
    store: ActivityStore
    linkedin: LinkedIn
    voice: Voice
    telemetry: Telemetry
    clock: Clock
    pending: PendingDecisions
    claim_policy: ClaimPolicy = field(default_factory=ClaimPolicy)
    retry_policy: RetryPolicy = field(default_factory=RetryPolicy)
    reconcile_policy: ReconcilePolicy = field(default_factory=ReconcilePolicy)
    voice_timeout: timedelta = timedelta(seconds=10)
    most_slow_calls: int = 2
    preparer: Preparer = field(init=False, repr=False)
    calls: AccountBulkhead = field(init=False, repr=False)
    _recorder: Recorder = field(init=False, repr=False)
    _tokens: Iterator[int] = field(default_factory=count, init=False, repr=False)

    def __post_init__(self) -> None:
        self.preparer = Preparer(
            store=self.store,
            voice=self.voice,
            telemetry=self.telemetry,
            clock=self.clock,
            timeout=self.voice_timeout,
        )
        self.calls = AccountBulkhead(self.clock, most=self.most_slow_calls)
        self._recorder = Recorder(
            store=self.store, telemetry=self.telemetry, pending=self.pending, policy=self.retry_policy
        )

    def execute(self, activity_id: str) -> Outcome:
        """Execute the activity if that may be done now; never raises for what a row, the provider or a server does."""
        return self.start(activity_id)()

    def start(self, activity_id: str, *, when_claimed: Callable[[], None] = lambda: None) -> Callable[[], Outcome]:
        """Execute the activity, but do not wait for its verdict to be committed. The function that is returned waits
        for that, and must be called. Raises no more than `execute`.

        `when_claimed` is called when the claim was decided, before anything slow happens. So a thread can wait for the
        verdict of its last activity and for the claim of the next one at the same time.
        """
        deadline, started = Deadline.after(self.clock, self.claim_policy.job_timeout), self.clock.elapsed()
        claim = self._not_now(activity_id) or self._claim(activity_id)
        when_claimed()
        if not isinstance(claim, Claimed):
            return partial(self._told, activity_id, claim, started)
        is_comment = claim.activity.engagement_type is EngagementType.COMMENT
        begun = self._begin(claim, deadline) if is_comment else claim
        if not isinstance(begun, Claimed):
            return partial(self._told, activity_id, begun, started, claim)
        answer = self._send(begun, deadline)
        recorded = partial(self._recorded, begun, started)
        return partial(self._end, begun, started, self._recorder.record(begun, answer, recorded))

    def _end(self, begun: Claimed, started: float, wait: Callable[[], Outcome | None]) -> Outcome:
        verdict = wait()
        if verdict is None:
            kept = Dropped(reason="its answer is kept until the database takes it")
            return self._told(begun.activity.id, kept, started, begun)
        self._recorded(begun, started, verdict)
        return verdict

    def _not_now(self, activity_id: str) -> Deferred | None:
        """Why not even a claim is tried."""
        held_back = self.linkedin.available_in()
        if held_back > timedelta(0):
            return Deferred(again_in=held_back, reason="the provider's breaker is open")
        if self.pending.stops_sending:
            return Deferred(again_in=TRY_AGAIN_AFTER, reason=_REFUSES)
        if activity_id in self.pending:
            # Each claim that fails is to be given back: one at a time, or an outage of hours fills the memory.
            return Deferred(again_in=_STORE_RETRY, reason="the database has yet to be told of its last try")
        return None

    def _claim(self, activity_id: str) -> ClaimResult:
        token = f"{self.worker_id}/{next(self._tokens)}"
        holder = Holder(worker_id=self.worker_id, token=token, saturated=self.calls.saturated())
        decide = partial(decide_claim, holder=holder, policy=self.claim_policy)
        try:
            result = self.store.change(activity_id, decide)
        except StoreBusy:
            return Deferred(again_in=_BUSY_RETRY, reason="somebody else has locked its row")
        except StoreRefused as error:
            return self._store_refused(error, activity_id=activity_id)
        except StoreUnavailable as error:
            # Whether the claim was committed is not known. If it was, it is ours: nothing was sent, so give it back.
            self.pending.add(activity_id, partial(give_back, token=holder.token))
            return self._store_lost(error, activity_id=activity_id)
        if isinstance(result, Claimed):
            self.telemetry.emit(Signal.ACTIVITY_VALIDATED, **result.identity)
        if isinstance(result, Buried):
            self.telemetry.emit(Signal.ERROR_CLASSIFIED, activity_id=activity_id, **failure_fields(result.failure))
        return result

    def _begin(self, claimed: Claimed, deadline: Deadline) -> ClaimResult:
        text = claimed.attempt.text or self._speak(claimed, deadline)
        try:
            if claimed.needs_recheck:
                found = self._look_once_more(claimed, text, deadline)
                if found is not None:
                    return found
            return self.store.change(claimed.activity.id, partial(decide_begin, claimed=claimed, text=text))
        except StoreRefused as error:
            self.pending.add(claimed.activity.id, partial(give_back, token=claimed.attempt.token))
            return self._store_refused(error, **claimed.identity)
        except StoreUnavailable as error:
            self.pending.add(claimed.activity.id, partial(give_back, token=claimed.attempt.token))
            return self._store_lost(error, **claimed.identity)

    def _speak(self, claimed: Claimed, deadline: Deadline) -> str:
        started = self.clock.elapsed()
        spoken = self.preparer.speak(claimed.activity, claimed.pod, claimed.cartridge, deadline)
        self.telemetry.emit(
            Signal.COMMENT_PREPARED,
            **claimed.identity,
            used_voice=spoken.used_voice,
            fell_back=claimed.cartridge is not None and spoken.reason is not None,
            reason=spoken.reason,
            duration_ms=self._since(started),
        )
        return spoken.text

    def _look_once_more(self, claimed: Claimed, text: str, deadline: Deadline) -> ClaimResult | None:
        engagement = replace(claimed.engagement, text=text)
        seen = read_back(self.linkedin, engagement, deadline)
        if isinstance(seen, NoReadBack):
            return None
        decide = partial(decide_last_look, claimed=claimed, text=text, seen=seen, policy=self.reconcile_policy)
        return self.store.change(claimed.activity.id, decide, crediting=ids_to_credit(seen))

    def _send(self, claimed: Claimed, deadline: Deadline) -> Answer:
        if self.pending.stops_sending:  # that of the last activity may have been refused while this one was claimed
            return NotSent(reason=_REFUSES, retry_in=TRY_AGAIN_AFTER)
        with self.calls.call(claimed.account.id) as has_room:
            if has_room:
                return self._call(claimed, deadline)
            return NotSent(reason="its account does not answer, and others wait for it", retry_in=SATURATED_RETRY_AFTER)

    def _call(self, claimed: Claimed, deadline: Deadline) -> Answer:
        started = self.clock.elapsed()
        lateness_ms = round(claimed.lateness / timedelta(milliseconds=1), 3)
        self.telemetry.emit(Signal.CALL_STARTED, **claimed.identity, lateness_ms=lateness_ms)
        answer = engage(self.linkedin, claimed.engagement, deadline)
        self.telemetry.emit(
            Signal.CALL_ENDED, **claimed.identity, **answer_fields(answer), duration_ms=self._since(started)
        )
        if isinstance(answer, Failure):
            self.telemetry.emit(Signal.ERROR_CLASSIFIED, **claimed.identity, **failure_fields(answer))
        return answer

    def _recorded(self, claimed: Claimed, started: float, verdict: Outcome) -> None:
        """The database has taken the verdict, perhaps long after the call."""
        self.telemetry.emit(
            Signal.DATABASE_UPDATED,
            **claimed.identity,
            verdict=verdict.kind.value,
            duration_ms=self._since(started),
        )
        self._told(claimed.activity.id, verdict, started, claimed)

    def _store_lost(self, error: StoreUnavailable, **identity: object) -> Deferred:
        self.telemetry.emit(Signal.STORE_UNAVAILABLE, **identity, message=str(error))
        return Deferred(again_in=_STORE_RETRY, reason="the database is unavailable; nothing was sent")

    def _store_refused(self, refused: StoreRefused, **identity: object) -> Deferred:
        """Nothing was applied, so there is nothing to give back."""
        emit_refusal(self.telemetry, refused, **identity, stops_sending=self.pending.stops_sending)
        return Deferred(again_in=TRY_AGAIN_AFTER, reason=f"the database refuses the change: {refused}")

    def _told(self, activity_id: str, outcome: Outcome, started: float, claimed: Claimed | None = None) -> Outcome:
        if not isinstance(outcome, Deferred):
            self.preparer.forget(activity_id)
        identity = claimed.identity if claimed is not None else {"activity_id": activity_id}
        emit_outcome(self.telemetry, outcome, identity | {"duration_ms": self._since(started)})
        return outcome

    def _since(self, started: float) -> float:
        return round((self.clock.elapsed() - started) * 1000, 3)
