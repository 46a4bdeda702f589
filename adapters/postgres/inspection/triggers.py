"""Lists what else runs when a row of `pod_activities` is written: triggers and rewrite rules. None of them are ours.

The one rule: it only names them. Reading cannot show what their code does; `dry_run` tries it.
"""

from __future__ import annotations

from dataclasses import dataclass

from psycopg2.extensions import connection as Connection

from adapters.postgres.inspection.constraints import WRITTEN

__all__ = ["Trigger", "read_triggers"]

# A partition's own triggers run for its rows. A clone of a trigger of the whole table is the same trigger. These do not
# run: an UPDATE OF columns that the executor does not write, a disabled trigger, one for replicas.
_TRIGGERS = """
WITH places AS (SELECT to_regclass('pod_activities')::oid AS relid
                 UNION SELECT relid FROM pg_partition_tree(to_regclass('pod_activities')))
SELECT 'trigger ' || t.tgname || ': '
       || CASE WHEN t.tgtype & 64 > 0 THEN 'INSTEAD OF ' WHEN t.tgtype & 2 > 0 THEN 'BEFORE ' ELSE 'AFTER ' END
       || concat_ws(' OR ', CASE WHEN t.tgtype & 4 > 0 THEN 'INSERT' END, CASE WHEN t.tgtype & 16 > 0 THEN 'UPDATE' END,
                    CASE WHEN t.tgtype & 8 > 0 THEN 'DELETE' END, CASE WHEN t.tgtype & 32 > 0 THEN 'TRUNCATE' END)
       || ', function ' || t.tgfoid::regproc::text
       || CASE t.tgenabled WHEN 'D' THEN ', disabled' WHEN 'R' THEN ', on replicas only' ELSE '' END,
       t.tgtype & 16 > 0 AND t.tgenabled IN ('O', 'A')
       AND (cardinality(t.tgattr::int2[]) = 0
            OR EXISTS (SELECT 1 FROM pg_attribute a WHERE a.attrelid = t.tgrelid AND a.attnum = ANY (t.tgattr::int2[])
                                                      AND a.attname = ANY (%(written)s)))
  FROM pg_trigger t JOIN places ON places.relid = t.tgrelid
 WHERE NOT t.tgisinternal AND t.tgparentid = 0
 UNION ALL
SELECT 'rule ' || r.rulename || ': ON '
       || CASE r.ev_type WHEN '2' THEN 'UPDATE' WHEN '3' THEN 'INSERT' WHEN '4' THEN 'DELETE' ELSE 'SELECT' END
       || CASE WHEN r.is_instead THEN ' DO INSTEAD' ELSE ' DO ALSO' END
       || CASE r.ev_enabled WHEN 'D' THEN ', disabled' WHEN 'R' THEN ', on replicas only' ELSE '' END,
       r.ev_type = '2' AND r.ev_enabled IN ('O', 'A')
  FROM pg_rewrite r WHERE r.ev_class = to_regclass('pod_activities')::oid AND r.rulename <> '_RETURN'
 ORDER BY 1
"""


@dataclass(frozen=True, kw_only=True, slots=True)
class Trigger:
    """A trigger or a rewrite rule. `description` is its name, when it runs and what it calls. `runs_on_writes` says
    whether a write of the executor starts it."""

    description: str
    runs_on_writes: bool


def read_triggers(connection: Connection) -> tuple[Trigger, ...]:
    """The triggers of `pod_activities` and of its partitions; empty when the table is missing."""
    with connection.cursor() as cursor:
        cursor.execute(_TRIGGERS, {"written": list(WRITTEN)})
        return tuple(Trigger(description=row[0], runs_on_writes=row[1]) for row in cursor.fetchall())
