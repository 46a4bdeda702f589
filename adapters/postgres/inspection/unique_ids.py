"""Checks that an id names one row. If two rows share an id, nobody can say which one was executed, and by whom.

The one rule: it only reads, and each query over rows ends within seconds. The caller opens the transaction.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, NamedTuple

from psycopg2 import sql
from psycopg2.errors import QueryCanceled
from psycopg2.extensions import connection as Connection
from psycopg2.extensions import cursor as Cursor

__all__ = ["IdFacts", "read_ids"]

_ACTIVITIES = "pod_activities"
_TABLES = (_ACTIVITIES, "pods", "voice_cartridges", "linkedin_accounts")
_MOST_NAMED = 3

# A table's unique index does not cover tables that inherit from it. A partitioned table's index covers its partitions.
_IDS = """
SELECT c.relname::text, c.relkind::text, a.attnotnull,
       EXISTS (SELECT 1 FROM pg_index i
                WHERE i.indrelid = c.oid AND i.indisunique AND i.indisvalid AND i.indpred IS NULL
                  AND i.indnkeyatts = 1 AND i.indkey[0] = a.attnum),
       c.relkind = 'r' AND EXISTS (SELECT 1 FROM pg_inherits h WHERE h.inhparent = c.oid)
  FROM pg_class c
  JOIN pg_attribute a ON a.attrelid = c.oid AND a.attname = 'id' AND NOT a.attisdropped
 WHERE c.oid = to_regclass(c.relname::text) AND c.relname = ANY (%(tables)s)
   AND has_column_privilege(c.oid, a.attnum, 'SELECT')
 ORDER BY array_position(%(tables)s::text[], c.relname::text)
"""
_WITHOUT_ID = "SELECT count(*) FROM (SELECT 1 FROM {table} WHERE id IS NULL LIMIT 1000) few"
_DUPLICATES = """
SELECT id::text, count(*), count(*) OVER () FROM {table} WHERE id IS NOT NULL
 GROUP BY id HAVING count(*) > 1 ORDER BY 2 DESC, 1 LIMIT %(limit)s
"""
_CAN_READ_PROFILES = """
SELECT COALESCE((SELECT has_column_privilege(a.attrelid, a.attnum, 'SELECT') FROM pg_attribute a
                  WHERE a.attrelid = to_regclass('linkedin_accounts') AND a.attname = 'profile_id'), false)
"""
# In the order in which the executor chooses one.
_SHARED_PROFILES = """
SELECT profile_id::text, array_agg(id::text ORDER BY id), count(*) OVER () FROM linkedin_accounts
 WHERE NULLIF(profile_id::text, '') IS NOT NULL GROUP BY profile_id HAVING count(*) > 1 ORDER BY 1 LIMIT %(limit)s
"""
_WITHIN = "5s"


@dataclass(frozen=True, kw_only=True, slots=True)
class IdFacts:
    """One sentence each, without its full stop; all empty when every id names one row.

    `activities`: problems with which no engagement may be executed.
    `duplicates`: problems that make it uncertain who acts.
    `cautions`: what may become one of these.
    """

    activities: tuple[str, ...] = ()
    duplicates: tuple[str, ...] = ()
    cautions: tuple[str, ...] = ()


class _Id(NamedTuple):
    table: str
    kind: str
    not_null: bool
    is_unique: bool
    has_children: bool

    @property
    def is_table(self) -> bool:
        return self.kind in ("r", "p")

    @property
    def names_one_row(self) -> bool:
        return self.is_unique and not self.has_children


def read_ids(connection: Connection) -> IdFacts:
    """What can be said about the ids of the tables that are not ours.
    It skips tables that are missing or that this role may not read."""
    with connection.cursor() as cursor:
        cursor.execute(_IDS, {"tables": list(_TABLES)})
        ids = [_Id(*row) for row in cursor.fetchall()]
        activities = [each for each in ids if each.table == _ACTIVITIES]
        others = [each for each in ids if each.table != _ACTIVITIES]
        return IdFacts(
            activities=tuple(problem for each in activities for problem in _of_activities(cursor, each)),
            duplicates=tuple(problem for each in others for problem in _duplicates(cursor, each)),
            cautions=(*(caution for each in ids for caution in _cautions(each)), *_shared_profiles(cursor)),
        )


def _of_activities(cursor: Cursor, found: _Id) -> Iterator[str]:
    if found.is_table and not found.names_one_row:
        yield f"{found.table}.id is not unique by itself: {_how_to_be_unique(found)}"
    yield from _duplicates(cursor, found)
    if not found.not_null:
        rows = _bounded(cursor, _WITHOUT_ID, found.table)
        if rows is not None and rows[0][0]:
            count = rows[0][0]
            rows_have = "row has" if count == 1 else "rows have"
            yield f"{count} {rows_have} no id in {found.table}: give each of them one, or delete it"


def _how_to_be_unique(found: _Id) -> str:
    add = f"ALTER TABLE {found.table} ADD PRIMARY KEY (id)"
    if found.has_children:
        return "tables inherit from it, and no index of it covers their rows; keep all rows in one table"
    if found.kind == "p":
        return f"it needs {add}, which PostgreSQL accepts only if the table is partitioned by id alone"
    return f"it has no valid unique index on that column alone ({add})"


def _duplicates(cursor: Cursor, found: _Id) -> Iterator[str]:
    """Duplicate ids. It reads the whole table, so it runs only if no index prevents duplicates."""
    if found.names_one_row or not found.is_table:
        return
    rows = _bounded(cursor, _DUPLICATES, found.table)
    if rows:
        total = rows[0][2]
        named = ", ".join(f"{activity_id} ({count} rows)" for activity_id, count, _ in rows[:_MOST_NAMED])
        more = " and others" if total > _MOST_NAMED else ""
        yield f"in {found.table}, {total} {'id occurs' if total == 1 else 'ids occur'} in several rows: {named}{more}"


def _cautions(found: _Id) -> Iterator[str]:
    place = f"{found.table}.id"
    if not found.is_table:
        yield f"{found.table} is not a table: make sure that its id is unique; this check cannot see it"
    elif found.table != _ACTIVITIES and not found.names_one_row:
        yield f"{place} is not unique by itself, so it may be uncertain who acts: {_how_to_be_unique(found)}"
    elif found.table == _ACTIVITIES and not found.not_null:
        yield f"{place} allows NULL, and a row without an id is never executed: ALTER COLUMN id SET NOT NULL"


def _shared_profiles(cursor: Cursor) -> Iterator[str]:
    cursor.execute(_CAN_READ_PROFILES)
    row = cursor.fetchone()
    shared = _bounded(cursor, _SHARED_PROFILES, "linkedin_accounts") if row and row[0] else None
    for profile_id, account_ids, total in (shared or ())[:_MOST_NAMED]:
        others = f" (one of {total} such profiles)" if total > _MOST_NAMED else ""
        yield (
            f"several rows of linkedin_accounts have the profile {profile_id}{others}: the account {account_ids[0]}"
            f" acts, {', '.join(account_ids[1 : 1 + _MOST_NAMED])} never; keep this profile in one row only"
        )


def _bounded(cursor: Cursor, query: str, table: str) -> list[tuple[Any, ...]] | None:
    """The rows; None when the query takes too long."""
    cursor.execute("SAVEPOINT ids")
    try:
        cursor.execute("SELECT set_config('statement_timeout', %s, true)", (_WITHIN,))
        cursor.execute(sql.SQL(query).format(table=sql.Identifier(table)), {"limit": _MOST_NAMED + 1})
        return cursor.fetchall()
    except QueryCanceled:
        return None
    finally:
        # This also restores the time limit that held before.
        cursor.execute("ROLLBACK TO SAVEPOINT ids; RELEASE SAVEPOINT ids")
