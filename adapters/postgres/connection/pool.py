"""Database connections that the worker's threads share.

The one rule: the pool hands out only a connection that was alive a moment ago, and never hands out one that failed.
"""

from __future__ import annotations

import select
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from datetime import timedelta
from typing import Any

import psycopg2
from psycopg2.extensions import connection as Connection
from psycopg2.extensions import cursor as Cursor

from adapters.postgres.connection.failure import as_store_error, first_line
from adapters.postgres.connection.instants import read_instants_in_utc
from adapters.postgres.connection.socket_timeout import SocketTimeout
from adapters.postgres.connection.url import checked_database_url
from engagement_core.ports.activities import StoreUnavailable

__all__ = ["PostgresPool", "connect", "fetch"]

# Only options that the client library handles itself: a transaction pooler refuses start-up options.
_CONNECT_OPTIONS: dict[str, Any] = {
    "connect_timeout": 5,
    "keepalives": 1,
    "keepalives_idle": 10,
    "keepalives_interval": 5,
    "keepalives_count": 3,
    "tcp_user_timeout": 20_000,
    "application_name": "pod-engagement",
}
# We write and read text of every kind. libpq sends this at the start. There it outranks PGCLIENTENCODING, the URL's
# options and the defaults of role, database and server. PgBouncer keeps it for each of its clients.
_ENCODING = "UTF8"


class PostgresPool:
    """At most `size` connections in autocommit mode, opened when needed. Safe to use from several threads."""

    def __init__(
        self,
        database_url: str,
        *,
        size: int,
        patience: timedelta = timedelta(seconds=10),
        answers_within: timedelta | None = None,
    ) -> None:
        """
        Args:
            database_url: a libpq URL or key-value string.
            size: the most connections that are open at one time.
            patience: how long a thread waits for a free connection.
            answers_within: how long one use of a connection may last, unless the caller gives another limit.
                None: no limit, for long work that nobody waits for.
        """
        self._database_url = database_url
        self._size = size
        self._patience = patience
        self._answers_within = answers_within
        self._permits = threading.BoundedSemaphore(size)
        self._idle: list[Connection] = []
        self._socket_timeout = SocketTimeout(self._discard_idle)
        self._closed = False

    @property
    def size(self) -> int:
        """The most connections that are open at one time."""
        return self._size

    @contextmanager
    def connection(self, *, answers_within: timedelta | None = None) -> Iterator[Connection]:
        """A connection for the duration of a `with` block. Errors of psycopg2 inside the block become ours.

        Args:
            answers_within: how long the block may take, or each part of it (`has_answered`). None: the pool's own
                limit.

        Raises:
            StoreRefused: the server refused the statement; nothing of the transaction was applied.
            StoreUnavailable: no server, no free connection, a broken connection, or no answer in time.
        """
        if not self._permits.acquire(timeout=self._patience.total_seconds()):
            raise StoreUnavailable(
                f"all {self._size} database connections were busy for {self._patience.total_seconds():.0f} s"
            )
        connection = None
        try:
            connection = self._take()
            with self._socket_timeout.limit(connection, answers_within or self._answers_within):
                yield connection
        except (psycopg2.Error, UnicodeDecodeError) as error:
            self._discard(connection)
            connection = None
            raise as_store_error(error) from error
        except BaseException:
            # Another exception, perhaps in the middle of a transaction: do not guess what state the connection is in.
            self._discard(connection)
            connection = None
            raise
        finally:
            self._give_back(connection)
            self._permits.release()

    def has_answered(self, connection: Connection) -> None:
        """Say that the server has answered on a connection in use. Its time limit starts again."""
        self._socket_timeout.renew(connection)

    def query(self, statement: str, **parameters: Any) -> list[tuple[Any, ...]]:
        """The rows of one statement, on a connection of its own. Raises what `connection` raises."""
        with self.connection() as connection, connection.cursor() as cursor:
            return fetch(cursor, statement, **parameters)

    def close(self) -> None:
        """Close the idle connections. A connection in use is closed when its thread gives it back."""
        self._closed = True
        self._socket_timeout.close()
        self._discard_idle()

    def _discard_idle(self) -> None:
        with suppress(IndexError):  # another thread was faster
            while self._idle:
                self._discard(self._idle.pop())

    def _take(self) -> Connection:
        while self._idle:
            try:
                idle = self._idle.pop()
            except IndexError:  # another thread was faster
                break
            if _is_alive(idle):
                return idle
            self._discard(idle)
        connection = connect(self._database_url, **_CONNECT_OPTIONS)
        connection.autocommit = True
        return connection

    def _give_back(self, connection: Connection | None) -> None:
        if connection is None:
            return
        if self._closed:
            self._discard(connection)
        else:
            self._idle.append(connection)

    @staticmethod
    def _discard(connection: Connection | None) -> None:
        if connection is not None:
            connection.close()


def connect(database_url: str, **options: Any) -> Connection:
    """A new connection with libpq's options. It always speaks UTF-8, whatever the environment says.

    Raises:
        StoreUnavailable: the text is no URL, or no server accepts the connection. The message holds no part of a
            password.
    """
    try:
        checked_database_url(database_url)
    except ValueError as error:
        raise StoreUnavailable(f"DATABASE_URL: {error}") from None
    try:
        connection: Connection = psycopg2.connect(database_url, **{**options, "client_encoding": _ENCODING})
        if connection.encoding != _ENCODING:  # some poolers do not pass it on
            connection.set_client_encoding(_ENCODING)
    except (psycopg2.Error, UnicodeDecodeError) as error:
        raise StoreUnavailable(f"PostgreSQL: {first_line(error)}") from error
    read_instants_in_utc(connection)
    return connection


def fetch(cursor: Cursor, statement: str, **parameters: Any) -> list[tuple[Any, ...]]:
    """The rows of one statement, for callers that run several on one connection."""
    cursor.execute(statement, parameters)
    return cursor.fetchall()


def _is_alive(connection: Connection) -> bool:
    """Checks without a round trip: if the server has sent something on an idle connection, it has ended the
    connection."""
    if connection.closed:
        return False
    try:
        readable, _, _ = select.select([connection.fileno()], [], [], 0)
    except (OSError, ValueError, psycopg2.Error):
        return False
    return not readable
