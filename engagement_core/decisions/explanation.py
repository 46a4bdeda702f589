"""The explanation of where an activity is, and its text while an attempt owns the activity."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime

from engagement_core.model.attempt import Attempt
from engagement_core.model.lifecycle import Phase
from engagement_core.model.orphan import FOREIGN_FOR

__all__ = ["Explanation", "of_owner"]


@dataclass(frozen=True, kw_only=True, slots=True)
class Explanation:
    """Three texts: `why` it is where it is, what happens `next`, and what a `person` can do (None if nothing).

    `phase` is None for a row that we do not execute. `next_at` is when something happens next; None if nothing happens
    automatically.
    """

    phase: Phase | None
    why: str
    next: str
    next_at: datetime | None = None
    person: str | None = None


def of_owner(owner: Attempt) -> Explanation:
    """Explain a scheduled activity that only this attempt may touch, because it may have had an effect."""
    return _newer(owner) if owner.is_foreign else _IN_FLIGHT[owner.phase](owner)


def _claimed(owner: Attempt) -> Explanation:
    why = f"Worker {owner.worker_id} is preparing attempt {owner.number}; nothing has been sent yet."
    after = "It is sent, or the claim is given back."
    return Explanation(phase=Phase.CLAIMED, why=why, next=after, next_at=owner.deadline_at)


def _sending(owner: Attempt) -> Explanation:
    why = f"Worker {owner.worker_id} is sending attempt {owner.number}; the request may have left already."
    after = "Its answer is recorded. If none comes, the outcome is unknown and the post is read back."
    return Explanation(phase=Phase.SENDING, why=why, next=after, next_at=owner.deadline_at)


def _unknown(owner: Attempt) -> Explanation:
    seen = owner.error_message or "no answer came."
    return Explanation(
        phase=Phase.UNKNOWN,
        why=f"Attempt {owner.number} may or may not have been applied: {seen}",
        next="The post is read back before anything else is sent.",
        next_at=owner.look_at,
    )


def _newer(owner: Attempt) -> Explanation:
    return Explanation(
        phase=owner.phase,
        why=f"Attempt {owner.number} belongs to a newer release of this software ({owner.event.value}).",
        next="A worker of that release settles it. If none does, it becomes a dead letter a day after its deadline.",
        next_at=owner.deadline_at + FOREIGN_FOR,
        person="Run `engagement explain` of the newer release.",
    )


_IN_FLIGHT: dict[Phase, Callable[[Attempt], Explanation]] = {
    Phase.CLAIMED: _claimed,
    Phase.SENDING: _sending,
    Phase.UNKNOWN: _unknown,
}
