"""Which accounts are saturated: they have their share of the threads."""

from __future__ import annotations

from contextlib import ExitStack
from datetime import timedelta

import pytest

from engagement_core.decisions.claim import Claimed, ClaimPolicy, Holder, decide_claim
from engagement_core.model.outcome import Deferred
from engagement_core.use_cases.bulkhead import AccountBulkhead
from fakes.clock import InMemoryClock
from support.builders import ME, a_like, a_snapshot

SLOW = timedelta(seconds=3)
MOMENT = timedelta(milliseconds=1)


@pytest.fixture
def clock() -> InMemoryClock:
    """A clock that stands still."""
    return InMemoryClock()


@pytest.fixture
def calls(clock: InMemoryClock) -> AccountBulkhead:
    """A bulkhead that gives a slow account two calls at a time."""
    return AccountBulkhead(clock, most=2, slow_after=SLOW)


def test_an_account_that_answers_has_as_many_as_it_likes(calls: AccountBulkhead, clock: InMemoryClock) -> None:
    """Any number may begin at once, until one of them is slow."""
    with ExitStack() as stack:
        for _ in range(5):
            stack.enter_context(calls.call("a"))
        clock.advance(SLOW - MOMENT)
        assert calls.saturated() == frozenset()
        assert calls.slow_calls() == 0
        clock.advance(MOMENT)
        assert calls.saturated() == {"a"}
        assert calls.slow_calls() == 5
    assert calls.slow_calls() == 0


def test_a_slow_account_may_try_again_up_to_its_share(calls: AccountBulkhead, clock: InMemoryClock) -> None:
    """It was slow, and no quick call has shown otherwise: two calls at a time, counted from their beginning."""
    with calls.call("a"):
        clock.advance(SLOW)
    assert calls.saturated() == frozenset()
    with calls.call("a") as first:
        assert calls.saturated() == frozenset()
        with calls.call("a") as second, calls.call("a") as third:
            assert calls.saturated() == {"a"}
    assert (first, second, third) == (True, True, False)


def test_one_quick_answer_ends_it(calls: AccountBulkhead, clock: InMemoryClock) -> None:
    """The account answers, so it may use all threads again."""
    with calls.call("a"):
        clock.advance(SLOW)
    with calls.call("a"):
        pass
    with calls.call("a"), calls.call("a"):
        assert calls.saturated() == frozenset()


def test_accounts_do_not_concern_each_other(calls: AccountBulkhead, clock: InMemoryClock) -> None:
    """One account is slow, the other is not."""
    with calls.call("a"), calls.call("a"), calls.call("b"), calls.call("b"):
        clock.advance(SLOW)
        assert calls.saturated() == {"a", "b"}
    with calls.call("a"), calls.call("a"):
        with calls.call("b"):
            pass
        assert calls.saturated() == {"a"}


def test_a_call_that_breaks_is_over(calls: AccountBulkhead) -> None:
    """A call that raises ends like any other."""
    with pytest.raises(RuntimeError), calls.call("a"):
        raise RuntimeError
    assert calls.saturated() == frozenset()
    assert calls.slow_calls() == 0


def test_calls_beyond_the_share_are_counted_before_their_account_is_slow(
    calls: AccountBulkhead, clock: InMemoryClock
) -> None:
    """Others need not wait until it is."""
    with ExitStack() as stack:
        for account_id in ("a", "a", "a", "a", "b"):
            stack.enter_context(calls.call(account_id))
        assert (calls.running("a"), calls.running("b"), calls.running("c")) == (4, 1, 0)
        clock.advance(timedelta(seconds=1) - MOMENT)
        assert calls.calls_beyond_share() == 0
        clock.advance(MOMENT)
        assert calls.calls_beyond_share() == 2
        assert calls.slow_calls() == 0
    assert calls.calls_beyond_share() == 0


def test_an_activity_of_a_crowded_account_waits_uncharged() -> None:
    """Nothing is written, and it is tried again soon; once there is room, it is claimed."""
    saturated = Holder(worker_id="worker-1", token="t", saturated=frozenset({"account-1"}))
    decision = decide_claim(a_snapshot(a_like()), holder=saturated, policy=ClaimPolicy())
    assert isinstance(decision.result, Deferred)
    assert decision.result.again_in == timedelta(seconds=2)
    assert "account-1 is slow" in decision.result.reason
    assert decision.result.saturated == "account-1"
    assert decision.writes == ()
    free = decide_claim(a_snapshot(a_like()), holder=ME, policy=ClaimPolicy())
    assert isinstance(free.result, Claimed)
