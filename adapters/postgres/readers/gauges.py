"""Reads the gauges on PostgreSQL.

The one rule: one statement, in one transaction with the look at the schema. No part of it reads more rows than
`MOST_COUNTED`.
"""

from __future__ import annotations

from datetime import timedelta
from decimal import Decimal

from adapters.postgres.connection.pool import PostgresPool
from adapters.postgres.inspection.catalog import Catalog, checked, read_catalog
from adapters.postgres.store.fragments import IN_FORCE, joins
from engagement_core.decisions.admission import HELD_STATUSES
from engagement_core.model.gauges import MOST_COUNTED, Gauges

__all__ = ["PostgresGauges", "levels"]

# Each part follows the order of an index; otherwise the planner would choose a scan that it believes to be short. The
# attempts are looked up for each row (`LIMIT`), because `NOT EXISTS` would make the planner read all attempts of all
# time. Subtracting an infinite time is an error: a row that has one is counted and has no age.
_LEVELS = """
WITH due AS MATERIALIZED (
    SELECT a.id, a.pod_id, a.profile_id, GREATEST(a.scheduled_for, a.next_retry_at) AS due_at FROM pod_activities a
     WHERE a.status = 'scheduled' AND GREATEST(a.scheduled_for, a.next_retry_at) <= statement_timestamp()
     ORDER BY GREATEST(a.scheduled_for, a.next_retry_at) LIMIT %(limit)s),
waiting AS MATERIALIZED (
    SELECT * FROM due
     WHERE (SELECT true FROM engagement_attempts t
             WHERE t.activity_id = due.id::text AND t.effect IN ('unknown', 'applied') LIMIT 1) IS NULL),
blocked AS MATERIALIZED ({in_force}),
runnable AS (
    SELECT 1 FROM waiting a
      LEFT JOIN pods p ON {pod}
      {account}
     WHERE NOT EXISTS (SELECT 1 FROM blocked WHERE scope = 'all')
       AND COALESCE(a.pod_id::text, '') NOT IN (SELECT scope_id FROM blocked WHERE scope = 'pod')
       AND COALESCE(l.id::text, '') NOT IN (SELECT scope_id FROM blocked WHERE scope = 'account')
       AND (l.status IS NULL OR l.status::text <> ALL (%(held)s))),
unknown AS (
    SELECT began_at FROM engagement_attempts WHERE phase = 'unknown' ORDER BY look_at LIMIT %(limit)s),
letters AS (
    SELECT 1 FROM engagement_dead_letters WHERE closed_at IS NULL ORDER BY error_type LIMIT %(limit)s)
SELECT d.n, d.age, r.n, u.n, u.age, l.n, w.n
  FROM (SELECT count(*) AS n,
               extract(epoch FROM statement_timestamp() - min(due_at) FILTER (WHERE isfinite(due_at))) AS age
          FROM waiting) d,
       (SELECT count(*) AS n FROM runnable) r,
       (SELECT count(*) AS n, extract(epoch FROM statement_timestamp() - min(began_at)) AS age FROM unknown) u,
       (SELECT count(*) AS n FROM letters) l,
       (SELECT count(*) AS n FROM engagement_workers
         WHERE left_at IS NULL AND beat_at > statement_timestamp() - %(silent_for)s) w
"""


class PostgresGauges:
    """Fills `engagement_core.ports.gauges.GaugesReader`."""

    def __init__(self, pool: PostgresPool, *, silent_for: timedelta = timedelta(seconds=6)) -> None:
        """
        Args:
            pool: one connection is used.
            silent_for: a worker that has not beaten for this long counts as dead.
        """
        self._pool = pool
        self._silent_for = silent_for

    def read(self) -> Gauges:
        """See the port.

        Raises:
            SchemaProblem: the database lacks something by now; the message says what.
        """
        with self._pool.connection() as connection, connection.cursor() as cursor:
            cursor.execute("BEGIN")
            statement = levels(checked(read_catalog(connection)))
            parameters = {"limit": MOST_COUNTED, "silent_for": self._silent_for, "held": sorted(HELD_STATUSES)}
            cursor.execute(statement, parameters)
            ((due, oldest_due, runnable, unknown, oldest_unknown, letters, alive),) = cursor.fetchall()
            cursor.execute("COMMIT")
        return Gauges(
            due=due,
            runnable=runnable,
            oldest_due=_age(oldest_due),
            unknown=unknown,
            oldest_unknown=_age(oldest_unknown),
            dead_letters=letters,
            workers_alive=alive,
        )


def levels(catalog: Catalog) -> str:
    """The statement for a database with this catalog."""
    return _LEVELS.format(in_force=IN_FORCE.format(columns="c.scope, c.scope_id"), **joins(catalog))


def _age(seconds: Decimal | float | None) -> timedelta | None:
    return None if seconds is None else timedelta(seconds=float(seconds))
