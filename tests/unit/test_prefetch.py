"""How many jobs may wait for a thread: as many as keep the threads busy for a moment."""

from __future__ import annotations

from datetime import timedelta

from fakes.clock import InMemoryClock
from runners.worker.prefetch import Prefetch


def test_a_worker_whose_threads_do_not_move_prefetches_nothing() -> None:
    """An idle worker can execute its jobs sooner."""
    clock = InMemoryClock()
    prefetch = Prefetch(clock, most=10)
    assert prefetch.size() == 0
    for _ in range(5):
        prefetch.note_execution()
    assert prefetch.size() == 5
    clock.advance(timedelta(seconds=1))
    assert prefetch.size() == 0


def test_however_fast_the_threads_are_they_hoard_no_jobs() -> None:
    """The others get their share."""
    prefetch = Prefetch(InMemoryClock(), most=10)
    for _ in range(1000):
        prefetch.note_execution()
    assert prefetch.size() == 10
