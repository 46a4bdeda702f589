"""One transaction of the store: lock, show, decide, apply; for one change, or for several that share its commit.

The one rule: a shared transaction waits for nobody, and applies only decisions that concern their own activity. It
leaves out rows and accounts that somebody else has locked. Whatever it leaves out is made alone.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from itertools import groupby
from operator import itemgetter
from typing import Any

from psycopg2.errors import QueryCanceled
from psycopg2.extensions import cursor as Cursor

from adapters.postgres.connection.failure import first_line
from adapters.postgres.connection.sanitize import sanitize
from adapters.postgres.store import statements as sql
from adapters.postgres.store.rows import as_attempt, as_controls, as_deleted, as_snapshot, released_at
from adapters.postgres.store.save import Plain, plain
from adapters.postgres.store.server_function import LockedRead
from adapters.postgres.store.writes import as_sql
from engagement_core.model.activity import Malformed
from engagement_core.model.controls import BlockScope, ControlKind, SlowStart
from engagement_core.model.decision import Block, Decision, Write
from engagement_core.model.lifecycle import Event
from engagement_core.model.snapshot import NEIGHBOURS_FOR, Snapshot
from engagement_core.ports.activities import StoreRefused

__all__ = ["Answered", "Decide", "Transaction", "nothing"]

Decide = Callable[[Snapshot], Decision[Any]]
Answered = Callable[[], None]

_ACTIVITY_ID = 0


@dataclass(frozen=True, kw_only=True)
class Transaction:
    """How this database is read and written.

    `spacing` is the time between two sends of an account in slow start. `usable` are the names of the functions that
    the server has.
    """

    sql: sql.Statements
    spacing: timedelta
    usable: frozenset[str]

    def alone(
        self, cursor: Cursor, activity_id: str, decide: Decide, crediting: tuple[str, ...] | None, answered: Answered
    ) -> Any:
        """Change one activity; wait for whoever has locked it. Returns the decision's result.

        `answered` is called when the server has answered.
        """
        snapshot = self._show_one(cursor, activity_id, crediting)
        answered()
        decision = decide(snapshot)
        account_id = _held_by(decision)
        if account_id is not None:
            # Several refusals of one account may come at the same time. One of them is the first; the others see its
            # hold.
            snapshot, *_ = self._under_its_lock(cursor, snapshot, account_id)
            decision = decide(snapshot)
        self._apply(cursor, decision.writes, snapshot)
        return decision.result

    def shared(self, changes: Sequence[tuple[str, Decide]], cursor: Cursor, answered: Answered) -> dict[int, Any]:
        """Change several activities, each named once. Returns the results by their places in `changes`; what is missing
        must be made alone."""
        snapshots = self._show_several(cursor, [activity_id for activity_id, _ in changes])
        answered()
        begun: Counter[str] = Counter()
        results: dict[int, Any] = {}
        writes: list[Plain] = []
        for place, (activity_id, decide) in enumerate(changes):
            snapshot = snapshots.get(activity_id)
            if snapshot is None:
                continue
            decision = decide(_after(snapshot, begun))
            kept = plain(decision.writes, activity_id)
            if kept is None:
                continue
            results[place] = decision.result
            writes.append(kept)
            if kept.attempt is not None and kept.attempt.event is Event.BEGIN_SENDING and kept.attempt.account_id:
                begun[kept.attempt.account_id] += 1
        _commit(cursor, self._saving(cursor, writes))
        return results

    def _show_one(self, cursor: Cursor, activity_id: str, crediting: tuple[str, ...] | None) -> Snapshot:
        rows = self._read(cursor, [activity_id], patient=True)
        if not rows:
            return _deleted(cursor, activity_id)
        snapshot = self._with_sends(cursor, as_snapshot(rows), released_at(rows))
        return _with_credited(cursor, snapshot, activity_id, crediting)

    def _show_several(self, cursor: Cursor, activity_ids: list[str]) -> dict[str, Snapshot]:
        rows = self._read(cursor, activity_ids, patient=False)
        by_id = {key: list(each) for key, each in groupby(rows, key=itemgetter(_ACTIVITY_ID))}
        shown = {key: as_snapshot(each) for key, each in by_id.items()}
        # An account in slow start is paced by its own lock, which we may not wait for. Of rows that share an id, some
        # may not be locked.
        apart = {
            key
            for key, each in by_id.items()
            if _is_slow_start(shown[key], released_at(each)) or isinstance(shown[key].activity, Malformed)
        }
        return self._with_counts(cursor, {key: snapshot for key, snapshot in shown.items() if key not in apart})

    def _read(self, cursor: Cursor, wanted: list[str], *, patient: bool) -> list[tuple[Any, ...]]:
        show = self._by(self.sql.show, patient=patient)
        cursor.execute(sql.OPEN + show, {"wanted": wanted, "patient": patient})
        return cursor.fetchall()

    def _count(self, cursor: Cursor, accounts: list[str], *, patient: bool) -> list[tuple[Any, ...]]:
        count = self._by(self.sql.sends, patient=patient)
        cursor.execute(count, {"accounts": accounts, "patient": patient})
        return cursor.fetchall()

    def _by(self, read: LockedRead, *, patient: bool) -> str:
        if read.function.name in self.usable:
            return read.function.call
        return read.waiting if patient else read.passing

    def _with_sends(self, cursor: Cursor, snapshot: Snapshot, released: datetime | None) -> Snapshot:
        account = snapshot.account
        if account is None or not (_is_limited(snapshot) or _is_slow_start(snapshot, released)):
            return snapshot
        snapshot, sent, began_at, claimed_at = self._under_its_lock(cursor, snapshot, account.id)
        snapshot = replace(snapshot, sent_in_last_day=0 if account.daily_limit is None else sent)
        if released is None:
            return snapshot
        slow_start = SlowStart(
            released_at=released, last_began_at=began_at, last_claimed_at=claimed_at, spacing=self.spacing
        )
        return replace(snapshot, slow_start=slow_start)

    def _with_counts(self, cursor: Cursor, snapshots: dict[str, Snapshot]) -> dict[str, Snapshot]:
        """With the sends of each limited account, under its lock. Activities whose account is locked are left out."""
        limited = {key: each.account.id for key, each in snapshots.items() if each.account and _is_limited(each)}
        if not limited:
            return snapshots
        rows = self._count(cursor, sorted(set(limited.values())), patient=False)
        counted = {account_id: (now, sent, controls) for account_id, now, sent, _, _, controls in rows}
        shown = {}
        for key, snapshot in snapshots.items():
            if key not in limited:
                shown[key] = snapshot
            elif limited[key] in counted:
                now, sent, controls = counted[limited[key]]
                shown[key] = replace(_with_controls(snapshot, now, controls), sent_in_last_day=sent)
        return shown

    def _under_its_lock(
        self, cursor: Cursor, snapshot: Snapshot, account_id: str
    ) -> tuple[Snapshot, int, datetime | None, datetime | None]:
        """The account's blocks, its sends of the last day, the latest send, and the latest claim that has not begun.
        While this transaction is open, nobody else may decide for the account."""
        (_, now, sent, began_at, claimed_at, controls), *_ = self._count(cursor, [account_id], patient=True)
        return _with_controls(snapshot, now, controls), sent, began_at, claimed_at

    def _apply(self, cursor: Cursor, writes: tuple[Write, ...], snapshot: Snapshot) -> None:
        activity_id = snapshot.activity.id if snapshot.activity is not None else None
        kept = None if activity_id is None else plain(writes, activity_id)
        if kept is not None:
            _commit(cursor, self._saving(cursor, [kept]))
        else:
            _commit(cursor, [cursor.mogrify(*as_sql(write, snapshot, self.sql.save)) for write in writes])

    def _saving(self, cursor: Cursor, writes: list[Plain]) -> list[bytes]:
        if not any(write.attempt or write.mark for write in writes):
            return []
        return [
            cursor.mogrify(*each)
            for each in self.sql.save.all(writes, by_function=self.sql.save.function.name in self.usable)
        ]


def _deleted(cursor: Cursor, activity_id: str) -> Snapshot:
    cursor.execute(sql.SHOW_DELETED, {"id": activity_id})
    rows = cursor.fetchall()
    return as_deleted(rows, activity_id) if rows else nothing(cursor)


def nothing(cursor: Cursor) -> Snapshot:
    """What there is to see where there is no such activity."""
    cursor.execute("SELECT clock_timestamp()")
    return Snapshot(now=_one(cursor)[0], activity=None)


def _is_admitting(snapshot: Snapshot) -> bool:
    """Whether its account's limits matter. An activity that is being sent has passed admission. What is blocked may not
    be sent at all, and stays blocked for this decision: if the block ends meanwhile, a slow start may begin, and we do
    not know of it."""
    return snapshot.account is not None and not snapshot.is_being_sent and not snapshot.controls


def _is_limited(snapshot: Snapshot) -> bool:
    """Whether its account may send only so many in a day."""
    return _is_admitting(snapshot) and snapshot.account is not None and snapshot.account.daily_limit is not None


def _is_slow_start(snapshot: Snapshot, released: datetime | None) -> bool:
    """Whether its account is in slow start."""
    return _is_admitting(snapshot) and released is not None


def _after(snapshot: Snapshot, begun: Counter[str]) -> Snapshot:
    """The snapshot after the sends that this transaction has begun already."""
    if snapshot.account is None or not _is_limited(snapshot) or not begun[snapshot.account.id]:
        return snapshot
    return replace(snapshot, sent_in_last_day=snapshot.sent_in_last_day + begun[snapshot.account.id])


def _held_by(decision: Decision[Any]) -> str | None:
    """The account that the decision puts on hold."""
    blocks = (write.control for write in decision.writes if isinstance(write, Block))
    return next((control.scope_id for control in blocks if control.kind is ControlKind.HOLD), None)


def _with_controls(snapshot: Snapshot, now: datetime, controls: Any) -> Snapshot:
    """With the account's controls as they were read under its lock."""
    others = tuple(control for control in snapshot.controls if control.scope is not BlockScope.ACCOUNT)
    return replace(snapshot, now=now, controls=others + as_controls(controls))


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


def _commit(cursor: Cursor, writes: list[bytes]) -> None:
    if not writes:
        cursor.execute("ROLLBACK")
        return
    try:
        cursor.execute(b";\n".join([*writes, b"COMMIT"]))
    except QueryCanceled as error:
        # We hold the row's lock already, so the write itself takes too long: usually a trigger that hangs.
        line = f"a write did not end within {sql.WITHIN_SECONDS} s ({first_line(error)})"
        raise StoreRefused(f"PostgreSQL: {line}", code="write did not end") from error


def _one(cursor: Cursor) -> tuple[Any, ...]:
    row = cursor.fetchone()
    assert row is not None  # noqa: S101  # an aggregate or a function call always returns a row
    return row
