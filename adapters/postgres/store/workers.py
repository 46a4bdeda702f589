"""Heartbeats on PostgreSQL, by the database's clock."""

from __future__ import annotations

from datetime import timedelta

from adapters.postgres.connection.pool import PostgresPool

__all__ = ["PostgresWorkerRegistry"]

_BEAT = """
INSERT INTO engagement_workers (worker_id, host, pid, concurrency, started_at, beat_at)
VALUES (%(worker_id)s, %(host)s, %(pid)s, %(concurrency)s, clock_timestamp(), clock_timestamp())
ON CONFLICT (worker_id) DO UPDATE SET beat_at = clock_timestamp(), left_at = NULL
"""
_LEAVE = "UPDATE engagement_workers SET left_at = clock_timestamp() WHERE worker_id = %(worker_id)s"
_ALIVE = """
SELECT count(*) FROM engagement_workers WHERE left_at IS NULL AND beat_at > clock_timestamp() - %(silent_for)s
"""
# Attempts keep the worker's name. After a week, the worker's own row is of no use.
_FORGET = "DELETE FROM engagement_workers WHERE beat_at < clock_timestamp() - interval '7 days'"

_ANSWERS_WITHIN = timedelta(seconds=10)
"""A heartbeat waits for no lock and touches one row, every two seconds.
So it notices first that the server is silent."""


class PostgresWorkerRegistry:
    """Fills `engagement_core.ports.workers.WorkerRegistry`."""

    def __init__(self, pool: PostgresPool, *, silent_for: timedelta = timedelta(seconds=6)) -> None:
        self._pool = pool
        self._silent_for = silent_for

    def beat(self, worker_id: str, *, host: str, pid: int, concurrency: int) -> None:
        """See the port."""
        parameters = {"worker_id": worker_id, "host": host, "pid": pid, "concurrency": concurrency}
        with self._pool.connection(answers_within=_ANSWERS_WITHIN) as connection, connection.cursor() as cursor:
            cursor.execute(_BEAT, parameters)

    def leave(self, worker_id: str) -> None:
        """See the port."""
        with self._pool.connection() as connection, connection.cursor() as cursor:
            cursor.execute(_LEAVE, {"worker_id": worker_id})
            cursor.execute(_FORGET)

    def alive(self) -> int:
        """See the port."""
        with self._pool.connection() as connection, connection.cursor() as cursor:
            cursor.execute(_ALIVE, {"silent_for": self._silent_for})
            row = cursor.fetchone()
            return int(row[0]) if row else 0
