"""A provider without a network: it remembers what was done and answers as it is told.

The one rule: like the real one, what it did and what it answers are two things; a script may let it lie about either.
"""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta, timezone

from engagement_core.model.activity import EngagementType
from engagement_core.model.errors import Cause, Failure
from engagement_core.model.provider import Answer, Applied, Engagement, Found, NoReadBack, NotSent, ReadBack, Seen
from engagement_core.ports.clock import Deadline
from engagement_core.ports.linkedin import LinkedIn

__all__ = ["InMemoryEffect", "InMemoryLinkedIn", "Outcome"]

_TOO_LATE = Failure(cause=Cause.NOT_SENT, message="The deadline passed before the request could be sent.")


@dataclass(frozen=True, kw_only=True, slots=True)
class InMemoryEffect:
    """One engagement that happened."""

    engagement: Engagement
    engagement_id: str | None
    at: datetime


@dataclass(frozen=True, kw_only=True, slots=True)
class Outcome:
    """What one call does and says: whether it `applies`, and the `answer`, None for the truth."""

    applies: bool = True
    answer: Answer | None = None


def _epoch() -> datetime:
    return datetime(2024, 3, 15, tzinfo=timezone.utc)


class InMemoryLinkedIn(LinkedIn):
    """Applies everything until it is told otherwise; safe to use from many threads.

    `ledger` lists the effects in order, `calls` every engagement that it was asked for.
    `reads_back` False makes it a provider that cannot be asked (v0). `now` dates the effects, and `visibility_lag` is
    how long reads do not show them.
    `before_engaging` is called first each time, without any lock: a test lets time pass there, or something happen.
    """

    def __init__(
        self,
        *,
        reads_back: bool = True,
        now: Callable[[], datetime] = _epoch,
        visibility_lag: timedelta = timedelta(0),
        before_engaging: Callable[[Engagement, Deadline], None] | None = None,
    ) -> None:
        self.ledger: list[InMemoryEffect] = []
        self.calls: list[Engagement] = []
        self.reads_back = reads_back
        self.visibility_lag = visibility_lag
        self.before_engaging = before_engaging
        self._now = now
        self._lock = threading.Lock()
        self._outcomes: deque[Outcome] = deque()
        self._readings: deque[ReadBack] = deque()
        self._closed_for = timedelta(0)

    def will(self, *outcomes: Outcome) -> None:
        """Let the next calls of `engage` go so, one after the other."""
        self._outcomes.extend(outcomes)

    def will_read(self, *readings: ReadBack) -> None:
        """Let the next calls of `read_back` answer so, one after the other."""
        self._readings.extend(readings)

    def close_for(self, duration: timedelta) -> None:
        """Behave as if the breaker were open for `duration` more; zero opens the way again."""
        self._closed_for = duration

    def engage(self, engagement: Engagement, deadline: Deadline) -> Answer:
        """See `LinkedIn`."""
        if self.before_engaging is not None:
            self.before_engaging(engagement, deadline)
        with self._lock:
            if self._closed_for:
                return NotSent(reason="The provider is not called for a while.", retry_in=self._closed_for)
            if deadline.remaining() <= 0:
                return _TOO_LATE
            self.calls.append(engagement)
            outcome = self._outcomes.popleft() if self._outcomes else Outcome()
            applied = self._apply(engagement) if outcome.applies else None
            return outcome.answer or applied or Failure(cause=Cause.NO_ANSWER, message="No answer came.")

    def read_back(self, engagement: Engagement, deadline: Deadline) -> ReadBack:
        """See `LinkedIn`."""
        with self._lock:
            if self._readings:
                return self._readings.popleft()
            if not self.reads_back:
                return NoReadBack()
            if deadline.remaining() <= 0:
                return _TOO_LATE
            return Seen(
                own=tuple(_found(effect) for effect in reversed(self.ledger) if self._shows(effect, engagement))
            )

    def available_in(self) -> timedelta:
        """See `LinkedIn`."""
        return self._closed_for

    def _apply(self, engagement: Engagement) -> Applied:
        is_comment = engagement.engagement_type is EngagementType.COMMENT
        effect = InMemoryEffect(
            engagement=engagement,
            engagement_id=f"comment-{len(self.ledger) + 1}" if is_comment else None,
            at=self._now(),
        )
        self.ledger.append(effect)
        return Applied(engagement_id=effect.engagement_id, created_at=effect.at)

    def _shows(self, effect: InMemoryEffect, asked: Engagement) -> bool:
        done = effect.engagement
        return (
            (done.engagement_type, done.post_id, done.account.id)
            == (asked.engagement_type, asked.post_id, asked.account.id)
        ) and effect.at <= self._now() - self.visibility_lag


def _found(effect: InMemoryEffect) -> Found:
    if effect.engagement.engagement_type is EngagementType.LIKE:
        return Found(engagement_id=None, text=None, created_at=None)
    return Found(engagement_id=effect.engagement_id, text=effect.engagement.text, created_at=effect.at)
