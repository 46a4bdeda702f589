"""The activity store on PostgreSQL: lock, show, decide, apply, in two round trips, which several changes may share."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from datetime import timedelta
from functools import partial
from typing import Any, TypeVar, cast

from psycopg2.errors import (
    DeadlockDetected,
    InsufficientPrivilege,
    LockNotAvailable,
    SerializationFailure,
    UndefinedFunction,
)
from psycopg2.extensions import cursor as Cursor

from adapters.postgres.connection.pool import PostgresPool
from adapters.postgres.inspection.catalog import Catalog, SchemaProblem
from adapters.postgres.inspection.readiness import ready_catalog
from adapters.postgres.store import statements as sql
from adapters.postgres.store.group_commit import GroupCommit
from adapters.postgres.store.sweep import find_due, sweep_statements
from adapters.postgres.store.transaction import Answered, Decide, Transaction, nothing
from adapters.postgres.store.unsettled import EVENTS, ORPHANS, UNKNOWNS, not_locked
from engagement_core.model.decision import Decision
from engagement_core.model.due import Due
from engagement_core.model.orphan import Orphan
from engagement_core.model.snapshot import Snapshot
from engagement_core.ports.activities import StoreRefused, StoreUnavailable

__all__ = ["PostgresActivityStore"]

T = TypeVar("T")

_ROLLED_BACK = (DeadlockDetected, LockNotAvailable, SerializationFailure)
"""Outages that may concern a single row: a trigger that waits for somebody, say. Nothing was applied."""
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
        self._together: GroupCommit[_Change] = GroupCommit(self._make, most_at_work=pool.size)
        self._learn()

    def change(
        self, activity_id: str, decide: Callable[[Snapshot], Decision[T]], *, crediting: tuple[str, ...] | None = None
    ) -> T:
        """See the port."""
        if crediting is None:
            return self.submit(activity_id, decide)()
        return cast("T", self._alone(activity_id, decide, crediting))

    def submit(self, activity_id: str, decide: Callable[[Snapshot], Decision[T]]) -> Callable[[], T]:
        """See the port."""
        if not self._catalog.can_be_activity_id(activity_id):
            return cast("Callable[[], T]", partial(self._alone, activity_id, decide, None))
        change = _Change(activity_id, decide)
        join = self._together.submit(change)

        def wait() -> T:
            join()
            if change.error is not None:
                raise change.error
            return cast("T", change.result if change.has_result else self._alone(activity_id, decide, None))

        return wait

    def _alone(self, activity_id: str, decide: Decide, crediting: tuple[str, ...] | None) -> Any:
        def make(cursor: Cursor, answered: Answered) -> Any:
            if self._catalog.can_be_activity_id(activity_id):
                return self._transaction.alone(cursor, activity_id, decide, crediting, answered)
            return decide(nothing(cursor)).result

        return self._within_a_session(make)

    def _make(self, changes: list[_Change]) -> None:
        """Make the changes of one group. Those that cannot share a transaction have no result then."""
        if len(changes) == 1:
            changes[0].of(lambda: self._alone(changes[0].activity_id, changes[0].decide, None))
            return
        sharing = list({change.activity_id: change for change in changes}.values())
        wanted = [(change.activity_id, change.decide) for change in sharing]
        try:
            results = self._within_a_session(partial(self._transaction.shared, wanted))
        except StoreRefused:
            return  # nothing was applied: each is made alone, so that one row's refusal is its own
        except StoreUnavailable as error:
            if not isinstance(error.__cause__, _ROLLED_BACK):
                _fail(sharing, str(error))
            return
        except Exception:  # noqa: BLE001 - a decision has a defect: nothing was applied, and alone it harms nobody
            return
        except BaseException:
            # This thread is to end, perhaps after the commit was sent. The others must not decide anew: they would take
            # what was committed for them for somebody else's.
            _fail(sharing, "the thread that made this change was interrupted")
            raise
        for place, result in results.items():
            sharing[place].has_result, sharing[place].result = True, result

    def _within_a_session(self, make: Callable[[Cursor, Answered], T]) -> T:
        try:
            with (
                self._pool.connection(answers_within=_ANSWERS_WITHIN) as connection,
                connection.cursor() as cursor,
            ):
                return make(cursor, partial(self._pool.has_answered, connection))
        except StoreUnavailable as error:
            if isinstance(error.__cause__, (UndefinedFunction, InsufficientPrivilege)):
                # The function was dropped, this role lost its right to it, or a column changed its type. Read the
                # schema again, so that the next try works.
                with suppress(SchemaProblem, StoreUnavailable):
                    self._learn()
            raise

    def due(self, *, look_ahead: timedelta, limit: int) -> tuple[Due, ...]:
        """See the port."""
        return find_due(self._pool, self._sweep, look_ahead=look_ahead, limit=limit)

    def orphans(self, *, silent_for: timedelta, margin: timedelta, limit: int) -> tuple[Orphan, ...]:
        """See the port."""
        rows = self._not_locked(ORPHANS, limit, silent_for=silent_for, margin=margin)
        return tuple(_orphan(*row) for row in rows)

    def unknowns(self, *, limit: int) -> tuple[str, ...]:
        """See the port."""
        return tuple(row[0] for row in self._not_locked(UNKNOWNS, limit))

    def _not_locked(self, found: str, limit: int, **parameters: Any) -> list[tuple[Any, ...]]:
        statement, window = not_locked(found, self._catalog), limit * _LOOKS_PAST_LOCKED
        return self._pool.query(statement, limit=limit, window=window, events=list(EVENTS), **parameters)

    def _learn(self) -> None:
        """Read how the database looks now."""
        with self._pool.connection() as connection:
            self._catalog: Catalog = ready_catalog(connection)
            self._sql = sql.render(self._catalog)
            self._sweep = sweep_statements(connection, self._catalog)
            self._transaction = Transaction(
                sql=self._sql,
                spacing=self._spacing,
                usable=frozenset(each.name for each in self._sql.functions if each.is_usable(connection)),
            )


@dataclass(slots=True)
class _Change:
    """One change on its way to a transaction, and what became of it."""

    activity_id: str
    decide: Decide
    has_result: bool = False
    result: Any = None
    error: Exception | None = None

    def of(self, make: Callable[[], Any]) -> None:
        """Keep what `make` returns or raises."""
        try:
            self.result, self.has_result = make(), True
        except Exception as error:  # noqa: BLE001 - it is raised again, to whoever asked for the change
            self.error = error


def _fail(changes: list[_Change], why: str) -> None:
    for change in changes:
        change.error = StoreUnavailable(why)


def _orphan(activity_id: str, number: int, worker_id: str, is_silent: bool) -> Orphan:
    reason = f"its worker {worker_id} is silent" if is_silent else f"worker {worker_id} did not finish it in time"
    return Orphan(activity_id=activity_id, number=number, reason=reason, crashed=is_silent)
