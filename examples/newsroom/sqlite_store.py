"""An activity store on sqlite3, for a service of one process.

The one rule: a change is one `BEGIN IMMEDIATE` transaction, so that no two decisions overlap. What the core writes is
kept as it says, without a thought of its own. (This service knows no daily limits: `sent_in_last_day` stays 0.)
"""

from __future__ import annotations

import json
import sqlite3
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, fields, replace
from datetime import datetime, timedelta, timezone
from functools import partial
from typing import Any, TypeVar

from engagement_core import (
    Account,
    Activity,
    AddDeadLetter,
    Attempt,
    Block,
    BlockScope,
    CloseDeadLetter,
    Control,
    ControlKind,
    Decision,
    Due,
    Effect,
    EngagementType,
    Event,
    MarkExecuted,
    MarkFailed,
    MarkScheduled,
    Orphan,
    Phase,
    Pod,
    RaiseAlert,
    SaveAttempt,
    Snapshot,
    StoreUnavailable,
    Write,
)

__all__ = ["SqliteActivityStore"]

T = TypeVar("T")

_SCHEMA = """
CREATE TABLE IF NOT EXISTS activities (
    id TEXT PRIMARY KEY, kind TEXT NOT NULL, post TEXT NOT NULL, text TEXT, at TEXT NOT NULL,
    status TEXT NOT NULL DEFAULT 'scheduled', failures INTEGER NOT NULL DEFAULT 0, again_at TEXT, error TEXT,
    engagement_id TEXT);
CREATE TABLE IF NOT EXISTS attempts (
    activity_id TEXT NOT NULL, number INTEGER NOT NULL, effect TEXT NOT NULL, record TEXT NOT NULL,
    PRIMARY KEY (activity_id, number));
-- The promise, said by the database: while an attempt is not proven to be without effect, there is no other one.
CREATE UNIQUE INDEX IF NOT EXISTS once ON attempts (activity_id) WHERE effect IN ('unknown', 'applied');
CREATE TABLE IF NOT EXISTS controls (
    kind TEXT, scope TEXT, scope_id TEXT, until TEXT, reason TEXT, PRIMARY KEY (kind, scope, scope_id));
CREATE TABLE IF NOT EXISTS dead_letters (activity_id TEXT PRIMARY KEY, message TEXT, next_step TEXT);
CREATE TABLE IF NOT EXISTS alerts (incident TEXT PRIMARY KEY, message TEXT);
"""
_HOLDING = (Effect.UNKNOWN, Effect.APPLIED)
_KINDS: dict[str, Callable[[str], object]] = {
    "phase": Phase,
    "event": Event,
    "effect": Effect,
    "engagement_type": EngagementType,
}


class SqliteActivityStore:
    """Fills `engagement_core.ActivityStore`. Everything is done by one pod through one account."""

    def __init__(self, path: str, *, pod: Pod, account: Account, worker_id: str) -> None:
        """`worker_id`: of this process; open attempts of any other are orphans, because there is none."""
        self._pod, self._account, self._worker_id = pod, account, worker_id
        self._lock = threading.Lock()
        self._connection = sqlite3.connect(path, isolation_level=None, check_same_thread=False)
        self._connection.executescript(_SCHEMA)

    def close(self) -> None:
        """Give the file back."""
        self._connection.close()

    def schedule(
        self, activity_id: str, kind: EngagementType, post: str, at: datetime, text: str | None = None
    ) -> None:
        """What the service's own code does; a second time is no second engagement."""
        with self._transaction() as sql:
            row = (activity_id, kind.value, post, text, at.isoformat())
            sql("INSERT OR IGNORE INTO activities (id, kind, post, text, at) VALUES (?, ?, ?, ?, ?)", *row)

    def status(self, activity_id: str) -> str:
        """In one word."""
        with self._transaction() as sql:
            (word,) = sql("SELECT status FROM activities WHERE id = ?", activity_id)[0]
        return str(word)

    def change(
        self, activity_id: str, decide: Callable[[Snapshot], Decision[T]], *, crediting: tuple[str, ...] | None = None
    ) -> T:
        """See the port."""
        with self._transaction() as sql:
            decision = decide(self._show(sql, activity_id, crediting))
            for write in decision.writes:
                _apply(sql, write)
            return decision.result

    def submit(self, activity_id: str, decide: Callable[[Snapshot], Decision[T]]) -> Callable[[], T]:
        """See the port."""
        return partial(self.change, activity_id, decide)

    def due(self, *, look_ahead: timedelta, limit: int) -> tuple[Due, ...]:
        """See the port."""
        with self._transaction() as sql:
            now = _now()
            if _controls(sql, now):
                return ()  # there is one account, so whatever is blocked is everything
            held = {row[0] for row in sql("SELECT activity_id FROM attempts WHERE effect IN ('unknown', 'applied')")}
            waiting = [_activity(row) for row in sql("SELECT * FROM activities WHERE status = 'scheduled'")]
        ready = [each for each in waiting if each.due_at <= now + look_ahead and each.id not in held]
        ready.sort(key=lambda each: each.due_at)
        return tuple(Due(activity_id=each.id, due_in=each.due_at - now) for each in ready[:limit])

    def orphans(self, *, silent_for: timedelta, margin: timedelta, limit: int) -> tuple[Orphan, ...]:
        """See the port."""
        with self._transaction() as sql:
            now, attempts = _now(), _attempts(sql)
        return tuple(
            Orphan(activity_id=each.activity_id, number=each.number, reason="its process is gone")
            for each in attempts
            if each.phase in (Phase.CLAIMED, Phase.SENDING)
            and (each.worker_id != self._worker_id or each.deadline_at < now - margin)
        )[:limit]

    def unknowns(self, *, limit: int) -> tuple[str, ...]:
        """See the port."""
        with self._transaction() as sql:
            now, attempts = _now(), _attempts(sql)
        unknown = [each for each in attempts if each.phase is Phase.UNKNOWN]
        return tuple(each.activity_id for each in unknown if each.look_at and each.look_at <= now)[:limit]

    def _show(self, sql: _Sql, activity_id: str, crediting: tuple[str, ...] | None) -> Snapshot:
        now = _now()
        rows = sql("SELECT * FROM activities WHERE id = ?", activity_id)
        others = sql("SELECT engagement_id FROM activities WHERE engagement_id IS NOT NULL AND id <> ?", activity_id)
        shown = Snapshot(
            now=now,
            activity=_activity(rows[0]) if rows else None,
            pod=self._pod,
            account=self._account,
            attempts=_attempts(sql, activity_id),
            controls=_controls(sql, now),
            credited=frozenset(crediting or ()) & {row[0] for row in others},
        )
        return shown if crediting is None else replace(shown, neighbours=_neighbours(sql, activity_id, shown.post_id))

    @contextmanager
    def _transaction(self) -> Iterator[_Sql]:
        with self._lock:
            try:
                self._connection.execute("BEGIN IMMEDIATE")
                yield lambda statement, *values: self._connection.execute(statement, values).fetchall()
                self._connection.execute("COMMIT")
            except sqlite3.Error as error:
                raise StoreUnavailable(f"sqlite3: {error}") from error
            finally:
                if self._connection.in_transaction:
                    self._connection.execute("ROLLBACK")


_Sql = Callable[..., list[tuple[Any, ...]]]


def _now() -> datetime:
    return datetime.now(timezone.utc)


def _activity(row: tuple[Any, ...]) -> Activity:
    activity_id, kind, post, text, at, status, failures, again_at, *_ = row
    return Activity(
        id=activity_id,
        pod_id="newsroom",
        engagement_type=EngagementType(kind),
        post_id=post,
        profile_id=None,
        comment_text=text,
        scheduled_for=datetime.fromisoformat(at),
        status=status,
        failure_count=failures,
        next_retry_at=again_at and datetime.fromisoformat(again_at),
    )


def _attempts(sql: _Sql, activity_id: str | None = None) -> tuple[Attempt, ...]:
    query = "SELECT record FROM attempts WHERE activity_id = coalesce(?, activity_id) ORDER BY activity_id, number"
    return tuple(_attempt(json.loads(record)) for (record,) in sql(query, activity_id))


def _neighbours(sql: _Sql, activity_id: str, post_id: str) -> tuple[Attempt, ...]:
    of_post = (each for each in _attempts(sql) if each.post_id == post_id and each.activity_id != activity_id)
    comments = (each for each in of_post if each.engagement_type is EngagementType.COMMENT and each.began_at)
    return tuple(each for each in comments if each.may_have_had_effect)


def _attempt(record: dict[str, Any]) -> Attempt:
    for field in fields(Attempt):
        value = record[field.name]
        if value is not None and field.name.endswith("_at"):
            record[field.name] = datetime.fromisoformat(value)
        elif field.name in _KINDS:
            record[field.name] = _KINDS[field.name](value)
    return Attempt(**record)


def _controls(sql: _Sql, now: datetime) -> tuple[Control, ...]:
    found = [
        Control(
            kind=ControlKind(kind),
            scope=BlockScope(scope),
            scope_id=scope_id,
            until=until and datetime.fromisoformat(until),
            reason=reason,
        )
        for kind, scope, scope_id, until, reason in sql("SELECT * FROM controls")
    ]
    return tuple(control for control in found if control.until is None or control.until > now)


def _apply(sql: _Sql, write: Write) -> None:
    match write:
        case SaveAttempt(attempt):
            # Not OR REPLACE: that would drop whatever attempt holds the activity, and with it the promise.
            sql(
                "INSERT INTO attempts VALUES (?, ?, ?, ?) ON CONFLICT (activity_id, number)"
                " DO UPDATE SET effect = excluded.effect, record = excluded.record",
                attempt.activity_id,
                attempt.number,
                attempt.effect.value,
                json.dumps(asdict(attempt), default=datetime.isoformat),
            )
        case MarkScheduled() | MarkExecuted() | MarkFailed():
            _mark(sql, write)
        case AddDeadLetter(letter):
            insert = "INSERT OR REPLACE INTO dead_letters VALUES (?, ?, ?)"
            sql(insert, letter.activity_id, letter.message, letter.next_step)
        case CloseDeadLetter():
            sql("DELETE FROM dead_letters WHERE activity_id = ?", write.activity_id)
        case Block(control):
            insert = "INSERT OR REPLACE INTO controls VALUES (?, ?, ?, ?, ?)"
            until = control.until and control.until.isoformat()
            sql(insert, control.kind.value, control.scope.value, control.scope_id, until, control.reason)
        case RaiseAlert():
            sql("INSERT OR IGNORE INTO alerts VALUES (?, ?)", write.incident, write.message)


def _mark(sql: _Sql, write: MarkScheduled | MarkExecuted | MarkFailed) -> None:
    match write:
        case MarkScheduled():
            again_at = write.next_retry_at and write.next_retry_at.isoformat()
            error = write.error and write.error.message
            changes = "status = 'scheduled', again_at = ?, error = COALESCE(?, error), failures = failures + ?"
            sql(f"UPDATE activities SET {changes} WHERE id = ?", again_at, error, int(write.counts), write.activity_id)
        case MarkExecuted():
            changes = "status = 'executed', again_at = NULL, error = NULL, engagement_id = ?"
            sql(f"UPDATE activities SET {changes} WHERE id = ?", write.engagement_id, write.activity_id)
        case MarkFailed():
            changes = "status = 'failed', again_at = NULL, error = ?, failures = failures + ?"
            note = write.error.message
            sql(f"UPDATE activities SET {changes} WHERE id = ?", note, int(write.counts), write.activity_id)
