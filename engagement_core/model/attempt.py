"""An attempt: the write-ahead record of one try to execute an activity.

The one rule: an attempt is written before anything is sent, and until it is *proven* to be without effect no other
attempt of the same activity may exist.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from datetime import datetime
from enum import Enum
from typing import Any

from engagement_core.model.activity import EngagementType
from engagement_core.model.answer_record import AnswerRecord
from engagement_core.model.errors import Effect
from engagement_core.model.lifecycle import ENDED, Event, Phase, next_phase

__all__ = ["Attempt", "Provenance", "attempts_since_requeue", "count_crashes", "count_refusals", "first_began"]


class Provenance(str, Enum):
    """How we know that an engagement was executed."""

    RESPONSE = "response"
    RECONCILED = "reconciled"
    PERSON = "person"


@dataclass(frozen=True, kw_only=True, slots=True)
class Attempt:
    """One row of `engagement_attempts`.

    `number` counts from 1 within the activity. `token` is the fencing token: one execution's own, never used again; who
    holds another one decides nothing. `phase` is the activity's phase while the attempt is open, and the phase it
    was left in afterwards. `account_id`, `engagement_type`, `post_id` and `text` (the frozen comment) are what
    was sent, whatever the activity's row says by now; one that was released before it began may have a text too.
    `text_source` is the original that the text is made from (None in rows from before it was kept). `answer` is what
    the provider said or, later, showed. `look_at` is when an unknown outcome is looked for next. `evidence` is an
    answer that came after the attempt had been closed by somebody else.
    """

    activity_id: str
    number: int
    token: str
    worker_id: str
    phase: Phase
    event: Event
    effect: Effect
    account_id: str | None
    engagement_type: EngagementType
    post_id: str
    claimed_at: datetime
    deadline_at: datetime
    began_at: datetime | None = None
    ended_at: datetime | None = None
    text: str | None = None
    text_source: str | None = None
    look_at: datetime | None = None
    answer: AnswerRecord | None = None
    error: AnswerRecord | None = None
    evidence: AnswerRecord | None = None
    crashed: bool = False
    requeued_at: datetime | None = None

    @property
    def is_open(self) -> bool:
        """It owns the activity: nobody else may act on it."""
        return self.phase not in ENDED

    @property
    def proves_effect(self) -> bool:
        """An answer that came late says that it happened."""
        return self.evidence is not None and self.evidence.get("effect") == Effect.APPLIED.value

    @property
    def engagement_id(self) -> str | None:
        """The provider's id of what it did, where the provider has told one."""
        known = (record.get("engagement_id") for record in (self.answer, self.evidence) if record is not None)
        return next((engagement_id for engagement_id in known if engagement_id), None)

    @property
    def error_message(self) -> str | None:
        """What went wrong, in a sentence, as far as it is on record."""
        return None if self.error is None else self.error.get("message")

    @property
    def may_have_had_effect(self) -> bool:
        """It forbids another attempt: the effect happened, or nobody has proven that it did not."""
        return self.effect not in (Effect.NONE, Effect.REPEATABLE)

    @property
    def is_foreign(self) -> bool:
        """A newer release left it, with a word that this one does not know: what it means is not ours to say."""
        return not all(word.is_known for word in (self.phase, self.event, self.effect, self.engagement_type))

    def after(self, event: Event, **changes: Any) -> Attempt:
        """The attempt after `event`, in the phase that the lifecycle says.

        Raises:
            IllegalEvent: the lifecycle does not know the event in this phase.
        """
        return replace(self, phase=next_phase(self.phase, event), event=event, **changes)


def attempts_since_requeue(attempts: tuple[Attempt, ...]) -> tuple[Attempt, ...]:
    """Those that count for the retry policy: a person who requeues starts the count afresh.

    Args:
        attempts: all of one activity, by number.
    """
    for index in range(len(attempts) - 1, -1, -1):
        if attempts[index].requeued_at is not None:
            return attempts[index + 1 :]
    return attempts


def first_began(attempts: Iterable[Attempt]) -> datetime | None:
    """When the first of them that was sent was sent; None if none was."""
    return min((attempt.began_at for attempt in attempts if attempt.began_at is not None), default=None)


# Each of these ended an attempt that the provider could judge and that left nothing behind, or nothing that matters.
_REFUSALS = frozenset({Event.REFUSE, Event.FIND_ABSENT, Event.REPEAT})


def count_refusals(attempts: tuple[Attempt, ...]) -> int:
    """How many attempts since the last requeue the retry policy charges. A release or a crash is free."""
    return sum(1 for attempt in attempts_since_requeue(attempts) if attempt.event in _REFUSALS and not attempt.crashed)


def count_crashes(attempts: tuple[Attempt, ...]) -> int:
    """How many workers died with this activity, or did not finish it, since the last requeue."""
    return sum(1 for attempt in attempts_since_requeue(attempts) if attempt.crashed)
