"""Lists what a worker's database role must be allowed to do, and no more.

The one rule: the list says exactly what the statements need. A role with these grants and nothing else can do all of a
worker's work; a test does the work with such a role. The executor reads all tables of E-02, E-03 and E-04, and writes
eight columns of `pod_activities`.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from types import MappingProxyType

from psycopg2.extensions import connection as Connection

from adapters.postgres.inspection.constraints import WRITTEN

__all__ = ["GRANTS", "OURS", "grants_sql", "missing_grants"]

_THEIRS = ("pod_activities", "pods", "voice_cartridges", "linkedin_accounts")
OURS = (
    "engagement_attempts",
    "engagement_dead_letters",
    "engagement_controls",
    "engagement_workers",
    "engagement_alerts",
)
"""The tables that the executor makes."""

_FORGETS = ("SELECT", "INSERT", "UPDATE", "DELETE")
GRANTS: Mapping[str, tuple[str, ...]] = MappingProxyType(
    {
        **dict.fromkeys(_THEIRS, ("SELECT",)),
        "engagement_attempts": ("SELECT", "INSERT", "UPDATE"),
        "engagement_dead_letters": ("SELECT", "INSERT", "UPDATE"),
        "engagement_controls": _FORGETS,
        "engagement_workers": _FORGETS,
        "engagement_alerts": _FORGETS,
    }
)
"""Grants on whole tables. In addition the executor updates the columns `WRITTEN` of `pod_activities`."""

_FUNCTION = re.compile(r"^CREATE (?:OR REPLACE )?FUNCTION (\w+)", re.MULTILINE)
_ON_TABLES = """
SELECT t.name, t.privilege FROM unnest(%(names)s::text[], %(privileges)s::text[]) AS t (name, privilege)
 WHERE NOT has_table_privilege(to_regclass(t.name), t.privilege)
"""
# A right to update may cover some columns only.
_ON_COLUMNS = """
SELECT c.name FROM unnest(%(columns)s::text[]) AS c (name)
 WHERE NOT has_column_privilege(to_regclass('pod_activities'), c.name, 'UPDATE')
"""
_GRANTS = """\
-- What a role needs to execute engagements, and nothing more. (To create activities with `engagement schedule`, it also
-- needs INSERT on pod_activities.)
DO $engagement$
DECLARE
    relation name;
BEGIN
    EXECUTE format('GRANT USAGE ON SCHEMA %I TO {quoted}', current_schema());
    -- Where row-level security is on, a row is there for those alone whom a policy shows it.
    FOR relation IN
        SELECT c.relname FROM pg_class c
         WHERE c.oid = to_regclass(c.relname::text) AND c.relrowsecurity
           AND c.relname IN ({names})
    LOOP
        EXECUTE format('DROP POLICY IF EXISTS %I ON %I', {policy}, relation);
        EXECUTE format('CREATE POLICY %I ON %I TO {quoted} USING (true) WITH CHECK (true)', {policy}, relation);
    END LOOP;
END $engagement$;
"""


def grants_sql(role: str, schema: str) -> str:
    """A script that gives the role what it needs. `schema` is the script that creates the tables.

    Raises:
        ValueError: the text cannot be the name of a role.
    """
    if not role or "\x00" in role or len(role.encode()) > 63:  # noqa: PLR2004 - PostgreSQL's limit for a name
        raise ValueError("a role's name has 1 to 63 bytes")
    identifier = '"' + role.replace('"', '""') + '"'
    script = _GRANTS.format(
        quoted=identifier.replace("'", "''").replace("%", "%%"),
        policy="'" + f"pod-engagement: {role}".replace("'", "''") + "'",
        names=", ".join(f"'{name}'" for name in GRANTS),
    )
    rights = [f"{', '.join(privileges)} ON {table}" for table, privileges in GRANTS.items()]
    rights.append(f"UPDATE ({', '.join(WRITTEN)}) ON pod_activities")
    rights += [f"EXECUTE ON FUNCTION {name}" for name in dict.fromkeys(_FUNCTION.findall(schema))]
    return script + "".join(f"GRANT {right} TO {identifier};\n" for right in rights)


def missing_grants(connection: Connection) -> tuple[str, ...]:
    """What the present role lacks, in the words of a GRANT: `UPDATE ON engagement_attempts`. The tables must exist."""
    pairs = [(table, privilege) for table, privileges in GRANTS.items() for privilege in privileges]
    with connection.cursor() as cursor:
        cursor.execute(_ON_TABLES, {"names": [pair[0] for pair in pairs], "privileges": [pair[1] for pair in pairs]})
        lacking = frozenset(cursor.fetchall())
        cursor.execute(_ON_COLUMNS, {"columns": list(WRITTEN)})
        columns = [str(row[0]) for row in cursor.fetchall()]
    return (*_on_tables(lacking), *([f"UPDATE ({', '.join(columns)}) ON pod_activities"] if columns else []))


def _on_tables(lacking: frozenset[tuple[str, str]]) -> Iterator[str]:
    for table, privileges in GRANTS.items():
        if missing := [privilege for privilege in privileges if (table, privilege) in lacking]:
            yield f"{', '.join(missing)} ON {table}"
