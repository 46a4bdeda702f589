"""The writes of a plain decision: an attempt, and what became of its activity; for any number of activities at once.

The one rule: every write changes a row, or all are refused: a statement fails if it changed fewer rows than it got.

A decision is plain if it writes no more than one attempt and one mark, both of its own activity. Nearly all are.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from adapters.postgres.connection.failure import NO_ROW_CHANGED
from adapters.postgres.connection.sanitize import sanitize, sanitize_deep
from adapters.postgres.inspection.attempt_columns import ATTEMPT_COLUMNS
from adapters.postgres.inspection.catalog import Catalog
from adapters.postgres.store.fragments import COUNT_UP, checked
from adapters.postgres.store.server_function import ServerFunction, server_function
from engagement_core.model.attempt import Attempt
from engagement_core.model.decision import ErrorNote, MarkExecuted, MarkScheduled, SaveAttempt, Write

__all__ = ["Plain", "Save", "error_note", "execution_result", "plain", "render_save"]

_ENCODER = json.JSONEncoder(ensure_ascii=False, separators=(",", ":"), default=datetime.isoformat)
_NUL = "\\u0000"

_NAMES = ", ".join(column.name for column in ATTEMPT_COLUMNS)
_OVERWRITTEN = ", ".join(f"{column.name} = EXCLUDED.{column.name}" for column in ATTEMPT_COLUMNS if not column.is_fixed)

_ATTEMPTS = f"""
INSERT INTO engagement_attempts AS t ({_NAMES})
SELECT {_NAMES}
  FROM json_to_recordset({{rows}}) AS r ({", ".join(f"{column.name} {column.sql_type}" for column in ATTEMPT_COLUMNS)})
    ON CONFLICT (activity_id, number) DO UPDATE SET {_OVERWRITTEN} WHERE t.token = EXCLUDED.token
"""  # noqa: S608  # our own columns

_EXECUTED = """
UPDATE pod_activities a
   SET status = 'executed', executed_at = r.executed_at, execution_result = r.execution_result,
       execution_id = r.execution_id, comment_generated = COALESCE(r.comment_generated, a.comment_generated),
       next_retry_at = NULL, last_error = NULL
  FROM json_to_recordset({rows}) AS r (activity_id "{id_type}", executed_at timestamptz,
       execution_result "{result_type}", execution_id text, comment_generated text)
 WHERE a.id = r.activity_id
"""

_SCHEDULED = """
UPDATE pod_activities a
   SET status = 'scheduled', executed_at = NULL, next_retry_at = r.next_retry_at,
       last_error = COALESCE(r.last_error, a.last_error),
       {count_up}
  FROM json_to_recordset({rows}) AS r (activity_id "{id_type}", next_retry_at timestamptz,
       last_error "{error_type}", counts integer)
 WHERE a.id = r.activity_id
"""

_STEP = f"""
  IF {{given}} IS NOT NULL THEN
    {{write}};
    GET DIAGNOSTICS changed = ROW_COUNT;
    IF changed < json_array_length({{given}}) THEN
      RAISE EXCEPTION '{NO_ROW_CHANGED}: %', changed;
    END IF;
  END IF;
"""


@dataclass(frozen=True, kw_only=True, slots=True)
class Plain:
    """The writes of one plain decision."""

    attempt: Attempt | None
    mark: MarkExecuted | MarkScheduled | None


@dataclass(frozen=True, kw_only=True, slots=True)
class Save:
    """The statements for one database. `steps`: one per kind of write. `function` does what all of them do."""

    steps: Mapping[str, str]
    function: ServerFunction

    def all(self, writes: Iterable[Plain], *, by_function: bool) -> list[tuple[str, dict[str, Any]]]:
        """The statements, with their parameters, that apply the writes: one per kind, or the one that calls the
        function."""
        given = _as_json(writes)
        if by_function:
            return [(self.function.call, given)]
        return [(self.steps[name], {name: rows}) for name, rows in given.items() if rows is not None]

    def one(self, write: Plain) -> tuple[str, dict[str, Any]]:
        """The statement, with its parameters, for an attempt or a mark alone."""
        return self.all((write,), by_function=False)[0]


def render_save(catalog: Catalog) -> Save:
    """The statements for a database with this catalog."""
    parts = {
        "id_type": catalog.types["pod_activities", "id"],
        "result_type": catalog.types["pod_activities", "execution_result"],
        "error_type": catalog.types["pod_activities", "last_error"],
        "count_up": COUNT_UP.format(counts="r.counts"),
    }
    steps, body = {}, ""
    for name, write in {"attempts": _ATTEMPTS, "executed": _EXECUTED, "scheduled": _SCHEDULED}.items():
        outside = f"%({name})s::json"
        steps[name] = checked(write.format(rows=outside, **parts), at_least=f"json_array_length({outside})")
        body += _STEP.format(given=name, write=write.format(rows=name, **parts).strip())
    function = server_function(
        "engagement_save",
        parameters=dict.fromkeys(steps, "json"),
        returns="void",
        body=f"DECLARE\n  changed bigint;\nBEGIN{body}END",
    )
    return Save(steps=steps, function=function)


def plain(writes: tuple[Write, ...], activity_id: str) -> Plain | None:
    """The writes of a decision about this activity, if it is plain; else None."""
    attempts = [write.attempt for write in writes if isinstance(write, SaveAttempt)]
    marks = [write for write in writes if isinstance(write, (MarkExecuted, MarkScheduled))]
    owners = {each.activity_id for each in (*attempts, *marks)}
    if len(attempts) + len(marks) < len(writes) or len(attempts) > 1 or len(marks) > 1 or owners - {activity_id}:
        return None
    return Plain(attempt=attempts[0] if attempts else None, mark=marks[0] if marks else None)


def execution_result(write: MarkExecuted) -> dict[str, Any]:
    """The value of `execution_result`, as the contract defines it."""
    return {
        "success": True,
        "timestamp": write.executed_at.isoformat(),
        "api_response": {
            "post_id": write.post_id,
            "created_at": write.created_at.isoformat() if write.created_at else None,
            "engagement_id": write.engagement_id,
        },
        "provenance": write.provenance.value,
    }


def error_note(error: ErrorNote) -> dict[str, Any]:
    """The value of `last_error`, as the contract defines it."""
    return {
        "error_type": error.error_type.value,
        "message": error.message,
        "timestamp": error.timestamp.isoformat(),
        "will_retry": error.will_retry,
    }


def _as_json(writes: Iterable[Plain]) -> dict[str, str | None]:
    """The rows of each kind of write, as JSON lists; None if there are none."""
    rows: dict[str, list[dict[str, Any]]] = {"attempts": [], "executed": [], "scheduled": []}
    for write in writes:
        if write.attempt is not None:
            rows["attempts"].append(_attempt(write.attempt))
        if isinstance(write.mark, MarkExecuted):
            rows["executed"].append(_executed(write.mark))
        elif write.mark is not None:
            rows["scheduled"].append(_scheduled(write.mark))
    return {name: _encoded(listed) if listed else None for name, listed in rows.items()}


def _attempt(attempt: Attempt) -> dict[str, Any]:
    return {column.name: value for column in ATTEMPT_COLUMNS if (value := getattr(attempt, column.name)) is not None}


def _executed(write: MarkExecuted) -> dict[str, Any]:
    return {
        "activity_id": write.activity_id,
        "executed_at": write.executed_at,
        "execution_result": execution_result(write),
        "execution_id": write.engagement_id,
        "comment_generated": write.comment_generated,
    }


def _scheduled(write: MarkScheduled) -> dict[str, Any]:
    return {
        "activity_id": write.activity_id,
        "next_retry_at": write.next_retry_at,
        "last_error": None if write.error is None else error_note(write.error),
        "counts": int(write.counts),
    }


def _encoded(rows: list[dict[str, Any]]) -> str:
    text = _ENCODER.encode(rows)
    if _NUL in text:  # perhaps: a backslash before it may be one of the text's own
        text = _ENCODER.encode([sanitize_deep(row) for row in rows])
    return str(sanitize(text))
