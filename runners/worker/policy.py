"""How a worker works: how many threads, how far ahead, how long it waits."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta

__all__ = ["WorkerPolicy"]


@dataclass(frozen=True, kw_only=True, slots=True)
class WorkerPolicy:
    """`poll_interval`: between two sweeps that find nothing. `look_ahead`: how far into the future the delay queue
    reaches, and how long before its time a scheduled job rings. `listen`: how long one wait for a job lasts at most; a
    drain ends it. `prefetch`: how many jobs may wait for each thread while the threads are fast. Without a queue
    (`has_queue`) the sweep alone brings activities.

    An execution that lasts longer than `stuck_after` is stuck; so is an activity that waits so long for a thread while
    one is idle. `preparing`: how many threads ask the voice for comments that are due within `prepare_ahead`.
    """

    concurrency: int = 5
    poll_interval: timedelta = timedelta(seconds=2)
    look_ahead: timedelta = timedelta(seconds=8)
    has_queue: bool = True
    listen: timedelta = timedelta(seconds=10)
    prefetch: int = 2
    preparing: int = 0
    prepare_ahead: timedelta = timedelta(seconds=60)
    stuck_after: timedelta = timedelta(minutes=2)
