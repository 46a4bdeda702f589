"""Deletes what nobody needs any more. Attempts and dead letters are the audit log: they stay."""

from __future__ import annotations

from datetime import timedelta

from adapters.postgres.connection.pool import PostgresPool

__all__ = ["PostgresRetention"]

# Several workers do this at the same time: a second one takes other rows.
_FORGET = """
WITH alerts AS (
    DELETE FROM engagement_alerts WHERE id IN (
        SELECT id FROM engagement_alerts
         WHERE delivered_at IS NOT NULL AND resolved_at IS NOT NULL
           AND GREATEST(delivered_at, resolved_at) < clock_timestamp() - %(older_than)s
         ORDER BY id LIMIT %(limit)s FOR UPDATE SKIP LOCKED)
    RETURNING id),
controls AS (
    DELETE FROM engagement_controls WHERE id IN (
        SELECT id FROM engagement_controls
         WHERE lifted_at < clock_timestamp() - %(older_than)s
         ORDER BY id LIMIT %(limit)s FOR UPDATE SKIP LOCKED)
    RETURNING id)
SELECT (SELECT count(*) FROM alerts) + (SELECT count(*) FROM controls)
"""


class PostgresRetention:
    """Fills `engagement_core.ports.retention.Retention`."""

    def __init__(self, pool: PostgresPool) -> None:
        self._pool = pool

    def forget(self, *, older_than: timedelta, limit: int) -> int:
        """See the port."""
        with self._pool.connection() as connection, connection.cursor() as cursor:
            cursor.execute(_FORGET, {"older_than": older_than, "limit": limit})
            row = cursor.fetchone()
            return int(row[0]) if row else 0
