"""What the bench needs from a database: make a new one, fill it with pods, and count what is left.

The one rule: only for a server that was made for measuring. Each measurement gets a new database, so its tables are
those of the first day: empty, without statistics, without dead rows.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

from psycopg2 import sql
from psycopg2.extensions import connection as Connection

from adapters.postgres.connection.pool import PostgresPool

__all__ = ["PostgresTrial", "RowOutcome", "new_database"]

_ADD_PODS = """
INSERT INTO linkedin_accounts (id, profile_id, unipile_account_id, status)
SELECT 'account-' || n, 'profile-' || n, 'unipile-' || n, 'ok' FROM generate_series(0, %(count)s - 1) n
ON CONFLICT (id) DO NOTHING;
INSERT INTO pods (id, linkedin_account_id)
SELECT 'pod-' || n, 'account-' || n FROM generate_series(0, %(count)s - 1) n
ON CONFLICT (id) DO NOTHING
"""
_SCHEDULED = "SELECT id FROM pod_activities WHERE status = 'scheduled'"
_ANY_SCHEDULED = "SELECT EXISTS (SELECT 1 FROM pod_activities WHERE status = 'scheduled')"
_SENDING = "SELECT activity_id FROM engagement_attempts WHERE phase = 'sending'"
_OUTCOMES = "SELECT id, status, execution_result->>'provenance' FROM pod_activities"
_CONNECTIONS = """
SELECT count(*) FROM pg_stat_activity
WHERE datname = current_database() AND backend_type = 'client backend' AND pid <> pg_backend_pid()
"""


@dataclass(frozen=True, kw_only=True, slots=True)
class RowOutcome:
    """What a row says about its activity: its public status and its provenance."""

    status: str
    provenance: str | None


class PostgresTrial:
    """Uses one connection of `pool` at a time. Raises `StoreUnavailable` when the database fails."""

    def __init__(self, pool: PostgresPool) -> None:
        self._pool = pool

    def add_pods(self, count: int) -> None:
        """Create `pod-0` and so on, each with an account of its own, `account-0`."""
        with self._pool.connection() as connection, connection.cursor() as cursor:
            cursor.execute(_ADD_PODS, {"count": count})

    def is_settled(self) -> bool:
        """Whether no activity is scheduled any more. The bench asks often, so it must cost next to nothing."""
        with self._pool.connection() as connection:
            return not _rows(connection, _ANY_SCHEDULED)[0][0]

    def scheduled(self) -> frozenset[str]:
        """The activities that are still scheduled."""
        return self._ids(_SCHEDULED)

    def sending(self) -> frozenset[str]:
        """The activities whose request may be at the provider now."""
        return self._ids(_SENDING)

    def outcomes(self) -> dict[str, RowOutcome]:
        """What each activity's row says, by activity id."""
        with self._pool.connection() as connection:
            rows = _rows(connection, _OUTCOMES)
        return {row[0]: RowOutcome(status=row[1], provenance=row[2]) for row in rows}

    def connections(self) -> int:
        """How many other connections this database has."""
        with self._pool.connection() as connection:
            return int(_rows(connection, _CONNECTIONS)[0][0])

    def backend(self) -> int:
        """The process id of the server process that serves our connection; its parent is the server."""
        with self._pool.connection() as connection:
            return connection.info.backend_pid

    def version(self) -> str:
        """The server's version."""
        with self._pool.connection() as connection:
            return str(_rows(connection, "SHOW server_version")[0][0])

    def _ids(self, statement: str) -> frozenset[str]:
        with self._pool.connection() as connection:
            return frozenset(row[0] for row in _rows(connection, statement))


@contextmanager
def new_database(server_url: str, name: str) -> Iterator[str]:
    """An empty database of this server, as a URL. It is dropped at the end of the `with` block, whoever uses it.

    Raises:
        StoreUnavailable, StoreRefused: the server fails, or refuses.
    """
    database = sql.Identifier(name)
    _execute(server_url, sql.SQL("CREATE DATABASE {}").format(database))
    try:
        yield urlsplit(server_url)._replace(path=f"/{name}").geturl()
    finally:
        _execute(server_url, sql.SQL("DROP DATABASE {} WITH (FORCE)").format(database))


def _execute(url: str, statement: sql.Composed) -> None:
    with closing(PostgresPool(url, size=1)) as pool, pool.connection() as connection, connection.cursor() as cursor:
        cursor.execute(statement)


def _rows(connection: Connection, statement: str) -> list[tuple[Any, ...]]:
    with connection.cursor() as cursor:
        cursor.execute(statement)
        return cursor.fetchall()
