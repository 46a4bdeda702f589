"""Finds constraints and rewrite rules of `pod_activities` that would refuse a write of the executor.

Without this check, an engagement would be sent and could not be recorded.

The one rule: it reads the catalog and tries the constraints on values. It touches no row.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, NamedTuple

from psycopg2.extensions import connection as Connection

from engagement_core.decisions.comment_rules import MAX_LENGTH

__all__ = ["WRITTEN", "broken_rules"]

_ERROR = '{"error_type": "api_error", "message": "", "timestamp": "2030-01-01T00:00:00+00:00", "will_retry": false}'
_RESULT = '{"success": true, "timestamp": "2030-01-01T00:00:00+00:00", "api_response": {}, "provenance": "response"}'
_AT = "2030-01-01T00:00:00+00:00"

WRITTEN = (
    "status",
    "executed_at",
    "execution_result",
    "comment_generated",
    "failure_count",
    "last_error",
    "next_retry_at",
    "execution_id",
)
"""The columns of `pod_activities` that the executor updates. It updates no others."""

# A comment of the greatest length, and ids as long as the provider's may become.
_LENGTHS = {"comment_generated": MAX_LENGTH, "execution_id": 255}
# What each kind of write puts into these columns, in this order.
_WRITES: dict[str, tuple[str | None, ...]] = {
    "a release": ("scheduled", None, None, None, "0", None, None, None),
    "a retry": ("scheduled", None, None, None, "1", _ERROR, _AT, None),
    "an executed like": ("executed", _AT, _RESULT, None, "0", None, None, None),
    "an executed comment": ("executed", _AT, _RESULT, "." * _LENGTHS["comment_generated"], "0", None, None, "id"),
    "a long id": ("executed", _AT, _RESULT, None, "0", None, None, "." * _LENGTHS["execution_id"]),
    "a failure": ("failed", _AT, None, None, "1", _ERROR, None, None),
    "a failure after many requeues": ("failed", _AT, None, None, "100", _ERROR, None, None),
}
_EMPTIED = ("executed_at", "last_error", "next_retry_at", "execution_id")
_LABELS = ("scheduled", "executed", "failed")
_LENGTH_WORD = 4

_COLUMNS = """
SELECT a.attname, t.oid::regtype::text, a.attnotnull,
       a.attgenerated = '' AND pg_column_is_updatable(c.oid, a.attnum, true),
       CASE WHEN t.typname = 'varchar' AND a.atttypmod > 0 THEN a.atttypmod - %(length_word)s END,
       (SELECT array_agg(e.enumlabel::text) FROM pg_enum e WHERE e.enumtypid = t.oid)
  FROM pg_class c
  JOIN pg_attribute a ON a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped
  JOIN pg_type t ON t.oid = a.atttypid
 WHERE c.oid = to_regclass('pod_activities')
"""
_CHECKS = """
SELECT k.conname, pg_get_expr(k.conbin, k.conrelid), array_agg(a.attname::text)
  FROM pg_constraint k
  JOIN pg_attribute a ON a.attrelid = k.conrelid AND a.attnum = ANY (k.conkey)
 WHERE k.conrelid = to_regclass('pod_activities') AND k.contype = 'c'
 GROUP BY k.oid, 1, 2 ORDER BY 1
"""


# With such a relation, an update cannot say how many rows it changed.
_REWRITTEN = """
SELECT rulename::text FROM pg_rewrite
 WHERE ev_class = to_regclass('pod_activities')::oid AND ev_type = '2' AND ev_enabled IN ('O', 'A')
"""


class _Column(NamedTuple):
    name: str
    type_name: str
    not_null: bool
    updatable: bool
    length: int | None
    labels: list[str] | None


def broken_rules(connection: Connection) -> tuple[str, ...]:
    """What would refuse a write, one sentence each. Empty if nothing would, or if the table is missing.

    It cannot judge a constraint that also concerns columns of others, nor a trigger.
    """
    with connection.cursor() as cursor:
        cursor.execute(_COLUMNS, {"length_word": _LENGTH_WORD})
        columns = {row[0]: _Column(*row) for row in cursor.fetchall()}
        cursor.execute(_CHECKS)
        checks = [check for check in cursor.fetchall() if set(check[2]) <= set(WRITTEN)]
        refused = [_refused(cursor, check, columns) for check in checks]
        cursor.execute(_REWRITTEN)
        rewritten = [
            f"the rule {name} of pod_activities rewrites updates; use a trigger (of a view: INSTEAD OF UPDATE)"
            for (name,) in cursor.fetchall()
        ]
    return (*_of_columns(columns), *rewritten, *(problem for problems in refused for problem in problems))


def _of_columns(columns: dict[str, _Column]) -> Iterable[str]:
    for column in (columns[name] for name in WRITTEN if name in columns):
        place = f"pod_activities.{column.name}"
        if not column.updatable:
            yield f"{place} cannot be updated: it is generated, or a view's that needs an INSTEAD OF UPDATE trigger"
        if column.not_null and column.name in _EMPTIED:
            yield f"{place} is NOT NULL; it must allow NULL"
        if column.length is not None and column.length < _LENGTHS.get(column.name, 0):
            yield f"{place} is varchar({column.length}); it must hold {_LENGTHS[column.name]} characters"
    yield from _of_labels(columns)


def _of_labels(columns: dict[str, _Column]) -> Iterable[str]:
    status, kind = columns.get("status"), columns.get("engagement_type")
    if status is not None and status.labels is not None:
        for label in _LABELS:
            if label not in status.labels:
                yield (
                    f"the type of pod_activities.status has no value '{label}'"
                    f" (ALTER TYPE {status.type_name} ADD VALUE '{label}')"
                )
    if kind is not None and kind.labels is not None and not {"like", "comment"} & set(kind.labels):
        yield "the type of pod_activities.engagement_type has neither a value 'like' nor 'comment'"


def _refused(cursor: Any, check: tuple[str, str, list[str]], columns: dict[str, _Column]) -> list[str]:
    name, expression, concerned = check
    casts = ", ".join(["%s::text", *(f"%s::{columns[column].type_name}" for column in concerned)])
    aliases = ", ".join(["what_is_written", *(f'"{column}"' for column in concerned)])
    values = [
        (what, *(written[WRITTEN.index(column)] for column in concerned))
        for what, written in _WRITES.items()
        if not _is_unsayable(dict(zip(WRITTEN, written, strict=True)), columns)
    ]
    if not values:
        return []
    rows = ", ".join(f"({casts})" for _ in values)
    cursor.execute(
        f"SELECT what_is_written FROM (VALUES {rows}) AS pod_activities ({aliases})"  # noqa: S608 - names of the catalog
        f" WHERE NOT ({expression.replace('%', '%%')})",
        [value for row in values for value in row],
    )
    return [f"the CHECK {name} of pod_activities refuses {what}: {expression}" for (what,) in cursor.fetchall()]


def _is_unsayable(written: dict[str, str | None], columns: dict[str, _Column]) -> bool:
    """A label that the type lacks is reported elsewhere, and cannot be tried here."""
    labels = columns["status"].labels if "status" in columns else None
    return labels is not None and written["status"] not in labels
