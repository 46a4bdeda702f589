"""Reads the incident facts on PostgreSQL.

The one rule: every statement walks an index and stops after a limit, as in the status. Together they are one
transaction, in which each of them sees what was committed before it began.
"""

from __future__ import annotations

from datetime import datetime, timedelta

from psycopg2.extensions import cursor as Cursor

from adapters.postgres.connection.pool import PostgresPool, fetch
from engagement_core.model.incident import IncidentKind, OpenIncident
from engagement_core.model.incident_facts import IncidentFacts, OldestUnknown, SilentWorker

__all__ = ["PostgresIncidentFacts"]

_MOST_INCIDENTS = 1_000
_MOST_ATTEMPTS = 10_000
_MOST_WORKERS = 200

_OPEN = """
SELECT incident, kind, activity_id, times, raised_at, last_at FROM engagement_alerts
 WHERE resolved_at IS NULL ORDER BY incident LIMIT %(limit)s
"""
_BEGIN_AND_SAY_WHEN = "BEGIN ISOLATION LEVEL READ COMMITTED; SELECT clock_timestamp()"

# The index on sends begins with the account, so each account takes one short walk.
_ATTEMPTS = """
SELECT CASE WHEN phase <> 'executed' THEN COALESCE(error ->> 'error_type', 'outcome_unknown') END, count(*)
  FROM (SELECT t.* FROM linkedin_accounts l
         CROSS JOIN LATERAL (SELECT phase, event, error FROM engagement_attempts t
                              WHERE t.account_id = l.id::text AND t.began_at > statement_timestamp() - %(since)s
                              ORDER BY t.began_at DESC LIMIT 1000) t
         LIMIT %(limit)s) recent
 WHERE phase NOT IN ('claimed', 'sending') AND event <> 'release' GROUP BY 1
"""
# The oldest of the ten thousand that are due next for a read-back. (With an index by age, the planner would no longer
# use the index that finds those.)
_OLDEST_UNKNOWN = """
SELECT activity_id, began_at
  FROM (SELECT activity_id, began_at FROM engagement_attempts
         WHERE phase = 'unknown' ORDER BY look_at LIMIT %(limit)s) u
 ORDER BY began_at LIMIT 1
"""
_SILENT = """
SELECT w.worker_id, w.host, w.beat_at,
       (SELECT r.worker_id FROM engagement_workers r
         WHERE r.left_at IS NULL AND r.beat_at > statement_timestamp() - %(silent_for)s AND r.started_at > w.beat_at
         ORDER BY r.host = w.host DESC, r.started_at LIMIT 1),
       NOT EXISTS (SELECT 1 FROM engagement_alerts a
                    WHERE a.incident = %(kind)s || ':' || w.host AND a.state = 'raised' AND a.last_at > w.beat_at)
  FROM engagement_workers w
 WHERE w.left_at IS NULL AND w.beat_at < statement_timestamp() - %(silent_for)s
   AND w.beat_at > statement_timestamp() - interval '1 day'
 ORDER BY w.beat_at DESC LIMIT %(limit)s
"""
_HELD = """
SELECT scope_id FROM engagement_controls
 WHERE lifted_at IS NULL AND kind = 'hold' AND scope = 'account' AND scope_id = ANY(%(subjects)s::text[])
   AND (until IS NULL OR until > clock_timestamp())
"""
_RECOVERED = """
SELECT i.account_id FROM unnest(%(subjects)s::text[], %(since)s::timestamptz[]) AS i (account_id, since)
 WHERE EXISTS (SELECT 1 FROM engagement_attempts t
                WHERE t.account_id = i.account_id AND t.began_at > i.since AND t.phase = 'executed')
"""
# Follows the order of the index; otherwise the planner would choose a scan that it believes to be short.
_BURIED = """
SELECT i.error_type FROM unnest(%(subjects)s::text[]) AS i (error_type)
 WHERE i.error_type = (SELECT d.error_type FROM engagement_dead_letters d
                        WHERE d.closed_at IS NULL AND d.error_type >= i.error_type ORDER BY d.error_type LIMIT 1)
"""


class PostgresIncidentFacts:
    """Fills `engagement_core.ports.incident_facts.IncidentFactsReader`."""

    def __init__(self, pool: PostgresPool, *, silent_for: timedelta = timedelta(seconds=6)) -> None:
        """
        Args:
            pool: one connection is used.
            silent_for: a worker that has not beaten for this long counts as silent.
        """
        self._pool = pool
        self._silent_for = silent_for

    def read(self, *, attempts_of: timedelta) -> IncidentFacts:
        """See the port."""
        with self._pool.connection() as connection, connection.cursor() as cursor:
            ((seen_at,),) = fetch(cursor, _BEGIN_AND_SAY_WHEN)
            open_incidents = _open_incidents(cursor)
            judged = dict(fetch(cursor, _ATTEMPTS, since=attempts_of, limit=_MOST_ATTEMPTS))
            facts = IncidentFacts(
                seen_at=seen_at,
                open_incidents=open_incidents,
                attempts=sum(judged.values()),
                errors={error_type: count for error_type, count in judged.items() if error_type is not None},
                oldest_unknown=_oldest_unknown(cursor),
                silent=self._silent(cursor),
                held=_subjects(cursor, _HELD, _of(open_incidents, IncidentKind.AUTH_ERROR)),
                recovered=_subjects(cursor, _RECOVERED, _of(open_incidents, IncidentKind.RATE_LIMIT)),
                buried=_subjects(cursor, _BURIED, _of(open_incidents, IncidentKind.DEAD_LETTER)),
            )
            cursor.execute("COMMIT")
            return facts

    def _silent(self, cursor: Cursor) -> tuple[SilentWorker, ...]:
        kind = IncidentKind.WORKER_LOST.value
        rows = fetch(cursor, _SILENT, silent_for=self._silent_for, kind=kind, limit=_MOST_WORKERS)
        return tuple(
            SilentWorker(worker_id=row[0], host=row[1], beat_at=row[2], replaced_by=row[3], is_news=row[4])
            for row in rows
        )


def _open_incidents(cursor: Cursor) -> tuple[OpenIncident, ...]:
    return tuple(
        OpenIncident(incident=row[0], kind=row[1], activity_id=row[2], times=row[3], raised_at=row[4], last_at=row[5])
        for row in fetch(cursor, _OPEN, limit=_MOST_INCIDENTS)
    )


def _oldest_unknown(cursor: Cursor) -> OldestUnknown | None:
    rows = fetch(cursor, _OLDEST_UNKNOWN, limit=_MOST_ATTEMPTS)
    return OldestUnknown(activity_id=rows[0][0], since=rows[0][1]) if rows else None


def _of(incidents: tuple[OpenIncident, ...], kind: IncidentKind) -> list[OpenIncident]:
    return [incident for incident in incidents if incident.kind == kind]


def _subjects(cursor: Cursor, statement: str, incidents: list[OpenIncident]) -> frozenset[str]:
    """The incidents' subjects that the statement returns. Without incidents it asks the database nothing."""
    if not incidents:
        return frozenset()
    since: list[datetime] = [incident.last_at for incident in incidents]
    return frozenset(
        row[0] for row in fetch(cursor, statement, subjects=[each.subject for each in incidents], since=since)
    )
