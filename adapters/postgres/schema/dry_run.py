"""Tries the executor's writes on a row of `pod_activities` and rolls them back. Only this shows what a trigger does.

The one rule: it rolls back everything, and nobody waits for it. It skips a row that is locked, and each write may take
two seconds. What a trigger does outside the transaction (a sequence, a call to another system) is not undone, so this
runs only when a person asks for it.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass
from datetime import datetime, timezone
from functools import partial

import psycopg2
from psycopg2.errors import LockNotAvailable
from psycopg2.extensions import cursor as Cursor

from adapters.postgres.connection.failure import as_store_error, first_line
from adapters.postgres.connection.pool import connect
from adapters.postgres.inspection.catalog import read_catalog
from adapters.postgres.store.save import Save, render_save
from adapters.postgres.store.writes import as_sql
from engagement_core.decisions.comment_rules import MAX_LENGTH
from engagement_core.model.attempt import Provenance
from engagement_core.model.decision import ErrorNote, MarkExecuted, MarkFailed, MarkScheduled, Write
from engagement_core.model.errors import ErrorType
from engagement_core.model.snapshot import Snapshot
from engagement_core.ports.activities import StoreUnavailable

__all__ = ["DryRun", "NotTried", "dry_run"]

_AT = datetime(2030, 1, 1, tzinfo=timezone.utc)
_ERROR = ErrorNote(error_type=ErrorType.API_ERROR, message="ü" * 500, timestamp=_AT, will_retry=False)
_SNAPSHOT = Snapshot(now=_AT, activity=None)


def _writes(activity_id: str) -> dict[str, tuple[str, Write]]:
    """Each write by its name, with the `status` that it leaves.
    The comment has the greatest length, in the widest characters."""
    executed = partial(
        MarkExecuted,
        activity_id=activity_id,
        executed_at=_AT,
        post_id="urn:li:activity:7100000000000000000",
        engagement_id="i" * 255,
        created_at=_AT,
        provenance=Provenance.RESPONSE,
    )
    again = partial(MarkScheduled, activity_id=activity_id)
    failed = MarkFailed(activity_id=activity_id, executed_at=_AT, error=_ERROR, counts=True)
    return {
        "a release": ("scheduled", again(next_retry_at=None)),
        "a retry": ("scheduled", again(next_retry_at=_AT, error=_ERROR, counts=True)),
        "an executed like": ("executed", executed(comment_generated=None)),
        "an executed comment": ("executed", executed(comment_generated="🎉" * MAX_LENGTH)),
        "a failure": ("failed", failed),
    }


_BEGIN = """
BEGIN;
SET CONSTRAINTS ALL IMMEDIATE;
SELECT set_config('lock_timeout', '200ms', true), set_config('statement_timeout', '2s', true),
       set_config('idle_in_transaction_session_timeout', '5s', true), set_config('TimeZone', 'UTC', true)
"""
# Prefer the activity that is due last, because a worker needs it least. If nothing is scheduled, take any row.
_ROWS = (
    """SELECT id::text FROM pod_activities WHERE status = 'scheduled' AND id IS NOT NULL
        ORDER BY GREATEST(scheduled_for, next_retry_at) DESC LIMIT 1 FOR NO KEY UPDATE SKIP LOCKED""",
    "SELECT id::text FROM pod_activities WHERE id IS NOT NULL LIMIT 1 FOR NO KEY UPDATE SKIP LOCKED",
)
_STATUS = "SELECT status::text FROM pod_activities WHERE id = %(activity_id)s"


@dataclass(frozen=True, kw_only=True, slots=True)
class DryRun:
    """The writes were tried on the row `activity_id`. `refused` says what happened to each that failed, in the server's
    words: one sentence each, without its full stop."""

    activity_id: str
    refused: tuple[str, ...]


@dataclass(frozen=True, kw_only=True, slots=True)
class NotTried:
    """Nothing is known. `why` is a sentence without its full stop."""

    why: str


def dry_run(url: str) -> DryRun | NotTried:
    """Try every kind of write on one row, and roll back.

    Args:
        url: a checked database URL, of the role that a worker has.
    """
    try:
        opened = connect(url, connect_timeout=5, application_name="pod-engagement")
    except StoreUnavailable as error:
        return NotTried(why=str(error))
    with closing(opened) as connection:
        connection.autocommit = True
        try:
            with connection.cursor() as cursor:
                tried = _tried(cursor)
                cursor.execute("ROLLBACK")
                return tried
        except LockNotAvailable:
            return NotTried(why="another session holds a lock on the row or the table now")
        except psycopg2.Error as error:
            return NotTried(why=first_line(error))


def _tried(cursor: Cursor) -> DryRun | NotTried:
    save = render_save(read_catalog(cursor.connection))
    cursor.execute(_BEGIN)
    for query in _ROWS:
        cursor.execute(query)
        row = cursor.fetchone()
        if row is not None:
            return DryRun(activity_id=row[0], refused=tuple(_refused(cursor, row[0], save)))
    return NotTried(why="pod_activities has no row that is free for a trial")


def _refused(cursor: Cursor, activity_id: str, save: Save) -> Iterator[str]:
    for what, (status, write) in _writes(activity_id).items():
        cursor.execute("SAVEPOINT write")
        try:
            if isinstance(write, MarkFailed):  # only a scheduled activity can fail
                cursor.execute(*as_sql(MarkScheduled(activity_id=activity_id, next_retry_at=None), _SNAPSHOT, save))
            cursor.execute(*as_sql(write, _SNAPSHOT, save))
            cursor.execute(_STATUS, {"activity_id": activity_id})
            row = cursor.fetchone()
        except LockNotAvailable:
            raise
        except psycopg2.Error as error:
            yield f"{what} is refused: {str(as_store_error(error)).removeprefix('PostgreSQL: ')}"
        else:
            if row is None or row[0] != status:
                yield f"{what} leaves the status {row[0] if row else 'of no row'}: something changes the written value"
        cursor.execute("ROLLBACK TO SAVEPOINT write")
