"""The activity store on PostgreSQL: lock, show, decide, apply, in two round trips."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any, TypeVar

from psycopg2.errors import InsufficientPrivilege, QueryCanceled, UndefinedFunction
from psycopg2.extensions import cursor as Cursor

from adapters.postgres.connection.failure import first_line
from adapters.postgres.connection.pool import PostgresPool
from adapters.postgres.connection.sanitize import sanitize
from adapters.postgres.inspection.catalog import Catalog, SchemaProblem
from adapters.postgres.inspection.readiness import ready_catalog
from adapters.postgres.store import statements as sql
from adapters.postgres.store.rows import as_attempt, as_controls, as_deleted, as_snapshot, released_at
from adapters.postgres.store.unsettled import EVENTS
from adapters.postgres.store.writes import as_sql
from engagement_core.decisions.admission import HELD_STATUSES
from engagement_core.model.controls import SLOW_START_PER_SWEEP, BlockScope, ControlKind, SlowStart
from engagement_core.model.decision import Block, Decision
from engagement_core.model.due import Due
from engagement_core.model.orphan import Orphan
from engagement_core.model.snapshot import NEIGHBOURS_FOR, Snapshot
from engagement_core.ports.activities import StoreRefused, StoreUnavailable

__all__ = ["PostgresActivityStore"]

T = TypeVar("T")

_LOOKS_PAST_A_CROWD = 4
_LOOKS_PAST_LOCKED = 10
"""How many times as many locked rows as are wanted may lie before those that are not."""
_ANSWERS_WITHIN = timedelta(seconds=15)
"""A statement may wait for a lock and run for a while, within its own limits.
After this time the server must have answered."""


class PostgresActivityStore:
    """Fills `engagement_core.ports.activities.ActivityStore`. Safe to use from several threads."""

    def __init__(self, pool: PostgresPool, *, spacing: timedelta = timedelta(seconds=1)) -> None:
        """
        Args:
            pool: where its connections come from.
            spacing: the time between two sends of an account that returns after a cool-down or a hold; see
                `SlowStart`.

        Raises:
            SchemaProblem: the database lacks something; the message says what.
            StoreUnavailable: the database cannot be reached.
        """
        self._pool = pool
        self._spacing = spacing
        self._learn()

    def change(
        self, activity_id: str, decide: Callable[[Snapshot], Decision[T]], *, crediting: tuple[str, ...] | None = None
    ) -> T:
        """See the port."""
        try:
            with (
                self._pool.connection(answers_within=_ANSWERS_WITHIN) as connection,
                connection.cursor() as cursor,
            ):
                snapshot = self._show(cursor, activity_id, crediting)
                self._pool.has_answered(connection)
                decision = decide(snapshot)
                account_id = _held_by(decision)
                if account_id is not None:
                    # Several refusals of one account may come at the same time. One of them is the first; the others
                    # see its hold.
                    snapshot, *_ = _alone(cursor, snapshot, account_id)
                    decision = decide(snapshot)
                _apply(cursor, decision, snapshot)
                return decision.result
        except StoreUnavailable as error:
            if isinstance(error.__cause__, (UndefinedFunction, InsufficientPrivilege)):
                # The function was dropped, this role lost its right to it, or a column changed its type. Read the
                # schema again, so that the next try works.
                with suppress(SchemaProblem, StoreUnavailable):
                    self._learn()
            raise

    def due(self, *, look_ahead: timedelta, limit: int) -> tuple[Due, ...]:
        """See the port."""
        found: dict[str, Due] = {}
        crowding: set[str] = set()  # accounts in slow start, whose due work hides that of others
        for _ in range(_LOOKS_PAST_A_CROWD):
            parameters = {"held": sorted(HELD_STATUSES), "crowding": sorted(crowding)}
            rows = self._pool.query(self._sql.due, look_ahead=look_ahead, limit=limit, **parameters)
            turns: Counter[str] = Counter()
            for activity_id, due_in, account_id in rows:
                turns[account_id] += account_id is not None
                if turns[account_id] <= SLOW_START_PER_SWEEP:
                    found[activity_id] = Due(activity_id=activity_id, due_in=timedelta(seconds=float(due_in or 0)))
            crowd = {account_id for account_id, count in turns.items() if count > SLOW_START_PER_SWEEP}
            if not crowd or len(rows) < limit:
                break
            crowding |= crowd
        return tuple(sorted(found.values(), key=lambda due: due.due_in)[:limit])

    def orphans(self, *, silent_for: timedelta, margin: timedelta, limit: int) -> tuple[Orphan, ...]:
        """See the port."""
        rows = self._not_locked(self._sql.orphans, limit, silent_for=silent_for, margin=margin)
        return tuple(_orphan(*row) for row in rows)

    def unknowns(self, *, limit: int) -> tuple[str, ...]:
        """See the port."""
        return tuple(row[0] for row in self._not_locked(self._sql.unknowns, limit))

    def _not_locked(self, statement: str, limit: int, **parameters: Any) -> list[tuple[Any, ...]]:
        window = limit * _LOOKS_PAST_LOCKED
        return self._pool.query(statement, limit=limit, window=window, events=list(EVENTS), **parameters)

    def _learn(self) -> None:
        """Read how the database looks now."""
        with self._pool.connection() as connection:
            self._catalog: Catalog = ready_catalog(connection)
            self._sql = sql.render(self._catalog)
            is_kept = self._sql.snapshot_function.is_usable(connection)
        self._open = self._sql.open_and_call if is_kept else self._sql.open_and_show

    def _show(self, cursor: Cursor, activity_id: str, crediting: tuple[str, ...] | None) -> Snapshot:
        if not self._catalog.can_be_activity_id(activity_id):
            cursor.execute("BEGIN; SELECT clock_timestamp()")
            return Snapshot(now=_one(cursor)[0], activity=None)
        cursor.execute(self._open, {"id": activity_id})
        rows = cursor.fetchall()
        if not rows:
            return _deleted(cursor, activity_id)
        snapshot = _with_sends(cursor, as_snapshot(rows), released_at(rows), self._spacing)
        return _with_credited(cursor, snapshot, activity_id, crediting)


def _orphan(activity_id: str, number: int, worker_id: str, is_silent: bool) -> Orphan:
    reason = f"its worker {worker_id} is silent" if is_silent else f"worker {worker_id} did not finish it in time"
    return Orphan(activity_id=activity_id, number=number, reason=reason, crashed=is_silent)


def _deleted(cursor: Cursor, activity_id: str) -> Snapshot:
    cursor.execute(sql.SHOW_DELETED, {"id": activity_id})
    rows = cursor.fetchall()
    if rows:
        return as_deleted(rows, activity_id)
    cursor.execute("SELECT clock_timestamp()")
    return Snapshot(now=_one(cursor)[0], activity=None)


def _with_sends(cursor: Cursor, snapshot: Snapshot, released: datetime | None, spacing: timedelta) -> Snapshot:
    account = snapshot.account
    is_slow_start = released is not None and not snapshot.controls  # a blocked account has no slow start
    if account is None or snapshot.is_being_sent or not (is_slow_start or account.daily_limit is not None):
        return snapshot
    snapshot, sent, began_at, claimed_at = _alone(cursor, snapshot, account.id)
    snapshot = replace(snapshot, sent_in_last_day=0 if account.daily_limit is None else sent)
    if released is None:
        return snapshot
    slow_start = SlowStart(released_at=released, last_began_at=began_at, last_claimed_at=claimed_at, spacing=spacing)
    return replace(snapshot, slow_start=slow_start)


def _held_by(decision: Decision[Any]) -> str | None:
    """The account that the decision puts on hold."""
    blocks = (write.control for write in decision.writes if isinstance(write, Block))
    return next((control.scope_id for control in blocks if control.kind is ControlKind.HOLD), None)


def _alone(
    cursor: Cursor, snapshot: Snapshot, account_id: str
) -> tuple[Snapshot, int, datetime | None, datetime | None]:
    """The account's blocks, its sends of the last day, the latest send, and the latest claim that has not begun. While
    this transaction is open, nobody else may decide for the account."""
    cursor.execute(sql.SENT_IN_LAST_DAY, {"account": account_id})
    now, sent, began_at, claimed_at, controls = _one(cursor)
    others = tuple(control for control in snapshot.controls if control.scope is not BlockScope.ACCOUNT)
    return replace(snapshot, now=now, controls=others + as_controls(controls)), sent, began_at, claimed_at


def _with_credited(cursor: Cursor, snapshot: Snapshot, activity_id: str, crediting: tuple[str, ...] | None) -> Snapshot:
    if crediting is None:
        return snapshot
    # Always in the same order: otherwise two read-backs of the same post would wait for each other.
    ids = sorted({sanitize(engagement_id) for engagement_id in crediting})
    for engagement_id in ids:
        cursor.execute(sql.CREDITING, {"engagement_id": engagement_id})
    where = {"id": activity_id, "post_id": sanitize(snapshot.post_id), "account_id": snapshot.account_id}
    cursor.execute(sql.NEIGHBOURS, {"since": snapshot.first_began_at - NEIGHBOURS_FOR, **where})
    neighbours = tuple(as_attempt(*row) for row in cursor.fetchall())
    cursor.execute(sql.CREDITED, {"ids": ids, **where})
    return replace(snapshot, credited=frozenset(row[0] for row in cursor.fetchall()), neighbours=neighbours)


def _apply(cursor: Cursor, decision: Decision[Any], snapshot: Snapshot) -> None:
    if not decision.writes:
        cursor.execute("ROLLBACK")
        return
    rendered = [cursor.mogrify(*as_sql(write, snapshot)) for write in decision.writes]
    try:
        cursor.execute(b";\n".join([*rendered, b"COMMIT"]))
    except QueryCanceled as error:
        # We hold the row's lock already, so the write itself takes too long: usually a trigger that hangs.
        line = f"a write did not end within {sql.WITHIN_SECONDS} s ({first_line(error)})"
        raise StoreRefused(f"PostgreSQL: {line}", code="write did not end") from error


def _one(cursor: Cursor) -> tuple[Any, ...]:
    row = cursor.fetchone()
    assert row is not None  # noqa: S101  # an aggregate or a function call always returns a row
    return row
