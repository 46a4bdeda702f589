"""One job at a time, which is how most tests of a queue tell their story."""

from __future__ import annotations

from datetime import timedelta

from engagement_core.model.job import Settlement, Unreadable, WakeUp
from engagement_core.ports.queue import Queue

__all__ = ["receive_one", "settle_one"]


def receive_one(queue: Queue, timeout: timedelta) -> WakeUp | Unreadable | None:
    """The next job, or None after `timeout`."""
    return next(iter(queue.receive(timeout, at_most=1)), None)


def settle_one(queue: Queue, wake_up: WakeUp, settlement: Settlement) -> None:
    """Settle this wake-up."""
    queue.settle([(wake_up, settlement)])
