"""Connects the commands other than the worker to the servers: one connection to each.

The one rule: PostgreSQL is required, Redis is optional. If the queue cannot be reached, the command only warns, because
the sweep finds every due activity anyway. If the settings say that there is no queue, there is nothing to warn of.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import datetime, timedelta

from adapters.postgres.connection.pool import PostgresPool
from engagement_core.ports.queue import Queue, QueueUnavailable
from runners.bootstrap import build_queue
from runners.cli.times import utc_now
from runners.cli.views.screen import warn
from runners.settings import Settings

__all__ = ["RING_WITHIN", "Doorbell", "database", "doorbell", "queue_of"]

RING_WITHIN = timedelta(hours=1)
"""Redis holds jobs for the next hour at most. The sweep finds what is due later in PostgreSQL, when it is due."""


@contextmanager
def database(settings: Settings) -> Iterator[PostgresPool]:
    """A pool of one connection, which opens at its first use.

    Raises:
        SettingsProblem: DATABASE_URL is not set.
    """
    settings.need("database_url")
    pool = PostgresPool(str(settings.database_url), size=1)
    try:
        yield pool
    finally:
        pool.close()


class Doorbell:
    """A queue that may be away. The first failure is a warning, and nothing more is tried after it."""

    def __init__(self, queue: Queue | None) -> None:
        """`queue`: None if it is not known where the queue is."""
        self._queue = queue
        self.warned = False
        """Whether the queue failed."""

    def ring(self, activity_id: str, at: datetime) -> None:
        """Ask for a wake-up, if `at` is within the next hour."""
        if at - utc_now() <= RING_WITHIN:
            self._attempt(lambda queue: queue.ring(activity_id, at))

    def unbury(self, activity_id: str) -> None:
        """Take the activity out of the dead-letter queue."""
        self._attempt(lambda queue: queue.unbury(activity_id))

    def _attempt(self, do: Callable[[Queue], None]) -> None:
        if self.warned:
            return
        if self._queue is None:
            self._warn("REDIS_URL is not set")
            return
        try:
            do(self._queue)
        except QueueUnavailable as error:
            self._warn(str(error))

    def _warn(self, why: str) -> None:
        self.warned = True
        warn(f"the queue was not updated: {why}. Nothing is lost: the worker's sweep finds what is due.")


@contextmanager
def doorbell(settings: Settings) -> Iterator[Doorbell]:
    """The queue of the settings, as a doorbell."""
    with queue_of(settings) as queue:
        yield Doorbell(queue)


@contextmanager
def queue_of(settings: Settings) -> Iterator[Queue | None]:
    """The queue of the settings, which connects at its first use; None if it needs REDIS_URL and that is not set."""
    if settings.has_queue and settings.redis_url is None:
        yield None
        return
    queue = build_queue(settings)
    try:
        yield queue
    finally:
        queue.close()
