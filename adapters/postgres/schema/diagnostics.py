"""Examines a PostgreSQL server and reports what can be wrong with it, as plain facts.

The one rule: it only reads. It takes no lock, writes nothing, and ends within seconds whatever the server does.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import closing
from dataclasses import dataclass
from datetime import datetime, timedelta, timezone
from enum import Enum
from typing import Any

import psycopg2
from psycopg2.extensions import connection as Connection

from adapters.postgres.connection.failure import first_line
from adapters.postgres.connection.pool import connect
from adapters.postgres.inspection.catalog import read_catalog
from adapters.postgres.inspection.constraints import broken_rules
from adapters.postgres.inspection.encoding import unfit_encoding
from adapters.postgres.inspection.grants import missing_grants
from adapters.postgres.inspection.row_security import tables_under_row_security, writes_hidden
from adapters.postgres.inspection.triggers import Trigger, read_triggers
from adapters.postgres.inspection.unique_ids import IdFacts, read_ids
from adapters.postgres.schema.migrate import pending
from adapters.postgres.store.rows import as_account
from engagement_core.model.activity import Account
from engagement_core.ports.activities import StoreUnavailable

__all__ = ["MOST_ACCOUNTS", "Capacity", "DatabaseFacts", "Obstacle", "Refused", "examine_database"]

MOST_ACCOUNTS = 100
_CONNECT_SECONDS = 5
_APPLICATION = "pod-engagement"


class Obstacle(Enum):
    """Why we cannot connect, or why nothing can be done there."""

    UNREACHABLE = "unreachable"
    PASSWORD = "password"  # noqa: S105 - a word, not a password
    TLS = "tls"
    NO_DATABASE = "no database"
    FULL = "full"
    ENCODING = "encoding"
    BROKE_OFF = "broke off"


@dataclass(frozen=True, kw_only=True, slots=True)
class Refused:
    """The server could not be examined. `message` is the server's message, or ours; it holds no credentials."""

    obstacle: Obstacle
    message: str


@dataclass(frozen=True, kw_only=True, slots=True)
class Capacity:
    """How many connections there can be. Several limits may apply: `limit` is the one that leaves the fewest
    connections, and `limited_by` names it. `others` is how many other programs' connections count towards it."""

    limit: int
    limited_by: str
    others: int


@dataclass(frozen=True, kw_only=True, slots=True)
class DatabaseFacts:
    """What the server says.

    Each tuple of words is empty when all is well. Grants are checked only when no table is missing.
    `schema_refuses`: what no migration repairs, that is types and constraints that refuse our writes.
    `ids`: what is known about the uniqueness of ids. `triggers`: those of `pod_activities`.
    `rows_hidden`: tables without a policy, which hide every row. `row_security`: tables that may hide some rows.
    `is_pooled`: a pooler answers instead of the server. `replicas`: the number of physical replicas.
    `clock_ahead`: the server's clock minus ours, exact to within `clock_known_to`.
    """

    version: str
    is_local: bool
    is_encrypted: bool
    is_read_only: bool
    is_pooled: bool
    schema_lacks: tuple[str, ...]
    schema_refuses: tuple[str, ...]
    ids: IdFacts
    triggers: tuple[Trigger, ...]
    missing_grants: tuple[str, ...]
    rows_hidden: tuple[str, ...]
    row_security: tuple[str, ...]
    capacity: Capacity
    replicas: int
    synchronous_standby_names: str
    clock_ahead: timedelta
    clock_known_to: timedelta
    accounts: tuple[Account, ...]


_SERVER = """
SELECT current_setting('server_version'),
       pg_backend_pid(),
       pg_is_in_recovery() OR current_setting('transaction_read_only') = 'on',
       current_setting('synchronous_standby_names')
"""
# Logical subscribers (Supabase's Realtime is one) are not standbys.
_REPLICAS = """
SELECT count(*) FROM pg_stat_replication r
 WHERE NOT EXISTS (SELECT 1 FROM pg_replication_slots s WHERE s.active_pid = r.pid AND s.slot_type = 'logical')
"""
# Each limit and what counts towards it. Every role can see `numbackends`, but not what other roles do. Our connections
# are known by their application name. A limit of -1 means no limit.
_CAPACITY = """
WITH ours AS (SELECT count(*) AS n FROM pg_stat_activity WHERE application_name = %(application)s)
SELECT current_setting('max_connections')::int - current_setting('superuser_reserved_connections')::int
       - COALESCE(current_setting('reserved_connections', true)::int, 0),
       'max_connections', (SELECT sum(numbackends) FROM pg_stat_database) - ours.n FROM ours
 UNION ALL
SELECT datconnlimit, 'the database''s CONNECTION LIMIT', pg_stat_get_db_numbackends(oid) - ours.n
  FROM pg_database, ours WHERE datname = current_database() AND datconnlimit >= 0
 UNION ALL
SELECT rolconnlimit, 'the role''s CONNECTION LIMIT',
       (SELECT count(*) FROM pg_stat_activity WHERE usename = session_user) - ours.n
  FROM pg_roles, ours WHERE rolname = session_user AND rolconnlimit >= 0
"""
_ACCOUNTS = """
SELECT id::text, profile_id::text, unipile_account_id::text, access_token, status::text, daily_limit
  FROM linkedin_accounts ORDER BY 1 LIMIT %(limit)s
"""
# libpq gives no error code before there is a session. We can only read the words of its message.
_COMPLAINTS = (
    (Obstacle.TLS, ("ssl", "tls", "certificate", "no encryption", "pg_hba.conf")),
    (Obstacle.FULL, ("too many connections", "too many clients", "connection slots", "max client", "pool_size")),
    (Obstacle.PASSWORD, ("password", "authentication failed", "role ", "user not found")),
    (Obstacle.NO_DATABASE, ("database ",)),
)


def _utc_now() -> datetime:
    return datetime.now(timezone.utc)


def examine_database(url: str, *, now: Callable[[], datetime] = _utc_now) -> DatabaseFacts | Refused:
    """Connect once and examine the database.

    Args:
        url: a checked database URL.
        now: this machine's time, aware UTC.
    """
    try:
        opened = connect(url, connect_timeout=_CONNECT_SECONDS, application_name=_APPLICATION)
    except StoreUnavailable as error:
        message = str(error).removeprefix("PostgreSQL: ")
        return Refused(obstacle=_obstacle(message), message=message)
    with closing(opened) as connection:
        try:
            connection.autocommit = True
            unfit = unfit_encoding(connection)
            if unfit is not None:  # its other answers may be unreadable, and are of no use
                return Refused(obstacle=Obstacle.ENCODING, message=f"{unfit[0].upper()}{unfit[1:]}")
            return _facts(connection, now)
        except psycopg2.Error as error:
            return Refused(obstacle=Obstacle.BROKE_OFF, message=first_line(error))


def _obstacle(message: str) -> Obstacle:
    complaint = message.lower()
    if "could not translate host" in complaint or "connection refused" in complaint or "timeout" in complaint:
        return Obstacle.UNREACHABLE
    for obstacle, words in _COMPLAINTS:
        if any(word in complaint for word in words):
            return obstacle
    return Obstacle.UNREACHABLE


def _facts(connection: Connection, now: Callable[[], datetime]) -> DatabaseFacts:
    clock_ahead, known_to = _clock(connection, now)
    (version, backend, is_read_only, standbys) = _row(connection, _SERVER)
    catalog = read_catalog(connection)
    tables_are_there = not catalog.absent()
    info = connection.info
    return DatabaseFacts(
        version=version,
        is_local=(info.host or "/").startswith(("/", "@")) or info.host in ("localhost", "127.0.0.1", "::1"),
        is_encrypted=bool(info.ssl_in_use),
        is_read_only=is_read_only,
        # A pooler invents the process id that it gives to its client.
        is_pooled=backend != info.backend_pid,
        schema_lacks=catalog.absent() or _told(pending(connection)),
        schema_refuses=(*catalog.misfits(), *broken_rules(connection)),
        ids=_ids(connection),
        triggers=read_triggers(connection),
        missing_grants=missing_grants(connection) if tables_are_there else (),
        rows_hidden=writes_hidden(connection),
        row_security=tables_under_row_security(connection),
        capacity=_capacity(connection),
        replicas=int(_row(connection, _REPLICAS)[0]),
        synchronous_standby_names=standbys,
        clock_ahead=clock_ahead,
        clock_known_to=known_to,
        accounts=_accounts(connection) if tables_are_there else (),
    )


def _clock(connection: Connection, now: Callable[[], datetime]) -> tuple[timedelta, timedelta]:
    """The difference of the clocks, and half of the query's round trip.
    The first query only warms up the connection."""
    _row(connection, "SELECT clock_timestamp()")
    asked_at = now()
    (theirs,) = _row(connection, "SELECT clock_timestamp()")
    half = (now() - asked_at) / 2
    return theirs - (asked_at + half), half


def _ids(connection: Connection) -> IdFacts:
    with connection.cursor() as cursor:
        cursor.execute("BEGIN READ ONLY")
        found = read_ids(connection)
        cursor.execute("ROLLBACK")
    return found


def _capacity(connection: Connection) -> Capacity:
    with connection.cursor() as cursor:
        cursor.execute(_CAPACITY, {"application": _APPLICATION})
        limit, limited_by, others = min(cursor.fetchall(), key=lambda row: row[0] - max(row[2], 0))
    return Capacity(limit=int(limit), limited_by=limited_by, others=max(int(others), 0))


def _accounts(connection: Connection) -> tuple[Account, ...]:
    """Empty if this role may not read them: that is reported as a missing grant."""
    if not _row(connection, "SELECT has_table_privilege('linkedin_accounts', 'SELECT')")[0]:
        return ()
    with connection.cursor() as cursor:
        cursor.execute(_ACCOUNTS, {"limit": MOST_ACCOUNTS})
        return tuple(as_account(row) for row in cursor.fetchall())


def _told(statements: tuple[str, ...]) -> tuple[str, ...]:
    return tuple(statement.partition("\n")[0].rstrip(" (") for statement in statements)


def _row(connection: Connection, statement: str, **parameters: Any) -> tuple[Any, ...]:
    """The one row of the statement."""
    with connection.cursor() as cursor:
        cursor.execute(statement, parameters)
        row = cursor.fetchone()
    assert row is not None  # noqa: S101 - each of them has exactly one
    return row
