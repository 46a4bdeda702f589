"""What a role needs to execute engagements, and whether the present one has it.

The one rule: no more than what is used. Of the tables of E-02, E-03 and E-04 everything is read and eight columns of
`pod_activities` are written.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

from psycopg2.extensions import connection as Connection

from adapters.postgres.rules import WRITTEN

__all__ = ["grants_sql", "lacking", "open_to_browsers", "rows_hidden"]

_THEIRS = ("pod_activities", "pods", "voice_cartridges", "linkedin_accounts")
_OURS = (
    "engagement_attempts",
    "engagement_dead_letters",
    "engagement_controls",
    "engagement_workers",
    "engagement_alerts",
)
_FUNCTION = re.compile(r"^CREATE (?:OR REPLACE )?FUNCTION (\w+)", re.MULTILINE)

_NEEDS: dict[str, tuple[str, ...]] = {
    **dict.fromkeys(_THEIRS, ("SELECT",)),
    "pod_activities": ("SELECT", "UPDATE"),
    **dict.fromkeys(_OURS, ("SELECT", "INSERT", "UPDATE")),
    "engagement_workers": ("SELECT", "INSERT", "UPDATE", "DELETE"),
}

# A right to update may be a right to some columns alone.
_FORBIDDEN = """
SELECT current_user::text, n.relation, n.privilege
  FROM unnest(%(relations)s::text[], %(privileges)s::text[]) n (relation, privilege)
 WHERE NOT CASE WHEN n.relation = 'pod_activities' AND n.privilege = 'UPDATE'
                THEN (SELECT bool_and(has_column_privilege(to_regclass(n.relation), a.attnum, 'UPDATE'))
                        FROM pg_attribute a
                       WHERE a.attrelid = to_regclass(n.relation) AND a.attname = ANY (%(written)s))
                ELSE has_table_privilege(to_regclass(n.relation), n.privilege) END
"""
# Without a policy, row-level security hides every row from a read and an update alike, and no error tells.
_HIDDEN = """
SELECT current_user::text, n.relation, n.privilege
  FROM unnest(%(relations)s::text[], %(privileges)s::text[]) n (relation, privilege)
  JOIN pg_class c ON c.oid = to_regclass(n.relation)
 WHERE row_security_active(c.oid)
   AND NOT EXISTS (
       SELECT 1 FROM pg_policy p
        WHERE p.polrelid = c.oid AND p.polpermissive
          AND p.polcmd IN ('*', CASE n.privilege WHEN 'SELECT' THEN 'r' WHEN 'INSERT' THEN 'a'
                                                 WHEN 'UPDATE' THEN 'w' ELSE 'd' END::"char")
          AND EXISTS (SELECT 1 FROM unnest(p.polroles) r
                       WHERE CASE WHEN r = 0 THEN true ELSE pg_has_role(r, 'USAGE') END))
"""
# Supabase gives its role of anonymous requests every right to a new table, and counts on row-level security.
_OPEN_TO_BROWSERS = """
SELECT c.relname FROM pg_class c JOIN pg_roles r ON r.rolname = 'anon'
 WHERE c.oid = to_regclass(c.relname::text) AND c.relname = ANY (%(ours)s) AND NOT c.relrowsecurity
   AND has_table_privilege(r.oid, c.oid, 'SELECT')
 ORDER BY 1
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
GRANT SELECT ON {theirs} TO {role};
GRANT UPDATE ({written}) ON pod_activities TO {role};
GRANT SELECT, INSERT, UPDATE ON {ours} TO {role};
GRANT DELETE ON engagement_workers TO {role};
"""


def grants_sql(role: str, schema: str) -> str:
    """A script that gives the role what it needs; `schema` is the script that creates the tables.

    Raises:
        ValueError: no role can have such a name.
    """
    if not role or "\x00" in role or len(role.encode()) > 63:  # noqa: PLR2004 - PostgreSQL's limit for a name
        raise ValueError("a role's name has 1 to 63 bytes")
    identifier = '"' + role.replace('"', '""') + '"'
    script = _GRANTS.format(
        role=identifier,
        quoted=identifier.replace("'", "''").replace("%", "%%"),
        policy="'" + f"pod-engagement: {role}".replace("'", "''") + "'",
        names=", ".join(f"'{name}'" for name in (*_THEIRS, *_OURS)),
        theirs=", ".join(_THEIRS),
        ours=", ".join(_OURS),
        written=", ".join(WRITTEN),
    )
    functions = dict.fromkeys(_FUNCTION.findall(schema))
    return script + "".join(f"GRANT EXECUTE ON FUNCTION {name} TO {identifier};\n" for name in functions)


def lacking(connection: Connection) -> tuple[str, ...]:
    """What the present role may not do although the executor must, one sentence each."""
    wanted = [(relation, privilege) for relation, privileges in _NEEDS.items() for privilege in privileges]
    forbidden = _found(connection, _FORBIDDEN, wanted)
    said = [f"role {role} may not {privilege} on {relation}" for role, relation, privilege in forbidden]
    return (*said, *_hidden(connection, wanted))


def rows_hidden(connection: Connection) -> tuple[str, ...]:
    """Tables whose every row is invisible to the present role: "nothing due" would be a lie. One sentence each."""
    return _hidden(connection, [(relation, "SELECT") for relation in _NEEDS])


def open_to_browsers(connection: Connection) -> tuple[str, ...]:
    """Those of our tables that Supabase's API shows to everybody."""
    with connection.cursor() as cursor:
        cursor.execute(_OPEN_TO_BROWSERS, {"ours": list(_OURS)})
        return tuple(row[0] for row in cursor.fetchall())


def _hidden(connection: Connection, wanted: Sequence[tuple[str, str]]) -> tuple[str, ...]:
    return tuple(
        f"row-level security of {relation} hides every row from role {role}: it has no policy for {privilege}"
        for role, relation, privilege in _found(connection, _HIDDEN, wanted)
    )


def _found(connection: Connection, query: str, wanted: Sequence[tuple[str, str]]) -> list[tuple[str, str, str]]:
    relations, privileges = zip(*wanted, strict=True)
    parameters = {"relations": list(relations), "privileges": list(privileges), "written": list(WRITTEN)}
    with connection.cursor() as cursor:
        cursor.execute(query, parameters)
        return [(role, relation, privilege) for role, relation, privilege in cursor.fetchall()]
