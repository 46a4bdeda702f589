"""The listening half of the worker: several jobs at once, none twice in vain, and an end to it in a moment."""

from __future__ import annotations

import threading
import time
from collections.abc import Sequence
from datetime import datetime, timedelta, timezone

from adapters.clock import SystemClock
from engagement_core.model.attempt import Provenance
from engagement_core.model.job import Done, Settlement, Unreadable, WakeUp
from engagement_core.model.outcome import Executed, Outcome
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


class WaitingQueue(InMemoryQueue):
    """It waits at the server, and counts what it is asked."""

    def __init__(self) -> None:
        super().__init__(now=_now)
        self._changed = threading.Condition(threading.RLock())
        self._interrupted = False
        self.waiting = threading.Event()
        self.asked = 0
        self.settled: list[tuple[str, Settlement]] = []
        self.settlings = 0

    def receive(self, timeout: timedelta, *, at_most: int) -> tuple[WakeUp | Unreadable, ...]:
        """See the port."""
        with self._changed:
            self.asked += 1
            self._interrupted = False
            self.waiting.set()
            self._changed.wait_for(lambda: self.depth() or self._interrupted, timeout.total_seconds())
            return super().receive(timeout, at_most=at_most)

    def interrupt(self) -> None:
        """See the port."""
        with self._changed:
            self._interrupted = True
            self._changed.notify_all()

    def settle(self, settlements: Sequence[tuple[WakeUp, Settlement]]) -> None:
        """See the port."""
        with self._changed:
            self.settlings += 1
            self.settled += [(wake_up.activity_id, settlement) for wake_up, settlement in settlements]
            super().settle(settlements)
            self._changed.notify_all()

    def ring_for(self, *activity_ids: str) -> None:
        """Ring now, all at once."""
        with self._changed:
            for each in activity_ids:
                self.ring(each, _now())
            self._changed.notify_all()

    def await_settled(self, count: int) -> None:
        """Block until so many jobs are settled."""
        with self._changed:
            assert self._changed.wait_for(lambda: len(self.settled) >= count, PATIENCE)


class FastExecutor(StubExecutor):
    """Everything is executed at once."""

    def __init__(self) -> None:
        self.executed: list[str] = []

    def execute(self, activity_id: str) -> Outcome:
        """See `Executor`."""
        self.executed.append(activity_id)
        return Executed(provenance=Provenance.RESPONSE)


def a_worker(executor: FastExecutor, queue: WaitingQueue) -> Worker:
    """Of five threads; nothing is in its store."""
    clock = SystemClock()
    return Worker(
        executor=executor,  # type: ignore[arg-type]
        store=InMemoryActivityStore(now=_now),
        queue=queue,
        clock=clock,
        telemetry=InMemoryTelemetry(),
        delay_queue=DelayQueue(clock),
        maintenance=(),
        report_unreadable=lambda _: None,
        policy=WorkerPolicy(concurrency=5),
    )


def test_a_loaded_worker_asks_seldom_and_settles_many_at_once() -> None:
    """A hundred jobs cost a few questions and a few settlements."""
    queue, executor = WaitingQueue(), FastExecutor()
    queue.ring_for(*(f"a-{number}" for number in range(100)))
    worker = a_worker(executor, queue)
    worker.start()
    queue.await_settled(100)
    worker.drain(timedelta(seconds=PATIENCE))
    assert sorted(executor.executed) == sorted(f"a-{number}" for number in range(100))
    assert queue.asked < 40
    assert queue.settlings < 40


def test_what_was_just_executed_here_is_settled_without_a_look() -> None:
    """Its job tells what became of it, as the first one did."""
    queue, executor = WaitingQueue(), FastExecutor()
    worker = a_worker(executor, queue)
    worker.start()
    queue.ring_for("a-1")
    queue.await_settled(1)
    queue.ring_for("a-1", "a-2")
    queue.await_settled(3)
    worker.drain(timedelta(seconds=PATIENCE))
    assert executor.executed == ["a-1", "a-2"]
    assert queue.settled.count(("a-1", Done(note="response"))) == 2


def test_a_drain_does_not_wait_for_the_listener() -> None:
    """Although its read at the server lasts for seconds."""
    queue = WaitingQueue()
    worker = a_worker(FastExecutor(), queue)
    worker.start()
    assert queue.waiting.wait(PATIENCE)
    began = time.monotonic()
    worker.drain(timedelta(seconds=PATIENCE))
    assert time.monotonic() - began < 0.5


def test_a_job_that_comes_as_the_worker_drains_is_handed_back() -> None:
    """It rings for another worker."""
    queue, executor = WaitingQueue(), FastExecutor()
    worker = a_worker(executor, queue)
    worker.start()
    assert queue.waiting.wait(PATIENCE)
    interrupt = queue.interrupt
    queue.interrupt = lambda: (queue.ring("a-1", _now()), interrupt())[1]  # type: ignore[method-assign]
    worker.drain(timedelta(seconds=PATIENCE))
    assert executor.executed == []
    assert queue.depth() == 1
