"""Periodic tasks are repeated whatever happens, and an outage is reported once."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from datetime import timedelta

import pytest

from engagement_core.model.signal import Signal
from engagement_core.ports.activities import StoreUnavailable
from engagement_core.ports.queue import QueueUnavailable
from fakes.telemetry import InMemoryTelemetry
from runners.worker.periodic import Outages, PeriodicTask, PeriodicTasks

AT_ONCE = timedelta(0)
NEVER = timedelta(hours=1)


@pytest.fixture
def telemetry() -> InMemoryTelemetry:
    """Keeps the events."""
    return InMemoryTelemetry()


@pytest.fixture
def start(telemetry: InMemoryTelemetry) -> Iterator[Callable[..., PeriodicTasks]]:
    """Starts periodic tasks that are stopped at the end."""
    rounds = PeriodicTasks(telemetry=telemetry, outages=Outages(telemetry))

    def begin(*each: PeriodicTask) -> PeriodicTasks:
        rounds.start(each)
        return rounds

    yield begin
    rounds.stop(10)


def signals(telemetry: InMemoryTelemetry) -> list[Signal]:
    return [told.signal for told in telemetry.told]


def test_round_comes_again_after_its_own_pause(start: Callable[..., PeriodicTasks]) -> None:
    """The first run starts at once."""
    thrice = threading.Event()
    pauses = iter([AT_ONCE, AT_ONCE])

    def do() -> timedelta:
        pause = next(pauses, None)
        if pause is None:
            thrice.set()
            return NEVER
        return pause

    start(PeriodicTask(name="some", do=do, needs=StoreUnavailable))
    assert thrice.wait(10)


def test_outage_is_told_once_when_it_begins_and_once_when_it_is_over(
    start: Callable[..., PeriodicTasks], telemetry: InMemoryTelemetry
) -> None:
    """It is not reported at every attempt."""
    answers: Iterator[Exception | None] = iter([StoreUnavailable("gone"), StoreUnavailable("still gone"), None])

    def do() -> timedelta:
        answer = next(answers, None)
        if answer is not None:
            raise answer
        return NEVER

    start(PeriodicTask(name="some", do=do, needs=StoreUnavailable, pause=AT_ONCE))
    assert telemetry.wait_for(lambda told: Signal.STORE_RECOVERED in [each.signal for each in told])
    assert signals(telemetry) == [Signal.STORE_UNAVAILABLE, Signal.STORE_RECOVERED]
    assert telemetry.told[0].fields == {"message": "gone"}


def test_the_two_servers_have_outages_of_their_own(telemetry: InMemoryTelemetry) -> None:
    """That Redis is back does not show that PostgreSQL is."""
    outages = Outages(telemetry)
    outages.met(StoreUnavailable("no store"))
    outages.met(QueueUnavailable("no queue"))
    outages.over(QueueUnavailable)
    outages.over(QueueUnavailable)
    assert signals(telemetry) == [Signal.STORE_UNAVAILABLE, Signal.QUEUE_UNAVAILABLE, Signal.QUEUE_RECOVERED]


def test_defect_in_a_round_does_not_end_it(start: Callable[..., PeriodicTasks], telemetry: InMemoryTelemetry) -> None:
    """It is reported, and the task runs again."""
    again = threading.Event()
    failures = iter([ValueError("a defect")])

    def do() -> timedelta:
        failure = next(failures, None)
        if failure is not None:
            raise failure
        again.set()
        return NEVER

    start(PeriodicTask(name="some", do=do, needs=StoreUnavailable, pause=AT_ONCE))
    assert again.wait(10)
    assert telemetry.fields_of(Signal.ROUND_FAILED) == [{"round": "some", "message": "ValueError: a defect"}]


def test_slow_round_delays_no_other(start: Callable[..., PeriodicTasks]) -> None:
    """Each has a thread: the heartbeat never waits for a read-back."""
    slow_may_end, quick_ran = threading.Event(), threading.Event()

    def slow() -> timedelta:
        slow_may_end.wait(10)
        return NEVER

    def quick() -> timedelta:
        quick_ran.set()
        return NEVER

    start(
        PeriodicTask(name="slow", do=slow, needs=StoreUnavailable),
        PeriodicTask(name="quick", do=quick, needs=StoreUnavailable),
    )
    try:
        assert quick_ran.wait(10)
    finally:
        slow_may_end.set()


def test_stop_ends_a_pause_and_waits_for_what_is_under_way(start: Callable[..., PeriodicTasks]) -> None:
    """No run starts after it, and none is cut off."""
    begun, may_end, ended = threading.Event(), threading.Event(), threading.Event()

    def do() -> timedelta:
        begun.set()
        may_end.wait(10)
        ended.set()
        return NEVER

    rounds = start(PeriodicTask(name="some", do=do, needs=StoreUnavailable))
    assert begun.wait(10)
    stopper = threading.Thread(target=rounds.stop, args=(10,))
    stopper.start()
    may_end.set()
    stopper.join(10)
    assert not stopper.is_alive()
    assert ended.is_set()


def test_a_task_that_is_woken_runs_at_once(start: Callable[..., PeriodicTasks]) -> None:
    """It does not wait for the end of its pause. Woken during a run, it runs once more."""
    begun, may_end = threading.Semaphore(0), threading.Semaphore(0)

    def do() -> timedelta:
        begun.release()
        may_end.acquire(timeout=10)
        return NEVER

    task = PeriodicTask(name="some", do=do, needs=None)
    start(task)
    assert begun.acquire(timeout=10)
    task.wake.set()  # during the run
    may_end.release(10)
    assert begun.acquire(timeout=10)
    task.wake.set()
    assert begun.acquire(timeout=10)


def test_two_tasks_of_one_name_are_refused(start: Callable[..., PeriodicTasks]) -> None:
    """The watchdog knows them by their names: one that hangs would hide behind the other."""
    task = PeriodicTask(name="settle", do=lambda: NEVER, needs=None)
    with pytest.raises(ValueError, match="settle"):
        start(task, task)
