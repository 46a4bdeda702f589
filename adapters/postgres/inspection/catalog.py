"""Reads how the tables that are not ours look in this database: ids may be text or uuid, and columns may be missing.

The one rule: it only reads, and it says exactly which table or column does not work.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass

from psycopg2.extensions import connection as Connection

from adapters.postgres.connection.sanitize import sanitize
from adapters.postgres.inspection.attempt_columns import ATTEMPT_COLUMNS
from adapters.postgres.inspection.constraints import WRITTEN
from adapters.postgres.inspection.encoding import HOW_TO_ENCODE, unfit_encoding
from adapters.postgres.inspection.row_security import rows_hidden

__all__ = ["AS_CREATED", "HOW_TO_PERMIT", "Catalog", "SchemaProblem", "checked", "read_catalog"]

HOW_TO_PERMIT = ". `engagement migrate --sql --role NAME` prints what a role needs, for the tables' owner to execute."

HOW_TO_CHANGE = ". `engagement migrate` changes no type; docs/how-to/existing-schema.md says how to change it."

# The texts that PostgreSQL takes for a uuid. Python's own parser takes more.
_DIGITS = r"(?:[0-9a-fA-F]{4}-?){7}[0-9a-fA-F]{4}"
_UUID = re.compile(rf"\{{{_DIGITS}\}}|{_DIGITS}")

_REQUIRED = {
    "pod_activities": [
        *("id", "pod_id", "engagement_type", "post_id", "profile_id", "comment_text", "scheduled_for"),
        *WRITTEN,
    ],
    "pods": ["id", "voice_cartridge_id", "linkedin_account_id"],
    "voice_cartridges": ["id", "personality_style", "tone", "templates"],
    "linkedin_accounts": ["id", "profile_id", "unipile_account_id", "access_token", "status", "daily_limit"],
    # All columns of our own tables, so that `run` reports an older schema at its start.
    "engagement_attempts": [column.name for column in ATTEMPT_COLUMNS],
    "engagement_dead_letters": [
        *("id", "activity_id", "pod_id", "account_id", "error_type", "message", "effect", "next_step", "buried_at"),
        *("closed_at", "resolution"),
    ],
    "engagement_controls": [
        *("id", "kind", "scope", "scope_id", "until", "reason", "created_at", "lifted_at", "probe_at", "probes"),
        "lifted_by_probe",
    ],
    "engagement_workers": ["worker_id", "host", "pid", "concurrency", "started_at", "beat_at", "left_at"],
    "engagement_alerts": [
        *("id", "incident", "kind", "message", "activity_id", "raised_at", "taken_at", "delivered_at", "resolved_at"),
        *("next_step", "state", "times", "last_at", "tries", "next_try_at"),
    ],
}
# The type that each column of `pod_activities` must have, and other types that work too. If a column could not hold the
# provider's answer, an engagement would be sent and could not be recorded.
_TYPES = {
    "id": ("text", "uuid", "varchar"),
    "scheduled_for": ("timestamptz",),
    "executed_at": ("timestamptz",),
    "execution_result": ("jsonb", "json"),
    "comment_generated": ("text", "varchar"),
    "failure_count": ("int4", "int2", "int8"),
    "last_error": ("jsonb", "json", "text"),
    "next_retry_at": ("timestamptz",),
    "execution_id": ("text", "varchar"),
}

_COLUMNS = """
SELECT c.relname, a.attname, t.typname
  FROM pg_attribute a
  JOIN pg_class c ON c.oid = a.attrelid
  JOIN pg_type t ON t.oid = a.atttypid
 WHERE c.oid = to_regclass(c.relname::text) AND c.relname = ANY(%s) AND a.attnum > 0 AND NOT a.attisdropped
"""


class SchemaProblem(Exception):
    """The database lacks something that we need. The message says what is missing and what to do."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Catalog:
    """Column types by (table, column), for the tables that the store touches."""

    types: Mapping[tuple[str, str], str]
    hidden: tuple[str, ...] = ()
    """Row-level security that hides rows from the present role, one sentence each."""

    def problems(self) -> tuple[str, ...]:
        """What is missing or has a type that cannot work, one sentence each; empty when all is well."""
        return (*self.absent(), *self.misfits())

    def misfits(self) -> tuple[str, ...]:
        """Columns with a type that cannot work. `engagement migrate` only adds, so it cannot repair them."""
        types = {column: self.types.get(("pod_activities", column), good[0]) for column, good in _TYPES.items()}
        return tuple(
            f"pod_activities.{column} is {type_name}; it must be {_TYPES[column][0]}"
            for column, type_name in types.items()
            if type_name not in _TYPES[column]
        )

    def absent(self) -> tuple[str, ...]:
        """Tables and columns that are missing. `engagement migrate` adds those that are ours."""
        found = []
        for table, columns in _REQUIRED.items():
            absent = [column for column in columns if (table, column) not in self.types]
            if len(absent) == len(columns):
                found.append(f"table {table} is missing")
            elif absent:
                found.append(f"table {table} lacks the column{'s' if absent[1:] else ''} {', '.join(absent)}")
        return tuple(found)

    def same(self, left: tuple[str, str], left_alias: str, right: tuple[str, str], right_alias: str) -> str:
        """SQL for `left = right`.
        If the types agree it compares them directly, so that an index can serve; if not, as text."""
        one, other = f"{left_alias}.{left[1]}", f"{right_alias}.{right[1]}"
        if self.types[left] == self.types[right]:
            return f"{one} = {other}"
        return f"{one}::text = {other}::text"

    def can_be_activity_id(self, value: str) -> bool:
        """Whether a text can be an activity id here. With any other text the server would answer with an error."""
        if sanitize(value) != value:
            return False
        return self.types["pod_activities", "id"] != "uuid" or _UUID.fullmatch(value) is not None

    def as_activity_id(self, text: str) -> str:
        """SQL for a text as an activity id; null if it cannot be one, so that it is no error for the other rows."""
        if self.types["pod_activities", "id"] != "uuid":
            return text
        return f"CASE WHEN {text} ~ '^({_UUID.pattern})$' THEN {text}::uuid END"


AS_CREATED = Catalog(
    types={(table, column): "text" for table, columns in _REQUIRED.items() for column in columns}
    | {("pod_activities", "execution_result"): "jsonb", ("pod_activities", "last_error"): "jsonb"}
)
"""A catalog with the types of the ids, and of what we write, in tables that we created ourselves."""


def read_catalog(connection: Connection) -> Catalog:
    """Read the catalog as it is now.

    Raises:
        SchemaProblem: the database's encoding cannot hold our texts, so nothing that it returns is reliable.
    """
    unfit = unfit_encoding(connection)
    if unfit is not None:
        raise SchemaProblem(f"{unfit}. {HOW_TO_ENCODE}")
    with connection.cursor() as cursor:
        cursor.execute(_COLUMNS, (list(_REQUIRED),))
        types = {(table, column): type_name for table, column, type_name in cursor.fetchall()}
    return Catalog(types=types, hidden=rows_hidden(connection))


def checked(catalog: Catalog) -> Catalog:
    """The catalog, if the store can work with it.

    Raises:
        SchemaProblem: the store cannot work with it; the message says why.
    """
    if catalog.absent():
        raise SchemaProblem("; ".join(catalog.problems()) + ". Run `engagement migrate`.")
    if catalog.misfits():
        raise SchemaProblem("; ".join(catalog.misfits()) + HOW_TO_CHANGE)
    if catalog.hidden:
        raise SchemaProblem("; ".join(catalog.hidden) + HOW_TO_PERMIT)
    return catalog
