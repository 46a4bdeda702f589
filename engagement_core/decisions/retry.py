"""Decides whether and when a failed attempt is followed by another one.

The one rule: the decision is a value. The policy never sleeps, never raises, never reads a clock.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta

from engagement_core.model.errors import Effect, Failure

__all__ = ["LONGEST_RETRY_AFTER", "Bury", "Reconcile", "RetryAt", "RetryDecision", "RetryPolicy"]

LONGEST_RETRY_AFTER = timedelta(hours=24)
"""A provider that asks for a longer wait is misunderstood or broken."""


@dataclass(frozen=True, slots=True)
class RetryAt:
    """Try again, not before `at`."""

    at: datetime


@dataclass(frozen=True, slots=True)
class Reconcile:
    """It may have happened: find out before anything else is sent."""


@dataclass(frozen=True, slots=True)
class Bury:
    """No further attempt: it becomes a dead letter, for `reason`."""

    reason: str


RetryDecision = RetryAt | Reconcile | Bury


@dataclass(frozen=True, kw_only=True, slots=True)
class RetryPolicy:
    """`max_attempts` refused attempts in all; `backoff[n]` is the delay before attempt n + 1 (the last one repeats)."""

    max_attempts: int = 3
    backoff: tuple[timedelta, ...] = (timedelta(0), timedelta(milliseconds=500), timedelta(milliseconds=1500))

    def decide(self, failure: Failure, *, refused: int, now: datetime) -> RetryDecision:
        """What follows a failure.

        Args:
            failure: what went wrong.
            refused: how many attempts were refused so far, this one included.
            now: the database's time.
        """
        if failure.effect is not Effect.NONE:
            return Reconcile()
        if not failure.meaning.retryable:
            return Bury(failure.message)
        if refused >= self.max_attempts:
            return Bury(f"gave up after {refused} attempts: {failure.message}")
        return RetryAt(now + max(self._delay_before(refused + 1), wait_asked_for(failure)))

    def _delay_before(self, attempt: int) -> timedelta:
        if not self.backoff:
            return timedelta(0)
        return self.backoff[min(attempt, len(self.backoff)) - 1]


def wait_asked_for(failure: Failure) -> timedelta:
    """The provider's `Retry-After`, never negative and never more than a day."""
    return min(max(failure.retry_after or timedelta(0), timedelta(0)), LONGEST_RETRY_AFTER)
