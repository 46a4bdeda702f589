"""Finds rows that row-level security hides from the worker's role, and our tables that everybody can read.

The one rule: this check comes first. A hidden row looks like a missing row, and the server reports no error.
"""

from __future__ import annotations

from psycopg2.extensions import connection as Connection

from adapters.postgres.inspection.grants import GRANTS, OURS

__all__ = ["open_to_browsers", "rows_hidden", "tables_under_row_security", "writes_hidden"]

# Without a policy, row-level security hides every row from reads and from updates. The server reports no error.
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
# Supabase gives its role for anonymous requests every right on a new table. It relies on row-level security instead.
_OPEN_TO_BROWSERS = """
SELECT c.relname FROM pg_class c JOIN pg_roles r ON r.rolname = 'anon'
 WHERE c.oid = to_regclass(c.relname::text) AND c.relname = ANY (%(ours)s) AND NOT c.relrowsecurity
   AND has_table_privilege(r.oid, c.oid, 'SELECT')
 ORDER BY 1
"""

_ACTIVE = """
SELECT t.name FROM unnest(%(names)s::text[]) AS t (name)
 WHERE to_regclass(t.name) IS NOT NULL AND row_security_active(to_regclass(t.name)) ORDER BY 1
"""


def rows_hidden(connection: Connection) -> tuple[str, ...]:
    """Tables that hide every row from the present role: "nothing due" would be wrong. One sentence each."""
    return _hidden(connection, [(relation, "SELECT") for relation in GRANTS])


def writes_hidden(connection: Connection) -> tuple[str, ...]:
    """The same, for everything that the executor does with a row."""
    wanted = [(relation, privilege) for relation, privileges in GRANTS.items() for privilege in privileges]
    return _hidden(connection, [*wanted, ("pod_activities", "UPDATE")])


def tables_under_row_security(connection: Connection) -> tuple[str, ...]:
    """Tables of which this role sees only the rows that a policy shows."""
    with connection.cursor() as cursor:
        cursor.execute(_ACTIVE, {"names": list(GRANTS)})
        return tuple(str(row[0]) for row in cursor.fetchall())


def open_to_browsers(connection: Connection) -> tuple[str, ...]:
    """The tables of ours that Supabase's API shows to everybody."""
    with connection.cursor() as cursor:
        cursor.execute(_OPEN_TO_BROWSERS, {"ours": list(OURS)})
        return tuple(row[0] for row in cursor.fetchall())


def _hidden(connection: Connection, wanted: list[tuple[str, str]]) -> tuple[str, ...]:
    relations, privileges = zip(*wanted, strict=True)
    with connection.cursor() as cursor:
        cursor.execute(_HIDDEN, {"relations": list(relations), "privileges": list(privileges)})
        return tuple(
            f"row-level security of {relation} hides every row from role {role}: it has no policy for {privilege}"
            for role, relation, privilege in cursor.fetchall()
        )
