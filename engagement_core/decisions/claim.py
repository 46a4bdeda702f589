"""Decides whether this activity may be executed now, and by this worker.

The one rule: nothing that was read before the lock is believed. What a job, the sweep or an earlier read said is
checked again here, against the snapshot.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta

from engagement_core.decisions.admission import Defer, admit
from engagement_core.decisions.bury import bury
from engagement_core.decisions.late_evidence import accept_late_proof, find_late_proof
from engagement_core.decisions.left_over import decide_left_over, find_left_over
from engagement_core.decisions.validation import problems_of
from engagement_core.model.activity import (
    Account,
    Activity,
    EngagementType,
    Malformed,
    Pod,
    PublicStatus,
    VoiceCartridge,
)
from engagement_core.model.attempt import Attempt, attempts_since_requeue, count_crashes
from engagement_core.model.decision import Decision, SaveAttempt
from engagement_core.model.errors import Cause, Effect, Failure
from engagement_core.model.lifecycle import Event, Phase
from engagement_core.model.outcome import Buried, Deferred, Dropped, Executed
from engagement_core.model.provider import Engagement
from engagement_core.model.snapshot import Snapshot

__all__ = [
    "SATURATED_RETRY_AFTER",
    "ClaimPolicy",
    "ClaimResult",
    "Claimed",
    "Holder",
    "burial_of",
    "decide_claim",
    "frozen_text",
    "waits_for",
]

SATURATED_RETRY_AFTER = timedelta(seconds=2)
"""How long an activity waits if its account is saturated."""


@dataclass(frozen=True, kw_only=True, slots=True)
class ClaimPolicy:
    """`job_timeout` is the hard total deadline of an attempt. An activity is quarantined after `max_crashes` workers
    died while they had it or did not finish it. An activity that is late by more than `max_lateness`, counted from
    `scheduled_for` or from a person's requeue, is not sent any more."""

    job_timeout: timedelta = timedelta(seconds=30)
    max_crashes: int = 5
    max_lateness: timedelta | None = None


@dataclass(frozen=True, kw_only=True, slots=True)
class Holder:
    """Who claims: a worker, and the fencing token of this one execution.

    `saturated` are the slow accounts that already have as many of the worker's threads as one account may have.
    """

    worker_id: str
    token: str
    saturated: frozenset[str] = frozenset()


@dataclass(frozen=True, kw_only=True, slots=True)
class Claimed:
    """This worker owns the activity. `attempt` is as stored; in phase sending the intent is committed and the call may
    be made.

    `needs_recheck` means that an earlier attempt at this comment was believed absent: read back again before sending.
    """

    attempt: Attempt
    activity: Activity
    pod: Pod
    account: Account
    cartridge: VoiceCartridge | None
    lateness: timedelta
    needs_recheck: bool = False

    @property
    def identity(self) -> dict[str, object]:
        """The fields that every event about it carries."""
        return {
            "activity_id": self.activity.id,
            "attempt": self.attempt.number,
            "pod_id": self.pod.id,
            "engagement_type": self.activity.engagement_type.value,
        }

    @property
    def engagement(self) -> Engagement:
        """Exactly what is to be sent."""
        return Engagement(
            engagement_type=self.activity.engagement_type,
            post_id=self.activity.post_id,
            account=self.account,
            text=self.attempt.text,
        )


ClaimResult = Claimed | Deferred | Dropped | Buried | Executed


def decide_claim(snapshot: Snapshot, *, holder: Holder, policy: ClaimPolicy) -> Decision[ClaimResult]:
    """Claim the activity if it is free, well formed, due and admitted. A like begins sending in the same commit."""
    activity = snapshot.activity
    not_ours = _not_ours(snapshot)
    if activity is None or not_ours is not None:
        status = "missing" if activity is None else activity.status
        return Decision(Dropped(reason=not_ours or "there is no such activity", status=status))
    seen = find_late_proof(snapshot)
    if seen is not None:
        believed = accept_late_proof(snapshot, seen)
        return Decision(believed.result, believed.writes)
    left_over = find_left_over(snapshot)
    if left_over is not None:
        settled = decide_left_over(snapshot, left_over)
        return Decision(settled.result, settled.writes)
    if isinstance(activity, Malformed):
        return _bury(snapshot, activity.id, Cause.INVALID_ACTIVITY, "; ".join(activity.problems) + ".")
    if activity.due_at > snapshot.now:
        return Decision(Deferred(again_in=activity.due_at - snapshot.now, reason="it is not due yet"))
    return _claim_due(snapshot, activity, holder, policy)


def waits_for(snapshot: Snapshot, defer: Defer) -> Deferred:
    """Admission's deferral as an outcome."""
    return Deferred(
        again_in=None if defer.until is None else max(defer.until - snapshot.now, timedelta(0)), reason=defer.reason
    )


def _not_ours(snapshot: Snapshot) -> str | None:
    activity = snapshot.activity
    if activity is None:
        return None
    if activity.status == PublicStatus.FAILED.value and (said := _last_error(snapshot)):
        return f"it failed: {said}"
    if activity.status != PublicStatus.SCHEDULED.value:
        return f"its status is {activity.status!r}, not 'scheduled'"
    owner = next((each for each in snapshot.attempts if each.may_have_had_effect and _is_kept(each)), None)
    return None if owner is None else f"attempt {owner.number} owns it"


def _is_kept(attempt: Attempt) -> bool:
    """Only its own worker or release decides about it: it is open, or a newer release has ended it in its own way."""
    return attempt.is_open or attempt.is_foreign


def _last_error(snapshot: Snapshot) -> str | None:
    message = snapshot.attempts[-1].error_message if snapshot.attempts else None
    return None if message is None else str(message)


def _claim_due(snapshot: Snapshot, activity: Activity, holder: Holder, policy: ClaimPolicy) -> Decision[ClaimResult]:
    burial = burial_of(snapshot, activity, policy)
    if burial is not None:
        return _bury(snapshot, activity.id, *burial)
    assert snapshot.pod is not None  # noqa: S101  # `burial_of` has checked it; this tells the type checker
    assert snapshot.account is not None  # noqa: S101
    admission = admit(snapshot, snapshot.account)
    if isinstance(admission, Defer):
        return Decision(waits_for(snapshot, admission), admission.writes)
    if snapshot.account.id in holder.saturated:
        why = f"account {snapshot.account.id} is slow, and already uses its share of this worker's threads"
        return Decision(Deferred(again_in=SATURATED_RETRY_AFTER, reason=why, saturated=snapshot.account.id))
    attempt = _new_attempt(snapshot, activity, snapshot.account, holder, policy)
    claimed = Claimed(
        attempt=attempt,
        activity=activity,
        pod=snapshot.pod,
        account=snapshot.account,
        cartridge=snapshot.cartridge,
        lateness=snapshot.now - activity.due_at,
        needs_recheck=_is_suspect(snapshot, activity),
    )
    return Decision(claimed, (SaveAttempt(attempt),))


def burial_of(snapshot: Snapshot, activity: Activity, policy: ClaimPolicy) -> tuple[Cause, str] | None:
    """The cause, and why, if a due activity becomes a dead letter instead of being sent; None if it may be sent."""
    whys = ((cause, rule(snapshot, activity, policy)) for cause, rule in _BURIED_BEFORE_SENDING)
    return next(((cause, why) for cause, why in whys if why is not None), None)


def _too_late(snapshot: Snapshot, activity: Activity, policy: ClaimPolicy) -> str | None:
    # Lateness does not count from `due_at`: retries and cool-downs make an activity late like anything else. It counts
    # anew from a requeue: a person who requeues an activity still wants it.
    requeued = (attempt.requeued_at for attempt in snapshot.attempts if attempt.requeued_at is not None)
    lateness = snapshot.now - max([activity.scheduled_for, *requeued])
    if policy.max_lateness is None or lateness <= policy.max_lateness:
        return None
    return f"it was due {lateness.total_seconds():.0f} s ago; the limit is {policy.max_lateness.total_seconds():.0f} s."


def _quarantined(snapshot: Snapshot, _: Activity, policy: ClaimPolicy) -> str | None:
    crashes = count_crashes(snapshot.attempts)
    if crashes < policy.max_crashes:
        return None
    return f"{crashes} times a worker died while it worked on it, or did not finish it in time."


def _invalid(snapshot: Snapshot, activity: Activity, _: ClaimPolicy) -> str | None:
    problems = problems_of(snapshot, activity)
    return "; ".join(problems) + "." if problems else None


_BURIED_BEFORE_SENDING: tuple[tuple[Cause, Callable[[Snapshot, Activity, ClaimPolicy], str | None]], ...] = (
    (Cause.INVALID_ACTIVITY, _invalid),
    (Cause.QUARANTINED, _quarantined),
    (Cause.TOO_LATE, _too_late),
)


def _bury(snapshot: Snapshot, activity_id: str, cause: Cause, why: str) -> Decision[ClaimResult]:
    failure = Failure(cause=cause, message=why)
    buried = bury(snapshot, activity_id, failure, counts=False)
    return Decision(buried.result, buried.writes)


def _new_attempt(
    snapshot: Snapshot, activity: Activity, account: Account, holder: Holder, policy: ClaimPolicy
) -> Attempt:
    is_like = activity.engagement_type is EngagementType.LIKE
    claimed = Attempt(
        activity_id=activity.id,
        number=snapshot.attempts[-1].number + 1 if snapshot.attempts else 1,
        token=holder.token,
        worker_id=holder.worker_id,
        phase=Phase.CLAIMED,
        event=Event.CLAIM,
        effect=Effect.UNKNOWN,
        account_id=account.id,
        engagement_type=activity.engagement_type,
        post_id=activity.post_id,
        claimed_at=snapshot.now,
        deadline_at=snapshot.now + policy.job_timeout,
        text=None if is_like else frozen_text(snapshot, activity),
        text_source=None if is_like else activity.comment_text,
    )
    # A like has nothing to prepare: its claim and its intent are one commit.
    return claimed.after(Event.BEGIN_SENDING, began_at=snapshot.now) if is_like else claimed


def frozen_text(snapshot: Snapshot, activity: Activity) -> str | None:
    """The first text made from this original wins: a retry neither pays for the voice again nor changes the text."""
    sources = (None, activity.comment_text)
    counting = attempts_since_requeue(snapshot.attempts)
    return next((a.text for a in counting if a.text is not None and a.text_source in sources), None)


def _is_suspect(snapshot: Snapshot, activity: Activity) -> bool:
    return activity.engagement_type is EngagementType.COMMENT and any(
        attempt.event is Event.FIND_ABSENT for attempt in snapshot.attempts
    )
