"""A burst ends when there is nothing left to do, and not while somebody is about to say that there is."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import timedelta

import pytest

from adapters.clock import SystemClock
from engagement_core.model.errors import Cause, Failure
from engagement_core.model.job import Settlement, WakeUp
from engagement_core.model.outcome import Buried, Deferred, Dropped, Outcome
from engagement_core.model.signal import Signal
from engagement_core.ports.queue import QueueUnavailable
from fakes.activities import InMemoryActivityStore
from fakes.queue import InMemoryQueue
from fakes.telemetry import InMemoryTelemetry
from runners.worker.delay_queue import DelayQueue, Entry
from runners.worker.policy import WorkerPolicy
from runners.worker.worker import Worker
from support.builders import NOW
from support.executors import StubExecutor


class ReluctantExecutor(StubExecutor):
    """Asks for a second try in a moment, and then has nothing more to do."""

    def __init__(self) -> None:
        self.tries = 0

    def execute(self, activity_id: str) -> Outcome:
        """See `Executor`."""
        self.tries += 1
        if self.tries == 1:
            return Deferred(again_in=timedelta(milliseconds=50), reason="the provider said: in a moment")
        return Dropped(reason="it is done")


class SlowDelayQueue(DelayQueue):
    """Its threads are suspended as soon as they have said that they are done, until the burst has returned."""

    returned = threading.Event()

    def done(self, entry: Entry, again_at: float | None = None) -> Entry | None:
        """See `DelayQueue`."""
        left = super().done(entry, again_at)
        self.returned.wait(0.5)
        return left


def test_burst_does_not_end_between_an_execution_and_its_retry() -> None:
    """All due work, its retries included."""
    clock, telemetry, executor = SystemClock(), InMemoryTelemetry(), ReluctantExecutor()
    delay_queue, queue = SlowDelayQueue(clock), InMemoryQueue(now=lambda: NOW)
    queue.ring("activity-1", NOW)
    worker = Worker(
        executor=executor,  # type: ignore[arg-type]
        store=InMemoryActivityStore(now=lambda: NOW),
        queue=queue,
        clock=clock,
        telemetry=telemetry,
        delay_queue=delay_queue,
        maintenance=(),
        report_unreadable=lambda _: None,
        policy=WorkerPolicy(concurrency=1),
    )
    worker.burst(threading.Event())
    delay_queue.returned.set()
    worker.drain(timedelta(seconds=5))
    assert executor.tries == 2


class BrokenExecutor(StubExecutor):
    """Has a defect that every activity meets."""

    def execute(self, activity_id: str) -> Outcome:
        """See `Executor`."""
        raise ZeroDivisionError(activity_id)


def a_worker(queue: InMemoryQueue, telemetry: InMemoryTelemetry, delay_queue: DelayQueue) -> Worker:
    """Of one thread, whose executor is broken."""
    return Worker(
        executor=BrokenExecutor(),  # type: ignore[arg-type]
        store=InMemoryActivityStore(now=lambda: NOW),
        queue=queue,
        clock=SystemClock(),
        telemetry=telemetry,
        delay_queue=delay_queue,
        maintenance=(),
        report_unreadable=lambda _: None,
        policy=WorkerPolicy(concurrency=1),
    )


def told_of_defects(telemetry: InMemoryTelemetry) -> list[object]:
    """What the log says of them."""
    return [fields["message"] for fields in telemetry.fields_of(Signal.EXECUTION_FAILED)]


def test_an_execution_that_breaks_settles_the_job_that_rang() -> None:
    """It would hang as started until it counts as abandoned; the sweep brings its activity all the same."""
    telemetry, queue = InMemoryTelemetry(), InMemoryQueue(now=lambda: NOW)
    queue.ring("activity-1", NOW)
    worker = a_worker(queue, telemetry, DelayQueue(SystemClock()))
    worker.burst(threading.Event())
    worker.drain(timedelta(seconds=5))
    assert told_of_defects(telemetry) == ["ZeroDivisionError: activity-1"]
    assert not queue._started


class BrokenQueue(InMemoryQueue):
    """Has a defect that every settlement meets."""

    defect: Exception | None = None
    settled = 0

    def settle(self, settlements: Sequence[tuple[WakeUp, Settlement]]) -> None:
        """See the port."""
        self.settled += 1
        raise self.defect or LookupError(settlements[0][0].activity_id)


def test_a_settlement_that_breaks_ends_no_thread() -> None:
    """The next activity needs it."""
    telemetry, queue = InMemoryTelemetry(), BrokenQueue(now=lambda: NOW)
    for number in (1, 2):
        queue.ring(f"activity-{number}", NOW)
    worker = a_worker(queue, telemetry, DelayQueue(SystemClock()))
    worker.burst(threading.Event())
    assert worker.drain(timedelta(seconds=5))
    assert [str(message) for message in told_of_defects(telemetry) if str(message).startswith("Lookup")] == [
        "LookupError: activity-1",
        "LookupError: activity-2",
    ]


class UntouchableQueue(InMemoryQueue):
    """Nobody may ask it anything."""

    def _require_available(self) -> None:
        raise AssertionError("there is no queue")


@dataclass
class BuryingExecutor(StubExecutor):
    """Every activity becomes a dead letter."""

    executed: threading.Event = field(default_factory=threading.Event)

    def execute(self, _: str) -> Outcome:
        """See `Executor`."""
        self.executed.set()
        return Buried(failure=Failure(cause=Cause.POST_GONE, message="it is gone"))


def test_without_a_queue_no_thread_waits_for_one() -> None:
    """No task that listens, settles or moves jobs is started, and nothing is kept for a mirror that is not there."""
    telemetry, clock, executor = InMemoryTelemetry(), SystemClock(), BuryingExecutor()
    delay_queue = DelayQueue(clock)
    worker = Worker(
        executor=executor,  # type: ignore[arg-type]
        store=InMemoryActivityStore(now=lambda: NOW),
        queue=UntouchableQueue(now=lambda: NOW),
        clock=clock,
        telemetry=telemetry,
        delay_queue=delay_queue,
        maintenance=(),
        report_unreadable=lambda _: None,
        policy=WorkerPolicy(concurrency=1, has_queue=False),
    )
    before = set(threading.enumerate())
    worker.start()
    started = {thread.name for thread in set(threading.enumerate()) - before}
    delay_queue.add(Entry("activity-1"), clock.elapsed())
    assert executor.executed.wait(10)
    assert worker.drain(timedelta(seconds=5))
    assert {name for name in started if name.startswith("task-")} == {"task-sweep", "task-relieve"}
    assert telemetry.fields_of(Signal.ROUND_FAILED) == telemetry.fields_of(Signal.EXECUTION_FAILED) == []


class AwayQueue(BrokenQueue):
    """Its server does not answer."""

    defect = QueueUnavailable("Redis did not answer.")


@pytest.mark.parametrize(("queue", "asked"), [(AwayQueue(now=lambda: NOW), 1), (BrokenQueue(now=lambda: NOW), 1 + 100)])
def test_a_drain_asks_a_queue_that_is_away_once(queue: BrokenQueue, asked: int) -> None:
    """Hundreds of jobs on the delay queue would each wait as long as one that hangs. A defect of one job's settlement
    leaves the others settled: each is tried again alone."""
    telemetry, clock = InMemoryTelemetry(), SystemClock()
    delay_queue = DelayQueue(clock)
    for number in range(100):
        wake_up = WakeUp(activity_id=f"activity-{number}", receipt="job")
        delay_queue.add(Entry(wake_up.activity_id, wake_up), clock.elapsed() + 3600)
    assert a_worker(queue, telemetry, delay_queue).drain(timedelta(seconds=5))
    assert queue.settled == asked
