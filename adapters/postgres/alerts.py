"""The alert outbox on PostgreSQL."""

from __future__ import annotations

from adapters.postgres.pool import PostgresPool
from adapters.postgres.statements import RAISE_ALERT
from adapters.postgres.storable import storable
from engagement_core.ports.activities import RaiseAlert
from engagement_core.ports.alerts import Alert

__all__ = ["PostgresAlertOutbox"]

# A worker that dies between taking and delivering leaves the alert to the next one, a minute later.
_TAKE = """
UPDATE engagement_alerts SET taken_at = clock_timestamp()
 WHERE id IN (SELECT id FROM engagement_alerts
               WHERE delivered_at IS NULL
                 AND (taken_at IS NULL OR taken_at < clock_timestamp() - interval '1 minute')
               ORDER BY id LIMIT %(limit)s FOR UPDATE SKIP LOCKED)
RETURNING id, kind, message, activity_id, raised_at
"""
_DELIVERED = "UPDATE engagement_alerts SET delivered_at = clock_timestamp() WHERE id = %(id)s"
# An incident that is still going on after an hour is worth another alert.
_REOPEN = """
UPDATE engagement_alerts SET resolved_at = clock_timestamp()
 WHERE resolved_at IS NULL AND raised_at < clock_timestamp() - interval '1 hour'
"""


class PostgresAlertOutbox:
    """Fills `engagement_core.ports.alerts.AlertOutbox`."""

    def __init__(self, pool: PostgresPool) -> None:
        self._pool = pool

    def put(self, alert: RaiseAlert) -> None:
        """See the port."""
        columns = {name: storable(getattr(alert, name)) for name in ("incident", "kind", "message", "activity_id")}
        with self._pool.connection() as connection, connection.cursor() as cursor:
            cursor.execute(RAISE_ALERT, columns)

    def take(self, *, limit: int) -> tuple[Alert, ...]:
        """See the port."""
        with self._pool.connection() as connection, connection.cursor() as cursor:
            cursor.execute(_TAKE, {"limit": limit})
            rows = cursor.fetchall()
            cursor.execute(_REOPEN)
        alerts = (Alert(id=row[0], kind=row[1], message=row[2], activity_id=row[3], raised_at=row[4]) for row in rows)
        return tuple(sorted(alerts, key=lambda alert: alert.id))

    def delivered(self, alert: Alert) -> None:
        """See the port."""
        with self._pool.connection() as connection, connection.cursor() as cursor:
            cursor.execute(_DELIVERED, {"id": alert.id})
