"""Heartbeats on PostgreSQL, by the database's clock.

The one rule: a heartbeat never fails because of what it should tell. If that cannot be read, it is sent alone.
"""

from __future__ import annotations

from datetime import timedelta

from adapters.postgres.connection.pool import PostgresPool
from adapters.postgres.store.chores import CHORES, as_chores, chores_parameters
from engagement_core.model.chore import Chore
from engagement_core.ports.activities import StoreUnavailable

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
"""A heartbeat writes one row and waits for no lock for longer than a second, every two seconds.
So it notices first that the server is silent."""


class PostgresWorkerRegistry:
    """Fills `engagement_core.ports.workers.WorkerRegistry`."""

    def __init__(
        self,
        pool: PostgresPool,
        *,
        silent_for: timedelta = timedelta(seconds=6),
        margin: timedelta = timedelta(seconds=5),
        within: timedelta = timedelta(hours=1),
    ) -> None:
        """
        Args:
            pool: one connection is used.
            silent_for: a worker that has not beaten for this long counts as dead.
            margin: see `OrphanPolicy`.
            within: see `HealthPolicy.in_a_row`.
        """
        self._pool = pool
        self._silent_for = silent_for
        self._about_chores = chores_parameters(silent_for=silent_for, margin=margin, within=within)

    def beat(self, worker_id: str, *, host: str, pid: int, concurrency: int) -> frozenset[Chore]:
        """See the port."""
        me = {"worker_id": worker_id, "host": host, "pid": pid, "concurrency": concurrency}
        try:
            with self._pool.connection(answers_within=_ANSWERS_WITHIN) as connection, connection.cursor() as cursor:
                cursor.execute(f"{_BEAT};{CHORES}", {**me, **self._about_chores})
                return as_chores(cursor.fetchall()[0])
        except StoreUnavailable as error:
            if getattr(error.__cause__, "pgcode", None) is None:
                raise  # no server said anything: a second try would wait as long again
        # Perhaps a table is locked (a migration). Without a heartbeat, others would take this worker for dead.
        with self._pool.connection(answers_within=_ANSWERS_WITHIN) as connection, connection.cursor() as cursor:
            cursor.execute(_BEAT, me)
        return frozenset(Chore)

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
