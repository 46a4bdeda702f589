"""The intake on PostgreSQL: one COPY. It is one statement, and so all or nothing, however many rows it has.

The one rule: rows are made while the server reads them, so a file of a million lines needs no memory.
"""

from __future__ import annotations

import io
import re
from collections.abc import Iterable, Iterator

import psycopg2
from psycopg2 import errors
from psycopg2.extensions import connection as Connection

from adapters.postgres.connection.failure import first_line
from adapters.postgres.connection.pool import PostgresPool
from adapters.postgres.inspection.catalog import checked, read_catalog
from engagement_core.model.activity import PublicStatus
from engagement_core.model.new_activity import NewActivity
from engagement_core.ports.intake import IntakeRefused

__all__ = ["PostgresIntake"]

# The role's time limit is meant for a page's queries, not for a million rows. The other settings are those of every
# change.
_OPEN = """
BEGIN;
SELECT set_config('synchronous_commit', CASE current_setting('synchronous_commit')
                  WHEN 'off' THEN 'on' WHEN 'local' THEN 'on' ELSE current_setting('synchronous_commit') END, true),
       set_config('statement_timeout', '0', true)
"""
_COPY = """
COPY pod_activities (id, pod_id, engagement_type, post_id, profile_id, comment_text, scheduled_for, status)
FROM STDIN WITH (ENCODING 'UTF8')
"""
_IS_TAKEN = "SELECT EXISTS (SELECT 1 FROM pod_activities WHERE id = %(id)s)"

_ESCAPES = str.maketrans({"\\": r"\\", "\t": r"\t", "\n": r"\n", "\r": r"\r"})
# The details of an error, in whatever language the server uses.
_KEY = re.compile(r"\(id\)=\((.*)\)", re.DOTALL)
_PLACE = re.compile(r"COPY pod_activities, \w+ (\d+)(?:, \w+ (\w+))?")


class PostgresIntake:
    """Fills `engagement_core.ports.intake.Intake`."""

    def __init__(self, pool: PostgresPool) -> None:
        """
        Raises:
            SchemaProblem: the database lacks something; the message says what.
            StoreUnavailable: the database cannot be reached.
        """
        self._pool = pool
        with pool.connection() as connection:
            checked(read_catalog(connection))

    def add(self, activities: Iterable[NewActivity]) -> int:
        """See the port."""
        rows = _Rows(activities)
        with self._pool.connection() as connection, connection.cursor() as cursor:
            cursor.execute(_OPEN)
            try:
                cursor.copy_expert(_COPY, rows)
            except psycopg2.Error as error:
                # Psycopg replaces an exception of the source by one of its own, and keeps only the text.
                if rows.failure is not None:
                    raise rows.failure from None
                cursor.execute("ROLLBACK")
                refused = _refused(connection, error)
                if refused is None:
                    raise
                raise refused from error
            cursor.execute("COMMIT")
        return rows.taken


class _Rows(io.RawIOBase):
    """Activities as text for COPY, made when COPY reads it."""

    def __init__(self, activities: Iterable[NewActivity]) -> None:
        self._lines = self._encoded(activities)
        self._left = b""
        self.taken = 0
        self.failure: BaseException | None = None

    def read(self, size: int = -1) -> bytes:
        """At least one character, until nothing is left."""
        parts, length = [self._left], len(self._left)
        try:
            while length < size:
                line = next(self._lines, None)
                if line is None:
                    break
                parts.append(line)
                length += len(line)
        except BaseException as error:
            self.failure = error
            raise
        whole = b"".join(parts)
        self._left = whole[size:]
        return whole[:size]

    def _encoded(self, activities: Iterable[NewActivity]) -> Iterator[bytes]:
        for activity in activities:
            self.taken += 1
            yield _as_row(activity)


def _as_row(activity: NewActivity) -> bytes:
    values = (
        activity.id,
        activity.pod_id,
        activity.engagement_type.value,
        activity.post_id,
        activity.profile_id,
        activity.comment_text,
        activity.scheduled_for.isoformat(),
        PublicStatus.SCHEDULED.value,
    )
    text = "\t".join(r"\N" if value is None else value.translate(_ESCAPES) for value in values) + "\n"
    return text.encode()


def _refused(connection: Connection, error: psycopg2.Error) -> IntakeRefused | None:
    """The server's objection in our words; None when it did not concern one of the rows."""
    if not isinstance(error, (psycopg2.DataError, psycopg2.IntegrityError)):
        return None
    place = _PLACE.search(error.diag.context or "")
    position, column = (int(place[1]), place[2]) if place else (None, None)
    key = _KEY.search(error.diag.message_detail or "")
    if isinstance(error, errors.UniqueViolation) and key:
        where = "is in pod_activities already" if _is_taken(connection, key[1]) else "comes twice"
        return IntakeRefused(f"{key[1]} {where}", activity_id=key[1], position=position, column="id")
    message = error.diag.message_primary or first_line(error)
    if isinstance(error, errors.ForeignKeyViolation):  # other details show the whole row, including its comment
        message = f"{message}: {error.diag.message_detail}"
    return IntakeRefused(message, position=position, column=column or error.diag.column_name)


def _is_taken(connection: Connection, activity_id: str) -> bool:
    with connection.cursor() as cursor:
        cursor.execute(_IS_TAKEN, {"id": activity_id})
        row = cursor.fetchone()
    return bool(row and row[0])
