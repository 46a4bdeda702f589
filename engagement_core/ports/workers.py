"""Heartbeats of workers: they show the others which worker is dead and which is only busy."""

from __future__ import annotations

from typing import Protocol

__all__ = ["WorkerRegistry"]


class WorkerRegistry(Protocol):
    """Heartbeats, on the database's clock. Every method raises `StoreUnavailable` like the activity store."""

    def beat(self, worker_id: str, *, host: str, pid: int, concurrency: int) -> None:
        """Say that this worker is alive; the first beat registers it."""
        ...

    def leave(self, worker_id: str) -> None:
        """Say that this worker has stopped in good order: it holds nothing any more."""
        ...

    def alive(self) -> int:
        """How many workers have beaten within the last seconds and not left."""
        ...
