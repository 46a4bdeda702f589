"""When a failed attempt is followed by another one."""

from __future__ import annotations

from datetime import timedelta

import pytest

from engagement_core.decisions.retry import Bury, Reconcile, RetryAt, RetryDecision, RetryPolicy
from engagement_core.model.errors import TAXONOMY, Cause, Effect, Failure
from support.builders import DAY, NOW, SECOND

SPEC = RetryPolicy()


def after(
    refused: int, cause: Cause = Cause.RATE_LIMITED, wait: timedelta | None = None, policy: RetryPolicy = SPEC
) -> RetryDecision:
    """What follows the n-th refusal."""
    return policy.decide(Failure(cause=cause, message="No.", retry_after=wait), refused=refused, now=NOW)


@pytest.mark.parametrize(("refused", "delay"), [(1, timedelta(milliseconds=500)), (2, timedelta(milliseconds=1500))])
def test_the_backoff_is_the_specs(refused: int, delay: timedelta) -> None:
    """`0, 500, 1500` ms are the delays before attempts 1, 2 and 3."""
    assert after(refused) == RetryAt(NOW + delay)


def test_third_refusal_is_the_last() -> None:
    """The dead letter says how often it was tried, and what the provider answered."""
    assert after(3) == Bury("gave up after 3 attempts: No.")


def test_the_last_delay_repeats() -> None:
    """More attempts than delays are no error."""
    assert after(7, policy=RetryPolicy(max_attempts=9)) == RetryAt(NOW + timedelta(milliseconds=1500))


def test_no_delays_mean_at_once() -> None:
    """With an empty backoff there is no wait."""
    assert after(1, policy=RetryPolicy(backoff=())) == RetryAt(NOW)


def test_retry_after_is_a_floor_under_the_backoff() -> None:
    """A retry before `Retry-After` is useless, and one before the backoff is too early."""
    assert after(1, wait=60 * SECOND) == RetryAt(NOW + 60 * SECOND)
    assert after(2, wait=SECOND) == RetryAt(NOW + timedelta(milliseconds=1500))


def test_retry_after_of_more_than_a_day_is_a_day() -> None:
    """A provider that asks for a year is broken."""
    assert after(1, wait=365 * DAY) == RetryAt(NOW + DAY)


def test_negative_retry_after_is_none() -> None:
    """A provider whose clock is wrong cannot pull a retry forward."""
    assert after(1, wait=-60 * SECOND) == RetryAt(NOW + timedelta(milliseconds=500))


@pytest.mark.parametrize("cause", [cause for cause, means in TAXONOMY.items() if means.effect is Effect.UNKNOWN])
@pytest.mark.parametrize("refused", [1, 3, 99])
def test_what_may_have_happened_is_never_retried(cause: Cause, refused: int) -> None:
    """However often it was tried before."""
    assert after(refused, cause) == Reconcile()


@pytest.mark.parametrize(
    "cause", [cause for cause, means in TAXONOMY.items() if means.effect is Effect.NONE and not means.retryable]
)
def test_what_trying_again_cannot_help_is_buried_at_once(cause: Cause) -> None:
    """With the failure's own words."""
    assert after(1, cause) == Bury("No.")
