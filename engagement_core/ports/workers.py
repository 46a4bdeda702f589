"""Heartbeats of workers: they show the others which worker is dead and which is only busy."""

from __future__ import annotations

from typing import Protocol

from engagement_core.model.chore import Chore

__all__ = ["WorkerRegistry"]


class WorkerRegistry(Protocol):
    """Heartbeats, on the database's clock. Every method raises `StoreUnavailable` like the activity store."""

    def beat(self, worker_id: str, *, host: str, pid: int, concurrency: int) -> frozenset[Chore]:
        """Say that this worker is alive; the first beat registers it. Returns what there is to do, for any worker.

        That is a hint, read with the heartbeat in one transaction: whoever follows it looks again, because another
        worker may have done it. If it cannot be read, the heartbeat counts all the same, and all chores are returned.
        """
        ...

    def leave(self, worker_id: str) -> None:
        """Say that this worker has stopped in good order: it holds nothing any more."""
        ...

    def alive(self) -> int:
        """How many workers have beaten within the last seconds and not left."""
        ...
