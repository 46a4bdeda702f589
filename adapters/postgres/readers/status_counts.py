"""Reads the numbers of the status on PostgreSQL.

The one rule: every statement walks an index and stops after a limit. Larger numbers are estimated from the planner's
statistics, where it has any. (The statements use the time at which they began: `clock_timestamp()` changes from row to
row, so no index can serve it.)
"""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from psycopg2.extensions import cursor as Cursor

from adapters.postgres.connection.pool import fetch
from engagement_core.decisions.admission import HELD_STATUSES
from engagement_core.model.controls import BlockScope, Control, ControlKind
from engagement_core.model.errors import ErrorType
from engagement_core.model.status import Count, HeldAccount, Lateness, RecentSends

__all__ = ["read_counts"]

_MOST_COUNTED = 10_000
_MOST_WALKED = 100_000
_MOST_JUDGED = 10_000
_MOST_LISTED = 100

_DUE_AT = "GREATEST(a.scheduled_for, a.next_retry_at)"
_FREE = """NOT EXISTS (SELECT 1 FROM engagement_attempts t
                        WHERE t.activity_id = a.id::text AND t.effect IN ('unknown', 'applied'))"""
_COUNTED = {
    "scheduled": f"FROM pod_activities a WHERE a.status = 'scheduled' AND {_DUE_AT} > statement_timestamp()",
    "due": f"FROM pod_activities a WHERE a.status = 'scheduled' AND {_DUE_AT} <= statement_timestamp() AND {_FREE}",
    "claimed": "FROM engagement_attempts WHERE phase = 'claimed'",
    "sending": "FROM engagement_attempts WHERE phase = 'sending'",
    "unknown": "FROM engagement_attempts WHERE phase = 'unknown'",
    "executed": "FROM engagement_attempts WHERE effect IN ('unknown', 'applied') AND phase = 'executed'",
    "failed": "FROM engagement_dead_letters WHERE closed_at IS NULL",
}
_COUNT = "SELECT count(*) FROM (SELECT 1 {rows} LIMIT %(limit)s) counted"
_ESTIMATE = "EXPLAIN (FORMAT JSON) SELECT 1 {rows}"
# The planner knows how many rows have which status, but has no statistics of when they are due. So due rows are walked
# further than they are counted, without reading the attempts of each.
_ESTIMATED = {**_COUNTED, "scheduled": "FROM pod_activities WHERE status = 'scheduled'"}
_WALKED = f"FROM pod_activities a WHERE a.status = 'scheduled' AND {_DUE_AT} <= statement_timestamp()"

_OLDEST_DUE = "SELECT extract(epoch FROM statement_timestamp() - {at}) {rows} ORDER BY {at} LIMIT 1"

# The index on sends begins with the account, so each account takes one short walk, the latest first. An account that
# wants to stay on LinkedIn does not send more than this in a day.
_RECENT = """
WITH recent AS (
    SELECT t.* FROM linkedin_accounts l
     CROSS JOIN LATERAL (SELECT activity_id, number, phase, event, error, began_at FROM engagement_attempts t
                          WHERE t.account_id = l.id::text AND t.began_at > statement_timestamp() - %(since)s
                          ORDER BY t.began_at DESC LIMIT 1000) t
     ORDER BY t.began_at DESC LIMIT %(limit)s)
"""
# The time of a retry is not kept once the retry has begun, so only first attempts can be late.
_LATENESS = (
    _RECENT
    + """
SELECT count(*), percentile_cont(ARRAY[0.5, 0.99]) WITHIN GROUP (ORDER BY extract(epoch FROM began_at - scheduled_for))
  FROM recent JOIN pod_activities a ON a.id = activity_id::{id_type}
 WHERE number = 1 AND event <> 'release'
"""
)
_JUDGED = (
    _RECENT
    + """
SELECT phase = 'executed', COALESCE(error ->> 'error_type', 'outcome_unknown'), count(*) FROM recent
 WHERE phase NOT IN ('claimed', 'sending', 'unknown') AND event <> 'release' GROUP BY 1, 2 ORDER BY 3 DESC
"""
)

_DEAD_LETTERS = """
SELECT error_type, count(*) FROM (SELECT error_type FROM engagement_dead_letters WHERE closed_at IS NULL
                                   LIMIT %(limit)s) l GROUP BY 1 ORDER BY 2 DESC, 1
"""
_CONTROLS = """
SELECT kind, scope, scope_id, until, reason FROM engagement_controls
 WHERE lifted_at IS NULL AND (until IS NULL OR until > statement_timestamp()) ORDER BY created_at, id LIMIT %(limit)s
"""
_HELD = """
SELECT id::text, status::text FROM linkedin_accounts WHERE status::text = ANY (%(held)s) ORDER BY 1 LIMIT %(limit)s
"""
_ALIVE = """
SELECT count(*), statement_timestamp() FROM engagement_workers
 WHERE left_at IS NULL AND beat_at > statement_timestamp() - %(silent_for)s
"""


def read_counts(cursor: Cursor, id_type: str, silent_for: timedelta) -> dict[str, Any]:
    """The numbers of a `Status`, by field.

    Args:
        cursor: inside a transaction that has the planner's hints.
        id_type: of `pod_activities.id`.
        silent_for: a worker that has not beaten for this long counts as dead.
    """
    oldest = fetch(cursor, _OLDEST_DUE.format(at=_DUE_AT, rows=_COUNTED["due"]))
    ((alive, now),) = fetch(cursor, _ALIVE, silent_for=silent_for)
    return {
        "seen_at": now,
        **{name: _count(cursor, name) for name in _COUNTED},
        "oldest_due": timedelta(seconds=float(oldest[0][0])) if oldest else None,
        "lateness": _lateness(cursor, id_type),
        "recent": _judged(cursor),
        "dead_letters": _dead_letters(cursor),
        "controls": tuple(_control(row) for row in fetch(cursor, _CONTROLS, limit=_MOST_LISTED)),
        "held_accounts": _held_accounts(cursor),
        "workers_alive": alive,
    }


def _lateness(cursor: Cursor, id_type: str) -> Lateness:
    statement = _LATENESS.format(id_type=id_type)
    ((sends, percentiles),) = fetch(cursor, statement, since=timedelta(hours=1), limit=_MOST_JUDGED)
    p50, p99 = (timedelta(seconds=float(value)) for value in percentiles) if sends else (None, None)
    return Lateness(sends=sends, p50=p50, p99=p99)


def _count(cursor: Cursor, name: str) -> Count:
    ((counted,),) = fetch(cursor, _COUNT.format(rows=_COUNTED[name]), limit=_MOST_COUNTED + 1)
    if counted <= _MOST_COUNTED:
        return Count(counted)
    if name == "due":
        ((walked,),) = fetch(cursor, _COUNT.format(rows=_WALKED), limit=_MOST_WALKED)
        return Count(walked, exact=False)
    ((plan,),) = fetch(cursor, _ESTIMATE.format(rows=_ESTIMATED[name]))
    return Count(max(counted, int(plan[0]["Plan"]["Plan Rows"])), exact=False)


def _judged(cursor: Cursor) -> RecentSends:
    rows = fetch(cursor, _JUDGED, since=timedelta(hours=24), limit=_MOST_JUDGED)
    return RecentSends(
        judged=sum(count for _, _, count in rows),
        succeeded=sum(count for succeeded, _, count in rows if succeeded),
        error_types={error_type: count for succeeded, error_type, count in rows if not succeeded},
    )


def _dead_letters(cursor: Cursor) -> dict[ErrorType, int]:
    return {ErrorType(error_type): count for error_type, count in fetch(cursor, _DEAD_LETTERS, limit=_MOST_COUNTED)}


def _held_accounts(cursor: Cursor) -> tuple[HeldAccount, ...]:
    rows = fetch(cursor, _HELD, held=sorted(HELD_STATUSES), limit=_MOST_LISTED)
    return tuple(HeldAccount(account_id=account_id, status=status) for account_id, status in rows)


def _control(row: tuple[Any, ...]) -> Control:
    kind, scope, scope_id, until, reason = row
    return Control(kind=ControlKind(kind), scope=BlockScope(scope), scope_id=scope_id, until=until, reason=reason)
