"""Use case: explain why an activity is where it is, what happens next and when, and what a person can do.

The one rule: it says what the claim would decide, because it applies the same rules to the same snapshot.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime

from engagement_core.decisions.admission import Defer, admit
from engagement_core.decisions.claim import ClaimPolicy, burial_of
from engagement_core.decisions.explanation import Explanation, of_owner
from engagement_core.decisions.left_over import why_left_over
from engagement_core.model.activity import Activity, Malformed, PublicStatus
from engagement_core.model.attempt import Attempt
from engagement_core.model.controls import ControlKind
from engagement_core.model.dead_letter import DeadLetter
from engagement_core.model.errors import TAXONOMY, Cause, Effect
from engagement_core.model.lifecycle import Event, Phase
from engagement_core.model.snapshot import Snapshot

__all__ = ["Explanation", "explain"]


def explain(snapshot: Snapshot, letter: DeadLetter | None, policy: ClaimPolicy | None = None) -> Explanation:
    """Explain an activity.

    Args:
        snapshot: what the store shows.
        letter: its open dead letter, if there is one.
        policy: the workers' policy; None is the default.
    """
    activity = snapshot.activity
    if activity is None:
        return Explanation(phase=None, why="There is no such activity.", next="Nothing.")
    rule = _BY_STATUS.get(activity.status)
    if rule is None:
        why = f"Its status is {activity.status!r}, another service's word: only 'scheduled' activities are sent."
        return Explanation(phase=None, why=why, next="Nothing, unless that service schedules it.")
    return rule(_Case(snapshot=snapshot, letter=letter, policy=policy or ClaimPolicy()), activity)


@dataclass(frozen=True, kw_only=True, slots=True)
class _Case:
    """One activity, while it is explained."""

    snapshot: Snapshot
    letter: DeadLetter | None
    policy: ClaimPolicy


def _executed(case: _Case, _: Activity | Malformed) -> Explanation:
    last = next((each for each in reversed(case.snapshot.attempts) if each.phase is Phase.EXECUTED), None)
    how = _HOW.get(last.event, "it is recorded as executed") if last else "somebody else has set its status"
    return Explanation(phase=Phase.EXECUTED, why=f"It was executed: {how}.", next="Nothing: it is never sent again.")


_HOW = {
    Event.CONFIRM: "the provider said so",
    Event.FIND_PRESENT: "a read-back found it on the post",
    Event.RESOLVE_EXECUTED: "a person has said so",
}


def _failed(case: _Case, _: Activity | Malformed) -> Explanation:
    letter = case.letter
    if letter is None:
        why = "Its status is 'failed', but it has no open dead letter: it was closed, or somebody else set the status."
        return Explanation(phase=Phase.FAILED, why=why, next="Nothing.")
    doubt = " It is not known whether it happened." if letter.effect is Effect.UNKNOWN else ""
    return Explanation(
        phase=Phase.FAILED,
        why=f"It is a dead letter ({letter.error_type.value}): {letter.message}{doubt}",
        next="Nothing, until a person acts.",
        person=letter.next_step,
    )


def _scheduled(case: _Case, activity: Activity | Malformed) -> Explanation:
    owner = next((each for each in case.snapshot.attempts if each.may_have_had_effect), None)
    if owner is not None:
        return of_owner(owner) if owner.is_open or owner.is_foreign else _left_over(case.snapshot, owner)
    if isinstance(activity, Malformed):
        return _doomed(Cause.INVALID_ACTIVITY, f"{'; '.join(activity.problems)}.", None)
    burial = burial_of(case.snapshot, activity, case.policy)
    if burial is not None:
        return _doomed(*burial, max(activity.due_at, case.snapshot.now))
    return _waiting(case.snapshot, activity)


def _left_over(snapshot: Snapshot, owner: Attempt) -> Explanation:
    at = snapshot.activity.due_at if isinstance(snapshot.activity, Activity) else None
    return Explanation(
        phase=Phase.SCHEDULED,
        why=f"It is scheduled, but it will not be sent: {why_left_over(snapshot, owner)}",
        next="When it is due, it is marked as executed or becomes a dead letter.",
        next_at=at and max(at, snapshot.now),
        person="To execute an activity once more, give it a new id.",
    )


def _waiting(snapshot: Snapshot, activity: Activity) -> Explanation:
    admission = admit(snapshot, snapshot.account) if snapshot.account else None
    if isinstance(admission, Defer):
        return Explanation(
            phase=Phase.SCHEDULED,
            why=f"It waits (no attempt is charged): {admission.reason}.",
            next="It is sent when that is over.",
            next_at=admission.until and max(admission.until, activity.due_at),
            person=None if admission.until else _how_to_lift(snapshot),
        )
    retried = f" after {_times(activity.failure_count)}" if activity.failure_count else ""
    if activity.due_at > snapshot.now:
        why = f"It waits for its time{retried}."
        return Explanation(phase=Phase.SCHEDULED, why=why, next="It is sent.", next_at=activity.due_at)
    return Explanation(
        phase=Phase.SCHEDULED,
        why=f"It is due{retried}, and waits for a worker.",
        next="The next free worker sends it.",
        next_at=snapshot.now,
        person="If this does not change, run `engagement status`: is a worker alive?",
    )


def _how_to_lift(snapshot: Snapshot) -> str:
    endless = next((control for control in snapshot.controls if control.until is None), None)
    if endless is None:
        return "Reconnect the account at the provider, then set its status in linkedin_accounts to ok."
    resume = f"`engagement resume --{endless.scope.value} {endless.scope_id}".rstrip() + "`"
    if endless.kind is ControlKind.HOLD:
        return f"Reconnect the account at the provider. With v1 the hold ends automatically; otherwise run {resume}."
    return f"Once the reason is gone, run {resume}."


def _times(failures: int) -> str:
    return "1 failed attempt" if failures == 1 else f"{failures} failed attempts"


def _doomed(cause: Cause, why: str, at: datetime | None) -> Explanation:
    """The claim will not send it."""
    is_invalid = cause is Cause.INVALID_ACTIVITY
    never = " A row without a finite time is never due." if at is None else ""
    return Explanation(
        phase=Phase.SCHEDULED,
        why=f"It cannot be executed: {why}",
        next=f"It becomes a dead letter ({TAXONOMY[cause].error_type.value}) when it is due.{never}",
        next_at=at,
        person="Correct its row." if is_invalid else f"Once it is a dead letter: {TAXONOMY[cause].next_step}",
    )


_BY_STATUS: dict[str, Callable[[_Case, Activity | Malformed], Explanation]] = {
    PublicStatus.SCHEDULED.value: _scheduled,
    PublicStatus.EXECUTED.value: _executed,
    PublicStatus.FAILED.value: _failed,
}
