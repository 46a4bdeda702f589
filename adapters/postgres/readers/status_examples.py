"""Reads the examples of the status on PostgreSQL.

The one rule: every statement walks an index and stops after a limit, as for the numbers.
"""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from psycopg2.extensions import cursor as Cursor

from adapters.postgres.connection.pool import fetch
from engagement_core.model.errors import ErrorType
from engagement_core.model.lifecycle import Phase
from engagement_core.model.status import Failed, InFlight, Late

__all__ = ["read_examples"]

_MOST_SHOWN = 10
_MOST_SORTED = 1_000

_UNDER_WAY = """
SELECT activity_id, phase, worker_id, since, deadline_at
  FROM (SELECT activity_id, phase, worker_id, COALESCE(began_at, claimed_at) AS since, deadline_at
          FROM engagement_attempts WHERE phase IN ('claimed', 'sending') LIMIT %(sorted)s) o
 ORDER BY deadline_at, activity_id LIMIT %(shown)s
"""
_UNKNOWN = """
SELECT activity_id, phase, worker_id, COALESCE(began_at, claimed_at), look_at
  FROM engagement_attempts WHERE phase = 'unknown' ORDER BY look_at LIMIT %(shown)s
"""
# Looked up row by row, in the order of the index: with a join, the planner would read all attempts of all time.
_LATE = """
SELECT id, due_at
  FROM (SELECT a.id::text, GREATEST(a.scheduled_for, a.next_retry_at) AS due_at FROM pod_activities a
         WHERE a.status = 'scheduled'
           AND GREATEST(a.scheduled_for, a.next_retry_at) <= statement_timestamp() - %(late_by)s
         ORDER BY GREATEST(a.scheduled_for, a.next_retry_at) LIMIT %(sorted)s) c
 WHERE isfinite(due_at)
   AND (SELECT t.number FROM engagement_attempts t
         WHERE t.activity_id = c.id AND t.effect IN ('unknown', 'applied') LIMIT 1) IS NULL
 ORDER BY due_at LIMIT %(shown)s
"""
# In two steps, so that the walk by age does not pass through closed letters.
_FAILED = """
SELECT activity_id, error_type, message, next_step, buried_at
  FROM (SELECT * FROM engagement_dead_letters WHERE closed_at IS NULL LIMIT %(sorted)s) l
 ORDER BY buried_at DESC, activity_id LIMIT %(shown)s
"""


def read_examples(cursor: Cursor, late_by: timedelta) -> dict[str, Any]:
    """The examples of a `Status`, by field: the first ten, out of the first thousand of each kind.
    An activity is late when it has been due for `late_by`."""
    late = _rows(cursor, _LATE, late_by=late_by)
    return {
        "in_flight_examples": tuple(_in_flight(row) for row in _rows(cursor, _UNDER_WAY)),
        "unknown_examples": tuple(_in_flight(row) for row in _rows(cursor, _UNKNOWN)),
        "late_examples": tuple(Late(activity_id=activity_id, due_at=due_at) for activity_id, due_at in late),
        "failed_examples": tuple(_failed(row) for row in _rows(cursor, _FAILED)),
    }


def _in_flight(row: tuple[Any, ...]) -> InFlight:
    return InFlight(activity_id=row[0], phase=Phase(row[1]), worker_id=row[2], since=row[3], next_at=row[4])


def _failed(row: tuple[Any, ...]) -> Failed:
    activity_id, error_type, message, next_step, buried_at = row
    return Failed(
        activity_id=activity_id,
        error_type=ErrorType(error_type),
        message=message,
        next_step=next_step,
        buried_at=buried_at,
    )


def _rows(cursor: Cursor, statement: str, **parameters: Any) -> list[tuple[Any, ...]]:
    return fetch(cursor, statement, shown=_MOST_SHOWN, sorted=_MOST_SORTED, **parameters)
