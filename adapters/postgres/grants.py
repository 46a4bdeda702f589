"""What the database role of a worker must be allowed to do, and no more.

The one rule: the table says exactly what the statements need. A role that is granted this, and nothing else, can do all
of a worker's work; a test has such a role do it.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from types import MappingProxyType

from psycopg2.extensions import connection as Connection

__all__ = ["GRANTS", "WRITTEN_COLUMNS", "missing_grants", "tables_under_row_security"]

GRANTS: Mapping[str, tuple[str, ...]] = MappingProxyType(
    {
        "pods": ("SELECT",),
        "voice_cartridges": ("SELECT",),
        "linkedin_accounts": ("SELECT",),
        "pod_activities": ("SELECT",),
        "engagement_attempts": ("SELECT", "INSERT", "UPDATE"),
        "engagement_dead_letters": ("SELECT", "INSERT", "UPDATE"),
        "engagement_controls": ("SELECT", "INSERT", "UPDATE"),
        "engagement_workers": ("SELECT", "INSERT", "UPDATE", "DELETE"),
        "engagement_alerts": ("SELECT", "INSERT", "UPDATE"),
    }
)
"""Whole tables. Of `pod_activities` only the columns below are written."""

WRITTEN_COLUMNS = (
    "status",
    "executed_at",
    "execution_result",
    "comment_generated",
    "failure_count",
    "last_error",
    "next_retry_at",
    "execution_id",
)
"""The columns of `pod_activities` that the executor writes."""

_ON_TABLES = """
SELECT t.name, t.privilege FROM unnest(%(names)s::text[], %(privileges)s::text[]) AS t (name, privilege)
 WHERE NOT has_table_privilege(to_regclass(t.name), t.privilege)
"""
_ON_COLUMNS = """
SELECT c.name FROM unnest(%(columns)s::text[]) AS c (name)
 WHERE NOT has_column_privilege(to_regclass('pod_activities'), c.name, 'UPDATE')
"""
_ROW_SECURITY = """
SELECT t.name FROM unnest(%(names)s::text[]) AS t (name)
 WHERE to_regclass(t.name) IS NOT NULL AND row_security_active(to_regclass(t.name)) ORDER BY 1
"""


def missing_grants(connection: Connection) -> tuple[str, ...]:
    """What this role lacks, as the words of a GRANT: `UPDATE ON engagement_attempts`. The tables must exist."""
    pairs = [(table, privilege) for table, privileges in GRANTS.items() for privilege in privileges]
    with connection.cursor() as cursor:
        cursor.execute(_ON_TABLES, {"names": [pair[0] for pair in pairs], "privileges": [pair[1] for pair in pairs]})
        lacking = dict.fromkeys(pairs, False) | dict.fromkeys(cursor.fetchall(), True)
        cursor.execute(_ON_COLUMNS, {"columns": list(WRITTEN_COLUMNS)})
        columns = [str(row[0]) for row in cursor.fetchall()]
    return (*_on_tables(lacking), *([f"UPDATE ({', '.join(columns)}) ON pod_activities"] if columns else []))


def _on_tables(lacking: Mapping[tuple[str, str], bool]) -> Iterator[str]:
    for table, privileges in GRANTS.items():
        if missing := [privilege for privilege in privileges if lacking[table, privilege]]:
            yield f"{', '.join(missing)} ON {table}"


def tables_under_row_security(connection: Connection) -> tuple[str, ...]:
    """Tables whose rows this role sees only as far as a policy shows them."""
    with connection.cursor() as cursor:
        cursor.execute(_ROW_SECURITY, {"names": list(GRANTS)})
        return tuple(str(row[0]) for row in cursor.fetchall())
