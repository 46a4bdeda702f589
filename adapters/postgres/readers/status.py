"""Reads the status on PostgreSQL: the numbers in one transaction, the examples after it."""

from __future__ import annotations

from datetime import timedelta

from adapters.postgres.connection.planner_hints import PLANNER_HINTS
from adapters.postgres.connection.pool import PostgresPool
from adapters.postgres.inspection.catalog import checked, read_catalog
from adapters.postgres.readers.status_counts import read_counts
from adapters.postgres.readers.status_examples import read_examples
from engagement_core.model.status import Status

__all__ = ["PostgresStatusReader"]


class PostgresStatusReader:
    """Fills `engagement_core.ports.status.StatusReader`."""

    def __init__(
        self,
        pool: PostgresPool,
        *,
        silent_for: timedelta = timedelta(seconds=6),
        late_by: timedelta = timedelta(seconds=5),
    ) -> None:
        """
        Args:
            pool: one connection is used.
            silent_for: a worker that has not beaten for this long counts as dead.
            late_by: an activity that has been due for this long is late.

        Raises:
            SchemaProblem: the database lacks something; the message says what.
            StoreUnavailable: the database cannot be reached.
        """
        self._pool = pool
        self._silent_for = silent_for
        self._late_by = late_by
        with pool.connection() as connection:
            self._id_type = checked(read_catalog(connection)).types["pod_activities", "id"]

    def read(self) -> Status:
        """See the port."""
        with self._pool.connection() as connection, connection.cursor() as cursor:
            cursor.execute(f"BEGIN; {PLANNER_HINTS}")
            counts = read_counts(cursor, self._id_type, self._silent_for)
            cursor.execute("COMMIT")
            return Status(**counts, **read_examples(cursor, self._late_by))
