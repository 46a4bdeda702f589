"""The activity store on PostgreSQL: lock, show, decide, apply, in two round trips."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from typing import Any, TypeVar

from psycopg2.extensions import connection as Connection
from psycopg2.extensions import cursor as Cursor

from adapters.postgres import statements as sql
from adapters.postgres.catalog import Catalog, checked, read_catalog
from adapters.postgres.pool import PostgresPool
from adapters.postgres.rows import as_deleted, as_snapshot
from adapters.postgres.storable import storable
from adapters.postgres.writes import as_sql
from engagement_core.admission import HELD_STATUSES
from engagement_core.ports.activities import Decision, Due, Orphan, Snapshot

__all__ = ["PostgresActivityStore"]

T = TypeVar("T")


class PostgresActivityStore:
    """Fills `engagement_core.ports.activities.ActivityStore`. Safe to use from several threads."""

    def __init__(self, pool: PostgresPool) -> None:
        """
        Raises:
            SchemaProblem: the database lacks something; the message says what.
            StoreUnavailable: it cannot be reached.
        """
        self._pool = pool
        with pool.connection() as connection:
            self._catalog: Catalog = checked(read_catalog(connection))
        self._sql = sql.render(self._catalog)

    def change(
        self, activity_id: str, decide: Callable[[Snapshot], Decision[T]], *, crediting: tuple[str, ...] = ()
    ) -> T:
        """See the port."""
        with self._pool.connection() as connection, connection.cursor() as cursor:
            snapshot = self._show(cursor, activity_id, crediting)
            decision = decide(snapshot)
            _apply(cursor, decision, snapshot)
            return decision.result

    def due(self, *, look_ahead: timedelta, limit: int) -> tuple[Due, ...]:
        """See the port."""
        rows = self._query(self._sql.due, look_ahead=look_ahead, limit=limit, held=sorted(HELD_STATUSES))
        return tuple(Due(activity_id=row[0], due_in=timedelta(seconds=float(row[1] or 0))) for row in rows)

    def orphans(self, *, silent_for: timedelta, margin: timedelta, limit: int) -> tuple[Orphan, ...]:
        """See the port."""
        rows = self._query(sql.ORPHANS, silent_for=silent_for, margin=margin, limit=limit)
        return tuple(Orphan(activity_id=row[0], number=row[1], reason=row[2]) for row in rows)

    def unknowns(self, *, limit: int) -> tuple[str, ...]:
        """See the port."""
        return tuple(row[0] for row in self._query(sql.UNKNOWNS, limit=limit))

    def _query(self, statement: str, **parameters: Any) -> list[tuple[Any, ...]]:
        with self._pool.connection() as connection:
            return _fetch(connection, statement, parameters)

    def _show(self, cursor: Cursor, activity_id: str, crediting: tuple[str, ...]) -> Snapshot:
        if not self._catalog.can_be_activity_id(activity_id):
            cursor.execute("BEGIN; SELECT clock_timestamp()")
            return Snapshot(now=_one(cursor)[0], activity=None)
        cursor.execute(self._sql.open_and_show, {"id": activity_id})
        rows = cursor.fetchall()
        if not rows:
            return _deleted(cursor, activity_id)
        snapshot = _with_cap(cursor, as_snapshot(rows))
        return _with_credited(cursor, snapshot, activity_id, crediting)


def _deleted(cursor: Cursor, activity_id: str) -> Snapshot:
    cursor.execute(sql.SHOW_DELETED, {"id": activity_id})
    rows = cursor.fetchall()
    if rows:
        return as_deleted(rows, activity_id)
    cursor.execute("SELECT clock_timestamp()")
    return Snapshot(now=_one(cursor)[0], activity=None)


def _with_cap(cursor: Cursor, snapshot: Snapshot) -> Snapshot:
    if snapshot.account is None or snapshot.account.daily_limit is None:
        return snapshot
    cursor.execute(sql.SENT_IN_LAST_DAY, {"account": snapshot.account.id})
    now, sent = _one(cursor)
    return replace(snapshot, now=now, sent_in_last_day=sent)


def _with_credited(cursor: Cursor, snapshot: Snapshot, activity_id: str, crediting: tuple[str, ...]) -> Snapshot:
    if not crediting:
        return snapshot
    # In one order everywhere: two read-backs of the same post would otherwise wait for each other.
    ids = sorted({storable(engagement_id) for engagement_id in crediting})
    for engagement_id in ids:
        cursor.execute(sql.CREDITING, {"engagement_id": engagement_id})
    cursor.execute(sql.CREDITED, {"ids": ids, "id": activity_id})
    return replace(snapshot, credited=frozenset(row[0] for row in cursor.fetchall()))


def _apply(cursor: Cursor, decision: Decision[Any], snapshot: Snapshot) -> None:
    if not decision.writes:
        cursor.execute("ROLLBACK")
        return
    rendered = [cursor.mogrify(*as_sql(write, snapshot)) for write in decision.writes]
    cursor.execute(b";\n".join([*rendered, b"COMMIT"]))


def _fetch(connection: Connection, statement: str, parameters: dict[str, Any]) -> list[tuple[Any, ...]]:
    with connection.cursor() as cursor:
        cursor.execute(statement, parameters)
        return cursor.fetchall()


def _one(cursor: Cursor) -> tuple[Any, ...]:
    row = cursor.fetchone()
    assert row is not None  # noqa: S101  # an aggregate or a function call always returns a row
    return row
