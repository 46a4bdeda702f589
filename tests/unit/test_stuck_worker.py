"""A worker reports each kind of stuck thread."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from datetime import timedelta

import pytest

from adapters.clock import SystemClock
from engagement_core.model.outcome import Dropped, Outcome
from engagement_core.ports.activities import StoreUnavailable
from fakes.activities import InMemoryActivityStore
from fakes.queue import InMemoryQueue
from fakes.telemetry import InMemoryTelemetry
from runners.worker.delay_queue import DelayQueue, Entry
from runners.worker.periodic import PeriodicTask
from runners.worker.policy import WorkerPolicy
from runners.worker.worker import Worker
from support.builders import NOW
from support.executors import StubExecutor

AT_ONCE = timedelta(0)


class HangingExecutor(StubExecutor):
    """Hangs until the test lets it go on."""

    def __init__(self) -> None:
        self.begun, self.may_end = threading.Event(), threading.Event()

    def execute(self, activity_id: str) -> Outcome:
        """See `Executor`."""
        self.begun.set()
        self.may_end.wait(20)
        return Dropped(reason=f"{activity_id} is done")


class DeafDelayQueue(DelayQueue):
    """Wakes no thread, as if a notification were lost."""

    def take(self) -> Entry | None:
        """See `DelayQueue`."""
        with self._changed:
            self._changed.wait_for(lambda: self._closed)
        return None


@pytest.fixture
def executor() -> Iterator[HangingExecutor]:
    """An executor that hangs until the end of the test."""
    hanging = HangingExecutor()
    yield hanging
    hanging.may_end.set()


@pytest.fixture
def start(executor: HangingExecutor) -> Iterator[Callable[..., Worker]]:
    """Starts a worker of one thread that is drained at the end."""
    workers: list[Worker] = []

    def begin(delay_queue: DelayQueue, *rounds: PeriodicTask, stuck_after: timedelta = AT_ONCE) -> Worker:
        worker = Worker(
            executor=executor,  # type: ignore[arg-type]
            store=InMemoryActivityStore(now=lambda: NOW),
            queue=InMemoryQueue(now=lambda: NOW),
            clock=SystemClock(),
            telemetry=InMemoryTelemetry(),
            delay_queue=delay_queue,
            maintenance=rounds,
            report_unreadable=lambda _: None,
            policy=WorkerPolicy(concurrency=1, stuck_after=stuck_after, listen=timedelta(milliseconds=10)),
        )
        worker.start()
        workers.append(worker)
        return worker

    yield begin
    executor.may_end.set()
    for worker in workers:
        worker.drain(timedelta(seconds=10))


def test_worker_that_has_nothing_to_do_is_well(start: Callable[..., Worker]) -> None:
    """However long it has nothing to do."""
    assert start(DelayQueue(SystemClock())).problems() == ()


def test_execution_that_does_not_end_is_named(start: Callable[..., Worker], executor: HangingExecutor) -> None:
    """It is named only while it lasts."""
    delay_queue = DelayQueue(SystemClock())
    worker = start(delay_queue)
    delay_queue.add(Entry("activity-1"), 0.0)
    assert executor.begun.wait(10)
    (problem,) = worker.problems()
    assert problem.startswith("execute-0 is stuck: running for")
    executor.may_end.set()
    assert delay_queue.wait_until_idle(10)


def test_activity_that_no_idle_thread_takes_is_told(start: Callable[..., Worker]) -> None:
    """The delay queue is stuck: an activity is due, and nothing is being executed."""
    clock = SystemClock()
    delay_queue = DeafDelayQueue(clock)
    worker = start(delay_queue, stuck_after=timedelta(seconds=30))
    assert worker.problems() == ()
    delay_queue.add(Entry("activity-1"), clock.elapsed() - 31)
    (problem,) = worker.problems()
    assert problem.endswith("although 1 are idle")


def test_agenda_that_is_locked_for_ever_is_told(start: Callable[..., Worker]) -> None:
    """Reading the problems does not wait for the lock."""
    delay_queue = DelayQueue(SystemClock())
    worker = start(delay_queue, stuck_after=timedelta(minutes=1))
    locked, may_end = threading.Event(), threading.Event()

    def hold() -> None:
        with delay_queue._changed:
            locked.set()
            may_end.wait(20)

    holder = threading.Thread(target=hold)
    holder.start()
    try:
        assert locked.wait(10)
        assert "the delay queue does not answer" in worker.problems()
    finally:
        may_end.set()
        holder.join()


def test_round_that_does_not_end_is_named(start: Callable[..., Worker]) -> None:
    """For example the heartbeat, on a connection that does not answer."""
    begun, may_end = threading.Event(), threading.Event()

    def hang() -> timedelta:
        begun.set()
        may_end.wait(20)
        return timedelta(hours=1)

    stuck = PeriodicTask(name="beat", do=hang, needs=StoreUnavailable, at_most=AT_ONCE)
    worker = start(DelayQueue(SystemClock()), stuck, stuck_after=timedelta(minutes=1))
    try:
        assert begun.wait(10)
        (problem,) = worker.problems()
        assert problem.startswith("the periodic task beat is stuck: running for")
    finally:
        may_end.set()


def test_worker_that_drains_has_no_problems(start: Callable[..., Worker]) -> None:
    """Its threads end on purpose."""
    worker = start(DelayQueue(SystemClock()))
    worker.drain(timedelta(seconds=10))
    assert worker.problems() == ()
