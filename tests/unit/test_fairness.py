"""A worker takes no job that another one could execute sooner."""

from __future__ import annotations

import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import datetime, timedelta, timezone

from adapters.clock import SystemClock
from engagement_core.model.job import Settlement, Unreadable, WakeUp
from engagement_core.model.outcome import Dropped, Outcome
from engagement_core.model.signal import Signal
from fakes.activities import InMemoryActivityStore
from fakes.queue import InMemoryQueue
from fakes.telemetry import InMemoryTelemetry
from runners.worker.delay_queue import DelayQueue
from runners.worker.policy import WorkerPolicy
from runners.worker.worker import Worker
from support.executors import StubExecutor

PATIENCE = 10.0


def _now() -> datetime:
    return datetime.now(timezone.utc)


class SharedQueue(InMemoryQueue):
    """Several workers listen to it, and wait as long as they were told to."""

    def __init__(self) -> None:
        super().__init__(now=_now)
        self._changed = threading.Condition(threading.RLock())

    def receive(self, timeout: timedelta, *, at_most: int) -> tuple[WakeUp | Unreadable, ...]:
        """See the port."""
        with self._changed:
            self._changed.wait_for(self.depth, timeout.total_seconds())
            return super().receive(timeout, at_most=at_most)

    def settle(self, settlements: Sequence[tuple[WakeUp, Settlement]]) -> None:
        """See the port."""
        with self._changed:
            super().settle(settlements)
            self._changed.notify_all()

    def ring_for(self, activity_id: str) -> None:
        """Ring now."""
        with self._changed:
            self.ring(activity_id, _now())
            self._changed.notify_all()


class StuckExecutor(StubExecutor):
    """Each activity takes until it may go on."""

    def __init__(self) -> None:
        self.executing = threading.Semaphore(0)
        self.may_go_on = threading.Event()
        self.begun: list[str] = []

    def execute(self, activity_id: str) -> Outcome:
        """See `Executor`."""
        self.begun.append(activity_id)
        self.executing.release()
        assert self.may_go_on.wait(PATIENCE)
        return Dropped(reason="it is done")


@contextmanager
def working(
    executor: StuckExecutor, queue: SharedQueue, *, threads: int = 1, telemetry: InMemoryTelemetry | None = None
) -> Iterator[Worker]:
    """A worker that only listens: nothing is in its store."""
    clock = SystemClock()
    worker = Worker(
        executor=executor,  # type: ignore[arg-type]
        store=InMemoryActivityStore(now=_now),
        queue=queue,
        clock=clock,
        telemetry=telemetry or InMemoryTelemetry(),
        delay_queue=DelayQueue(clock),
        maintenance=(),
        report_unreadable=lambda _: None,
        policy=WorkerPolicy(concurrency=threads, listen=timedelta(seconds=0.2)),
    )
    worker.start()
    try:
        yield worker
    finally:
        executor.may_go_on.set()
        worker.drain(timedelta(seconds=PATIENCE))


def test_a_worker_whose_threads_are_busy_leaves_the_job_to_one_that_is_idle() -> None:
    """Also the job that comes while it has just been listening."""
    queue, busy, idle = SharedQueue(), StuckExecutor(), StuckExecutor()
    with working(busy, queue):
        queue.ring_for("first")
        assert busy.executing.acquire(timeout=PATIENCE)
        queue.ring_for("second")
        assert not busy.executing.acquire(timeout=0.3)  # time enough to take it away
        with working(idle, queue):
            assert idle.executing.acquire(timeout=PATIENCE)
    assert (busy.begun, idle.begun) == (["first"], ["second"])


def test_a_worker_takes_the_next_job_as_soon_as_a_thread_is_free() -> None:
    """When nobody else did."""
    queue, executor = SharedQueue(), StuckExecutor()
    with working(executor, queue):
        for name in ("first", "second"):
            queue.ring_for(name)
        assert executor.executing.acquire(timeout=PATIENCE)
        assert not executor.executing.acquire(timeout=0.3)
        executor.may_go_on.set()
        assert executor.executing.acquire(timeout=PATIENCE)
    assert executor.begun == ["first", "second"]


def test_a_worker_that_drains_leaves_the_jobs_where_they_are() -> None:
    """For as long as it waits for what is in flight."""
    queue, executor, telemetry = SharedQueue(), StuckExecutor(), InMemoryTelemetry()
    with working(executor, queue, threads=2, telemetry=telemetry) as worker:
        queue.ring_for("first")
        assert executor.executing.acquire(timeout=PATIENCE)
        draining = threading.Thread(target=worker.drain, args=(timedelta(seconds=PATIENCE),))
        draining.start()
        assert telemetry.wait_for(lambda told: any(each.signal is Signal.WORKER_DRAINING for each in told), PATIENCE)
        while worker._delay_queue.room(lambda: 0):  # until it is closed: one of the two threads is free
            threading.Event().wait(0.01)
        queue.ring_for("second")
        assert not executor.executing.acquire(timeout=0.5)  # two waits for a job
        executor.may_go_on.set()
        draining.join(PATIENCE)
    assert executor.begun == ["first"]
    assert queue.depth() == 1
