"""Use case: why is this activity where it is, what happens next and when, and what can a person do?

The one rule: it says what the claim would decide, by asking the same rules of the same snapshot.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime

from engagement_core.activity import Activity, Malformed, PublicStatus
from engagement_core.admission import Defer, admit
from engagement_core.attempt import Attempt
from engagement_core.lifecycle import Event, Phase
from engagement_core.ports.activities import DeadLetter, Snapshot
from engagement_core.validation import problems_of

__all__ = ["Explanation", "explain"]


@dataclass(frozen=True, kw_only=True, slots=True)
class Explanation:
    """Three sentences. `phase` is None for a row that is not ours to execute; `next_at` is when something happens next,
    None when nothing will by itself; `person` is what a person can do, None when there is nothing to be done."""

    phase: Phase | None
    why: str
    next: str
    next_at: datetime | None = None
    person: str | None = None


def explain(snapshot: Snapshot, letter: DeadLetter | None) -> Explanation:
    """Explain an activity.

    Args:
        snapshot: what the store shows.
        letter: its open dead letter, if there is one.
    """
    activity = snapshot.activity
    if activity is None:
        return Explanation(phase=None, why="There is no such activity.", next="Nothing.")
    rule = _BY_STATUS.get(activity.status)
    if rule is None:
        why = f"Its status is {activity.status!r}: another service's word for what is not to be sent."
        return Explanation(phase=None, why=why, next="Nothing, unless that service schedules it.")
    return rule(snapshot, activity, letter)


def _executed(snapshot: Snapshot, _: Activity | Malformed, __: DeadLetter | None) -> Explanation:
    last = next((each for each in reversed(snapshot.attempts) if each.phase is Phase.EXECUTED), None)
    how = _HOW.get(last.event, "it is on record") if last else "somebody else has set its status"
    return Explanation(phase=Phase.EXECUTED, why=f"It was executed: {how}.", next="Nothing: it is never sent again.")


_HOW = {
    Event.CONFIRM: "the provider said so",
    Event.FIND_PRESENT: "it was found by reading back what the post shows",
    Event.RESOLVE_EXECUTED: "a person has said so",
}


def _failed(_: Snapshot, __: Activity | Malformed, letter: DeadLetter | None) -> Explanation:
    if letter is None:
        why = "Its status is 'failed', and it has no open dead letter: it was closed, or somebody else has set it."
        return Explanation(phase=Phase.FAILED, why=why, next="Nothing.")
    return Explanation(
        phase=Phase.FAILED,
        why=f"It is a dead letter ({letter.error_type.value}): {letter.message}",
        next="Nothing by itself.",
        person=letter.next_step,
    )


def _scheduled(snapshot: Snapshot, activity: Activity | Malformed, _: DeadLetter | None) -> Explanation:
    owner = next((each for each in snapshot.attempts if each.may_have_had_effect), None)
    if owner is not None:
        return _IN_FLIGHT.get(owner.phase, _left_over)(owner)
    if isinstance(activity, Malformed):
        return _invalid("; ".join(activity.problems))
    problems = problems_of(snapshot, activity)
    if problems:
        return _invalid("; ".join(problems))
    return _waiting(snapshot, activity)


def _waiting(snapshot: Snapshot, activity: Activity) -> Explanation:
    admission = admit(snapshot, snapshot.account) if snapshot.account else None
    if isinstance(admission, Defer):
        return Explanation(
            phase=Phase.SCHEDULED,
            why=f"It waits, without a charge: {admission.reason}.",
            next="It is sent when that is over." if admission.until else "Nothing until that is lifted.",
            next_at=admission.until and max(admission.until, activity.due_at),
            person=None if admission.until else "`engagement resume` what is paused or held, or mend the account.",
        )
    retried = f" after {activity.failure_count} failed attempts" if activity.failure_count else ""
    if activity.due_at > snapshot.now:
        why = f"It waits for its time{retried}."
        return Explanation(phase=Phase.SCHEDULED, why=why, next="It is sent.", next_at=activity.due_at)
    return Explanation(
        phase=Phase.SCHEDULED,
        why=f"It is due{retried}, and waits for a worker.",
        next="The next worker that is free sends it.",
        next_at=snapshot.now,
        person="If it stays so, see `engagement status`: is a worker alive?",
    )


def _invalid(problems: str) -> Explanation:
    return Explanation(
        phase=Phase.SCHEDULED,
        why=f"It cannot be executed: {problems}.",
        next="It becomes a dead letter when it is due.",
        person="Correct its row.",
    )


def _claimed(owner: Attempt) -> Explanation:
    why = f"Worker {owner.worker_id} prepares attempt {owner.number}; nothing has been sent yet."
    return Explanation(phase=Phase.CLAIMED, why=why, next="It is sent, or given back.", next_at=owner.deadline_at)


def _sending(owner: Attempt) -> Explanation:
    why = f"Worker {owner.worker_id} is sending attempt {owner.number}; the request may be on its way."
    after = "Its answer is recorded; if none comes, the outcome is unknown and is looked for."
    return Explanation(phase=Phase.SENDING, why=why, next=after, next_at=owner.deadline_at)


def _unknown(owner: Attempt) -> Explanation:
    seen = str((owner.error or {}).get("message") or "no answer came.")
    return Explanation(
        phase=Phase.UNKNOWN,
        why=f"Attempt {owner.number} may or may not have been applied: {seen}",
        next="The post is read back, before anything else is sent.",
        next_at=owner.look_at,
    )


def _left_over(owner: Attempt) -> Explanation:
    return Explanation(
        phase=Phase.SCHEDULED,
        why=f"It is scheduled, but attempt {owner.number} ({owner.effect.value}) may have had an effect:"
        " somebody has set its status back.",
        next="Nothing: it is never sent again without proof.",
        person="Set its status to what is true, or to 'failed' and resolve it.",
    )


_IN_FLIGHT: dict[Phase, Callable[[Attempt], Explanation]] = {
    Phase.CLAIMED: _claimed,
    Phase.SENDING: _sending,
    Phase.UNKNOWN: _unknown,
}
_BY_STATUS: dict[str, Callable[[Snapshot, Activity | Malformed, DeadLetter | None], Explanation]] = {
    PublicStatus.SCHEDULED.value: _scheduled,
    PublicStatus.EXECUTED.value: _executed,
    PublicStatus.FAILED.value: _failed,
}
