"""The sweep brings what the delay queue lacks, when there is room for it."""

from __future__ import annotations

import threading
from collections.abc import Callable
from datetime import datetime, timedelta, timezone

import pytest

from adapters.clock import SystemClock
from engagement_core.decisions.claim import SATURATED_RETRY_AFTER
from engagement_core.model.due import Due
from engagement_core.model.job import WakeUp
from engagement_core.model.outcome import Deferred, Outcome
from engagement_core.use_cases.bulkhead import AccountBulkhead
from fakes.activities import InMemoryActivityStore
from fakes.queue import InMemoryQueue
from fakes.telemetry import InMemoryTelemetry
from runners.worker.delay_queue import DelayQueue, Entry
from runners.worker.execution import Execution
from runners.worker.feeder import Feeder
from runners.worker.periodic import Outages
from runners.worker.policy import WorkerPolicy
from runners.worker.prefetch import Prefetch
from runners.worker.recent import RecentlyExecuted
from runners.worker.settlement import JobSettler

CLOCK = SystemClock()
AT_ONCE = timedelta(0)


def _now() -> datetime:
    return datetime.now(timezone.utc)


class EndlessStore(InMemoryActivityStore):
    """As many as are asked for are due, always the same ones."""

    def __init__(self) -> None:
        super().__init__(now=_now)
        self.while_reading: Callable[[], object] = lambda: None

    def due(self, *, look_ahead: timedelta, limit: int) -> tuple[Due, ...]:
        """See the port."""
        self.while_reading()
        found = range(limit)
        return tuple(Due(activity_id=f"a-{n}", due_in=timedelta(n - 100), account_id="account-1") for n in found)


@pytest.fixture
def store() -> EndlessStore:
    """A backlog without an end."""
    return EndlessStore()


@pytest.fixture
def queue() -> InMemoryQueue:
    """No job."""
    return InMemoryQueue(now=_now)


@pytest.fixture
def settler(queue: InMemoryQueue) -> JobSettler:
    """Settles jobs there."""
    return JobSettler(queue=queue, telemetry=InMemoryTelemetry(), outages=Outages(InMemoryTelemetry()))


@pytest.fixture
def feeder(store: EndlessStore, queue: InMemoryQueue, settler: JobSettler) -> Feeder:
    """Of a worker with room for ten."""
    return Feeder(
        store=store,
        queue=queue,
        clock=CLOCK,
        telemetry=InMemoryTelemetry(),
        outages=Outages(InMemoryTelemetry()),
        delay_queue=DelayQueue(CLOCK, capacity=10, bulkhead=AccountBulkhead(CLOCK, most=2), threads=5),
        settler=settler,
        prefetch=Prefetch(CLOCK, most=10),
        recent=RecentlyExecuted(CLOCK),
        draining=threading.Event(),
        report_unreadable=lambda _: None,
        policy=WorkerPolicy(poll_interval=timedelta(seconds=5)),
    )


def test_sweep_that_fills_the_delay_queue_waits_until_half_of_it_has_gone(feeder: Feeder) -> None:
    """A sweep before that would bring what is there already. One account has all threads."""
    for n in range(5):
        feeder.delay_queue.add(Entry(f"b-{n}", account_id="account-1"), 0)
        feeder.delay_queue.take()
    again: list[timedelta] = []
    thread = threading.Thread(target=lambda: again.append(feeder.sweep_once()), daemon=True)
    thread.start()
    while feeder.delay_queue._goal < 0:
        assert thread.is_alive()
    for n in range(5):
        thread.join(0.05)
        assert thread.is_alive()
        feeder.delay_queue.done(Entry(f"b-{n}"))
        feeder.delay_queue.take()
    thread.join(5)
    assert again == [AT_ONCE]


def test_sweep_brings_the_account_and_nothing_that_was_finished_meanwhile(feeder: Feeder, store: EndlessStore) -> None:
    """An entry that is handed out in vain costs a read."""
    delay_queue = feeder.delay_queue
    delay_queue.add(Entry("a-0"), 0)
    first = delay_queue.take()
    assert first is not None
    store.while_reading = lambda: delay_queue.done(first)
    assert len(feeder.sweep(AT_ONCE)) == 10
    assert delay_queue.take() == Entry("a-1", account_id="account-1")
    assert delay_queue.overdue() == 8


class SaturatedExecutor:
    """Its account has its share of the threads."""

    def start(self, activity_id: str, *, when_claimed: Callable[[], None]) -> Callable[[], Outcome]:
        """See `Executor`."""
        del activity_id
        when_claimed()
        return lambda: Deferred(again_in=SATURATED_RETRY_AFTER, reason="it is slow", saturated="account-1")


def taken(delay_queue: DelayQueue, entry: Entry) -> Entry:
    """The entry, handed out."""
    delay_queue.add(entry, 0)
    assert delay_queue.take() is entry
    return entry


def carry_out(entry: Entry, delay_queue: DelayQueue, settler: JobSettler) -> None:
    """Execute it in vain."""
    execution = Execution(
        executor=SaturatedExecutor(),  # type: ignore[arg-type]
        clock=CLOCK,
        delay_queue=delay_queue,
        settler=settler,
        prefetch=Prefetch(CLOCK, most=10),
        recent=RecentlyExecuted(CLOCK),
        look_ahead=timedelta(seconds=8),
    )
    ended: list[str] = []
    execution.carry_out(entry, lambda: ended.append("the one before"))()
    assert ended == ["the one before"]
    settler.finish()


def test_activity_of_a_saturated_account_waits_in_the_line_of_its_account(settler: JobSettler) -> None:
    """The job named the activity alone, so a thread had to find out."""
    delay_queue, wake_up = DelayQueue(CLOCK), WakeUp(activity_id="a", receipt="job")
    carry_out(taken(delay_queue, Entry("a", wake_up)), delay_queue, settler)
    assert delay_queue.close() == (Entry("a", wake_up, "account-1"),)


def test_job_for_which_there_is_no_room_any_more_is_left_to_the_sweep(
    settler: JobSettler, queue: InMemoryQueue
) -> None:
    """It would ring every two seconds for as long as its account does not answer."""
    delay_queue = DelayQueue(CLOCK, capacity=1)
    queue.ring("a", _now())
    (wake_up,) = queue.receive(AT_ONCE, at_most=1)
    assert isinstance(wake_up, WakeUp)
    entry = taken(delay_queue, Entry("a", wake_up))
    delay_queue.add(Entry("b", account_id="account-1"), 0)
    carry_out(entry, delay_queue, settler)
    assert (queue._started, queue._scheduled) == ({}, {})
