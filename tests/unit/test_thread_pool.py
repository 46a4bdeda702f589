"""Spare threads take the place of those that wait for a slow call."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from datetime import timedelta
from functools import partial

import pytest

from adapters.clock import SystemClock
from engagement_core.use_cases.bulkhead import AccountBulkhead
from runners.worker.delay_queue import DelayQueue, Entry
from runners.worker.thread_pool import ThreadPool
from runners.worker.watchdog import Watchdog

PATIENCE = 10.0


class Scene:
    """Two threads; every call of `account-1` hangs."""

    def __init__(self) -> None:
        clock = SystemClock()
        self.bulkhead = AccountBulkhead(clock, most=1, waits_after=timedelta(0))
        self.delay_queue = DelayQueue(clock, bulkhead=self.bulkhead, threads=2)
        self.begun = threading.Semaphore(0)
        self.done: list[str] = []
        self.may_end = threading.Event()
        self.pool = ThreadPool(
            size=2,
            delay_queue=self.delay_queue,
            watchdog=Watchdog(),
            carry_out=self._carry_out,
            slow_calls=self.bulkhead.slow_calls,
            calls_beyond_share=self.bulkhead.calls_beyond_share,
            stuck_after=timedelta(minutes=1),
        )

    def add(self, activity_id: str, account_id: str) -> None:
        """It is due."""
        self.delay_queue.add(Entry(activity_id, account_id=account_id), 0)

    def _carry_out(self, entry: Entry, end_last: Callable[[], None]) -> Callable[[], None]:
        end_last()
        with self.bulkhead.call(str(entry.account_id)):
            self.begun.release()
            if entry.account_id == "account-1":
                self.may_end.wait(PATIENCE)
        return partial(self._end, entry)

    def _end(self, entry: Entry) -> None:
        self.done.append(entry.activity_id)
        self.delay_queue.done(entry)


@pytest.fixture
def scene() -> Iterator[Scene]:
    """Both threads hang; a third activity of the account waits."""
    here = Scene()
    here.pool.start()
    for name in ("a", "b", "c"):
        here.add(name, "account-1")
    for _ in range(2):
        assert here.begun.acquire(timeout=PATIENCE)
    yield here
    here.may_end.set()
    assert here.delay_queue.wait_until_idle(PATIENCE)
    here.delay_queue.close()
    here.pool.join()


def test_another_account_that_waits_gets_a_spare_thread_before_the_calls_are_slow(scene: Scene) -> None:
    """For the calls beyond the share of the account that hangs."""
    scene.add("other", "account-2")
    scene.pool.compensate()
    assert scene.begun.acquire(timeout=PATIENCE)
    scene.pool.compensate()
    assert not scene.begun.acquire(timeout=0.1)  # the account itself gets none
    assert scene.done == ["other"]


def test_nobody_gets_a_spare_thread_if_nobody_else_waits(scene: Scene) -> None:
    """An account that has all threads has no more than these."""
    scene.pool.compensate()
    assert not scene.begun.acquire(timeout=0.1)


def test_a_thread_ends_one_activity_together_with_the_claim_of_the_next() -> None:
    """What is due goes on at once; only the last one is ended by itself."""
    told: list[str] = []
    delay_queue = DelayQueue(SystemClock())

    def carry_out(entry: Entry, end_last: Callable[[], None]) -> Callable[[], None]:
        told.append(f"claim {entry.activity_id}")
        end_last()
        told.append(f"send {entry.activity_id}")

        def end() -> None:
            told.append(f"end {entry.activity_id}")
            delay_queue.done(entry)

        return end

    for name in "abc":
        delay_queue.add(Entry(name), 0)
    pool = ThreadPool(
        size=1,
        delay_queue=delay_queue,
        watchdog=Watchdog(),
        carry_out=carry_out,
        slow_calls=lambda: 0,
        calls_beyond_share=lambda: 0,
        stuck_after=timedelta(minutes=1),
    )
    pool.start()
    assert delay_queue.wait_until_idle(PATIENCE)
    delay_queue.close()
    pool.join()
    assert " | ".join(told) == ("claim a | send a | claim b | end a | send b | claim c | end b | send c | end c")
