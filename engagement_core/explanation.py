"""What is said of an activity's place, and what is said while an attempt owns it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime

from engagement_core.attempt import Attempt
from engagement_core.lifecycle import Phase

__all__ = ["Explanation", "of_owner"]


@dataclass(frozen=True, kw_only=True, slots=True)
class Explanation:
    """Three sentences. `phase` is None for a row that is not ours to execute; `next_at` is when something happens next,
    None when nothing will by itself; `person` is what a person can do, None when there is nothing to be done."""

    phase: Phase | None
    why: str
    next: str
    next_at: datetime | None = None
    person: str | None = None


def of_owner(owner: Attempt) -> Explanation:
    """Of a scheduled activity that no other attempt may touch, because this one may have had an effect."""
    return _IN_FLIGHT.get(owner.phase, _left_over)(owner)


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
