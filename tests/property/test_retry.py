"""The retry policy under every failure, count and delay."""

from __future__ import annotations

from datetime import timedelta

from hypothesis import given
from hypothesis import strategies as st

from engagement_core.decisions.retry import Bury, Reconcile, RetryAt, RetryPolicy
from engagement_core.model.errors import Cause, Effect, Failure
from support.builders import DAY, NOW

policies = st.builds(
    RetryPolicy,
    max_attempts=st.integers(1, 10),
    backoff=st.lists(st.timedeltas(timedelta(0), DAY), max_size=5).map(tuple),
)
failures = st.builds(
    Failure,
    cause=st.sampled_from(Cause),
    message=st.just("No."),
    retry_after=st.none() | st.timedeltas(),
)


@given(policies, failures, st.integers(1, 20))
def test_retry_is_neither_early_nor_endless(policy: RetryPolicy, failure: Failure, refused: int) -> None:
    """It respects the backoff, `Retry-After` and the number of attempts, and needs a proof that there was no effect."""
    decision = policy.decide(failure, refused=refused, now=NOW)
    if not isinstance(decision, RetryAt):
        return
    assert failure.effect is Effect.NONE
    assert failure.meaning.retryable
    assert refused < policy.max_attempts
    hint = min(max(failure.retry_after or timedelta(0), timedelta(0)), DAY)
    assert NOW + hint <= decision.at <= NOW + DAY
    assert decision.at >= NOW + min(policy.backoff, default=timedelta(0))


@given(policies, failures, st.integers(1, 20))
def test_every_failure_has_exactly_one_answer(policy: RetryPolicy, failure: Failure, refused: int) -> None:
    """An unknown effect is reconciled; a proven absence of effect is retried or buried."""
    decision = policy.decide(failure, refused=refused, now=NOW)
    assert isinstance(decision, Reconcile) == (failure.effect is Effect.UNKNOWN)
    assert isinstance(decision, Bury) == (
        failure.effect is Effect.NONE and (not failure.meaning.retryable or refused >= policy.max_attempts)
    )
