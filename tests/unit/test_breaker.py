"""An open breaker means not sent, a closed one gets in nobody's way, a half-open one lets one call through."""

from __future__ import annotations

import threading
from collections.abc import Callable
from contextlib import suppress
from datetime import timedelta

import pytest

from adapters.http.breaker import HostBreaker
from adapters.http.errors import BreakerOpen
from support.provider import HandClock

NONE = timedelta(0)


@pytest.fixture
def clock() -> HandClock:
    """Time in the test's hand."""
    return HandClock()


@pytest.fixture
def breaker(clock: HandClock) -> HostBreaker:
    """A breaker that opens at the third failure, for five seconds."""
    return HostBreaker(host="api.example", clock=clock, fail_max=3, reset_timeout=timedelta(seconds=5))


def fail(breaker: HostBreaker, times: int = 1) -> None:
    """Make calls that fail."""
    for _ in range(times):
        with breaker.admit() as admission:
            admission.failed()


def succeed(breaker: HostBreaker) -> None:
    """Make a call that succeeds."""
    with breaker.admit() as admission:
        admission.succeeded()


def test_it_opens_after_consecutive_failures_only(breaker: HostBreaker) -> None:
    """A success in between starts the count anew."""
    fail(breaker, 2)
    succeed(breaker)
    fail(breaker, 2)
    assert (breaker.state, breaker.available_in()) == ("closed", NONE)
    fail(breaker)
    assert (breaker.state, breaker.available_in()) == ("open", timedelta(seconds=5))


def test_the_call_that_trips_it_is_not_reported_as_refused(breaker: HostBreaker) -> None:
    """It was sent, so its own outcome must be what the caller sees."""
    fail(breaker, 2)
    with breaker.admit() as admission:
        admission.failed()
    assert breaker.state == "open"


def test_defaults_are_twenty_failures_and_five_seconds(clock: HandClock) -> None:
    """As the design says."""
    breaker = HostBreaker(host="h", clock=clock)
    fail(breaker, 19)
    assert breaker.state == "closed"
    fail(breaker)
    assert breaker.available_in() == timedelta(seconds=5)


def test_open_refuses_and_says_for_how_long(breaker: HostBreaker, clock: HandClock) -> None:
    """The refusal names the host and the rest of the wait."""
    fail(breaker, 3)
    clock.advance(2)
    with pytest.raises(BreakerOpen, match=r"api\.example") as refusal:
        breaker.admit()
    assert refusal.value.retry_in == timedelta(seconds=3)


def test_a_call_that_says_nothing_changes_nothing(breaker: HostBreaker) -> None:
    """Such as one that came too late to be sent."""
    fail(breaker, 2)
    with breaker.admit():
        pass
    fail(breaker)
    assert breaker.state == "open"


def test_probe_that_succeeds_closes_it(breaker: HostBreaker, clock: HandClock) -> None:
    """And the count starts anew."""
    fail(breaker, 3)
    clock.advance(5)
    assert breaker.available_in() == NONE
    succeed(breaker)
    assert breaker.state == "closed"
    fail(breaker, 2)
    assert breaker.state == "closed"


def test_probe_that_fails_opens_it_for_the_full_time_again(breaker: HostBreaker, clock: HandClock) -> None:
    """One failure is enough while half open."""
    fail(breaker, 3)
    clock.advance(7)
    fail(breaker)
    assert (breaker.state, breaker.available_in()) == ("open", timedelta(seconds=5))


def test_half_open_stampede_lets_one_through(breaker: HostBreaker, clock: HandClock) -> None:
    """Ten threads arrive at once; nine are refused as not sent while the probe runs."""
    fail(breaker, 3)
    clock.advance(5)
    start, done = threading.Barrier(10), threading.Barrier(11)
    admitted: list[int] = []
    refused: list[timedelta] = []

    def arrive(number: int) -> None:
        start.wait(5)
        try:
            with breaker.admit() as admission:
                admitted.append(number)
                done.wait(5)
                admission.succeeded()
        except BreakerOpen as refusal:
            refused.append(refusal.retry_in)
            done.wait(5)

    threads = [threading.Thread(target=arrive, args=(number,)) for number in range(10)]
    for thread in threads:
        thread.start()
    done.wait(5)
    for thread in threads:
        thread.join()
    assert len(admitted) == 1
    assert refused == [timedelta(seconds=1)] * 9
    assert breaker.state == "closed"


def _nothing() -> None:
    """The probe comes too late to be sent, and says nothing."""


def _die() -> None:
    raise KeyboardInterrupt


@pytest.mark.parametrize("end", [_nothing, _die])
def test_probe_that_ends_without_a_result_makes_room_for_the_next(
    breaker: HostBreaker, clock: HandClock, end: Callable[[], None]
) -> None:
    """Whatever happens to a probe, its place is given back."""
    fail(breaker, 3)
    clock.advance(5)
    with suppress(KeyboardInterrupt), breaker.admit():
        end()
    assert breaker.available_in() == NONE
    succeed(breaker)
    assert breaker.state == "closed"


@pytest.mark.parametrize("late_success", [True, False])
def test_calls_admitted_before_it_opened_no_longer_decide(
    breaker: HostBreaker, clock: HandClock, late_success: bool
) -> None:
    """A slow answer from before neither closes it nor makes the rest longer; only the probe decides."""
    with breaker.admit() as late:
        fail(breaker, 3)
        clock.advance(6)
        late.succeeded() if late_success else late.failed()
    assert (breaker.state, breaker.available_in()) == ("open", NONE)


def test_threads_run_in_parallel_through_it(breaker: HostBreaker) -> None:
    """Five calls are inside at the same time."""
    inside = threading.Barrier(5)

    def call() -> None:
        with breaker.admit() as admission:
            inside.wait(5)
            admission.succeeded()

    threads = [threading.Thread(target=call) for _ in range(5)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not inside.broken
