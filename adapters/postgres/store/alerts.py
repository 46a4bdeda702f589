"""The alert outbox on PostgreSQL.

The one rule: each method is one statement. It may run twice, or at the same time in another worker, without harm.
"""

from __future__ import annotations

from typing import Any

from adapters.postgres.connection.pool import PostgresPool
from adapters.postgres.connection.sanitize import sanitize
from adapters.postgres.store.statements import RAISE_ALERT
from engagement_core.model.decision import RaiseAlert
from engagement_core.model.incident import Alert, AlertState, OpenIncident

__all__ = ["WAITING_ALERTS", "PostgresAlertOutbox"]

_PUT_COLUMNS = ("incident", "kind", "message", "activity_id", "next_step")

# `times` shows whether the incident was raised again since it was read: then it is not over.
_RESOLVE = """
WITH over AS (
    UPDATE engagement_alerts SET resolved_at = clock_timestamp()
     WHERE incident = %(incident)s AND resolved_at IS NULL AND times = %(times)s AND raised_at = %(raised_at)s
    RETURNING incident, kind, activity_id, raised_at, resolved_at)
INSERT INTO engagement_alerts (incident, kind, message, activity_id, raised_at, resolved_at, state)
SELECT incident, kind, %(message)s, activity_id, raised_at, resolved_at, 'resolved' FROM over
RETURNING id
"""

WAITING_ALERTS = """
SELECT id, taken_at IS NULL AS is_new FROM engagement_alerts w
 WHERE delivered_at IS NULL AND (next_try_at IS NULL OR next_try_at <= clock_timestamp())"""

# If a worker dies after taking an alert and before delivering it, the next worker takes it a minute later.
_TAKE = f"""
WITH waiting AS MATERIALIZED (
    {WAITING_ALERTS}
       AND NOT EXISTS (SELECT 1 FROM engagement_alerts e
                        WHERE e.delivered_at IS NULL AND e.incident = w.incident AND e.id < w.id)
     ORDER BY id LIMIT %(limit)s FOR UPDATE SKIP LOCKED)
UPDATE engagement_alerts a
   SET taken_at = COALESCE(taken_at, clock_timestamp()), next_try_at = clock_timestamp() + interval '1 minute'
  FROM waiting WHERE a.id = waiting.id
RETURNING a.id, incident, kind, message, activity_id, raised_at, next_step, state, is_new
"""  # noqa: S608  # our own condition
_DELIVERED = "UPDATE engagement_alerts SET delivered_at = clock_timestamp() WHERE id = %(id)s RETURNING id"
_FAILED = """
UPDATE engagement_alerts
   SET tries = tries + 1,
       next_try_at = clock_timestamp() + LEAST(interval '5 seconds' * power(2, LEAST(tries, 20)), interval '10 minutes')
 WHERE id = %(id)s AND delivered_at IS NULL
RETURNING id
"""
_GIVE_BACK = "UPDATE engagement_alerts SET next_try_at = NULL WHERE id = ANY(%(ids)s) RETURNING id"


class PostgresAlertOutbox:
    """Fills `engagement_core.ports.alerts.AlertOutbox`."""

    def __init__(self, pool: PostgresPool) -> None:
        self._pool = pool

    def put(self, alert: RaiseAlert) -> None:
        """See the port."""
        columns = {name: sanitize(getattr(alert, name)) for name in _PUT_COLUMNS}
        self._pool.query(RAISE_ALERT + "RETURNING id", **columns)

    def resolve(self, incident: OpenIncident, message: str) -> bool:
        """See the port."""
        seen = {"incident": incident.incident, "times": incident.times, "raised_at": incident.raised_at}
        return bool(self._pool.query(_RESOLVE, **seen, message=sanitize(message)))

    def take(self, *, limit: int) -> tuple[Alert, ...]:
        """See the port."""
        alerts = [_alert(row) for row in self._pool.query(_TAKE, limit=limit)]
        return tuple(sorted(alerts, key=lambda alert: alert.id))

    def delivered(self, alert: Alert) -> None:
        """See the port."""
        self._pool.query(_DELIVERED, id=alert.id)

    def failed(self, alert: Alert) -> None:
        """See the port."""
        self._pool.query(_FAILED, id=alert.id)

    def give_back(self, alerts: tuple[Alert, ...]) -> None:
        """See the port."""
        self._pool.query(_GIVE_BACK, ids=[alert.id for alert in alerts])


def _alert(row: tuple[Any, ...]) -> Alert:
    identifier, incident, kind, message, activity_id, raised_at, next_step, state, is_new = row
    return Alert(
        id=identifier,
        incident=incident,
        kind=kind,
        message=message,
        activity_id=activity_id,
        raised_at=raised_at,
        next_step=next_step,
        state=AlertState(state),
        is_new=is_new,
    )
