"""The rows behind an activity store, whichever it is, so that a test can speak of rows and not of where they lie."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import fields
from datetime import datetime, timedelta
from typing import Any, Protocol

import psycopg2
import psycopg2.extras

from adapters.postgres.connection.pool import PostgresPool
from adapters.postgres.store.activities import PostgresActivityStore
from engagement_core.model.activity import Account, Activity, Pod, VoiceCartridge
from engagement_core.model.decision import Decision, Write
from engagement_core.model.errors import Effect
from engagement_core.model.snapshot import Snapshot
from engagement_core.ports.activities import ActivityStore
from fakes.activities import InMemoryActivityStore
from fakes.clock import InMemoryClock
from support.servers import fresh_database

__all__ = ["InMemoryTables", "PostgresTables", "Tables", "postgres_tables", "show", "write"]


def show(tables: Tables, activity_id: str = "activity-1", **crediting: Any) -> Snapshot:
    """What the store shows."""
    return tables.store.change(activity_id, _look, **crediting)


def write(tables: Tables, *writes: Write, activity_id: str = "activity-1") -> None:
    """Apply writes."""
    tables.store.change(activity_id, lambda _: Decision(None, writes))


def _look(snapshot: Snapshot) -> Decision[Snapshot]:
    return Decision(snapshot)


class Tables(Protocol):
    """The rows behind a store."""

    store: ActivityStore

    def put(self, *rows: Activity | Pod | Account | VoiceCartridge) -> None:
        """Write rows of other services."""

    def beat(self, worker_id: str, ago: timedelta) -> None:
        """A worker's last sign of life."""

    def now(self) -> datetime:
        """The store's time."""

    def dead_letters(self) -> dict[str, tuple[str, Effect]]:
        """The open letters: message and effect by activity."""

    def alerts(self) -> list[str]:
        """The open incidents, in the order in which they were raised."""


class InMemoryTables:
    """The fake's dictionaries."""

    def __init__(self) -> None:
        self.clock = InMemoryClock()
        self.fake = InMemoryActivityStore(now=self.clock.now)
        self.store: ActivityStore = self.fake

    def put(self, *rows: Any) -> None:
        """See `Tables`."""
        places: dict[type, dict[str, Any]] = {
            Activity: self.fake.activities,
            Pod: self.fake.pods,
            Account: self.fake.accounts,
            VoiceCartridge: self.fake.cartridges,
        }
        for row in rows:
            places[type(row)][row.id] = row

    def beat(self, worker_id: str, ago: timedelta) -> None:
        """See `Tables`."""
        self.fake.beats[worker_id] = self.now() - ago

    def now(self) -> datetime:
        """See `Tables`."""
        return self.clock.now()

    def dead_letters(self) -> dict[str, tuple[str, Effect]]:
        """See `Tables`."""
        return {key: (letter.message, letter.effect) for key, letter in self.fake.dead_letters.items()}

    def alerts(self) -> list[str]:
        """See `Tables`."""
        return list(self.fake.alerts)


class PostgresTables:
    """Real tables."""

    def __init__(self, url: str, pool: PostgresPool, connection: psycopg2.extensions.connection) -> None:
        self.url = url
        self.pool = pool
        self.store: ActivityStore = PostgresActivityStore(pool)
        self._connection = connection

    def put(self, *rows: Any) -> None:
        """See `Tables`."""
        for row in rows:
            columns = {field.name: getattr(row, field.name) for field in fields(row)}
            if isinstance(row, Account):
                columns["unipile_account_id"] = columns.pop("provider_account_id")
            if isinstance(row, VoiceCartridge):
                columns["templates"] = json.dumps(row.templates)
            if isinstance(row, Activity):
                columns["engagement_type"] = row.engagement_type.value
            names, places = ", ".join(columns), ", ".join(f"%({name})s" for name in columns)
            changes = ", ".join(f"{name} = EXCLUDED.{name}" for name in columns)
            table = _TABLES[type(row)]
            self.sql(
                f"INSERT INTO {table} ({names}) VALUES ({places}) ON CONFLICT (id) DO UPDATE SET {changes}", columns
            )

    def beat(self, worker_id: str, ago: timedelta) -> None:
        """See `Tables`."""
        self.sql(
            "INSERT INTO engagement_workers (worker_id, host, pid, concurrency, beat_at)"
            " VALUES (%(id)s, 'h', 1, 1, clock_timestamp() - %(ago)s)",
            {"id": worker_id, "ago": ago},
        )

    def now(self) -> datetime:
        """See `Tables`."""
        now: datetime = self.sql("SELECT clock_timestamp() AS now")[0]["now"]
        return now

    def dead_letters(self) -> dict[str, tuple[str, Effect]]:
        """See `Tables`."""
        rows = self.sql("SELECT activity_id, message, effect FROM engagement_dead_letters WHERE closed_at IS NULL")
        return {row["activity_id"]: (row["message"], Effect(row["effect"])) for row in rows}

    def alerts(self) -> list[str]:
        """See `Tables`."""
        rows = self.sql("SELECT incident FROM engagement_alerts WHERE resolved_at IS NULL ORDER BY id")
        return [row["incident"] for row in rows]

    def activity(self, activity_id: str = "activity-1") -> dict[str, Any]:
        """The public row, with every column."""
        return self.sql("SELECT * FROM pod_activities WHERE id::text = %(id)s", {"id": activity_id})[0]

    def sql(self, statement: str, parameters: dict[str, Any] | None = None) -> list[dict[str, Any]]:
        """One statement, on a connection of its own."""
        with self._connection.cursor(cursor_factory=psycopg2.extras.RealDictCursor) as cursor:
            cursor.execute(statement, parameters)
            return [dict(row) for row in cursor.fetchall()] if cursor.description else []

    def empty(self) -> None:
        """Remove every row."""
        tables = self.sql("SELECT string_agg(quote_ident(relname), ', ') AS all FROM pg_stat_user_tables")[0]["all"]
        self.sql(f"TRUNCATE {tables}")


_TABLES = {
    Activity: "pod_activities",
    Pod: "pods",
    Account: "linkedin_accounts",
    VoiceCartridge: "voice_cartridges",
}


@contextmanager
def postgres_tables(server_url: str, template: str) -> Iterator[PostgresTables]:
    """A store on a database of its own, cloned from `template`."""
    with (
        fresh_database(server_url, template) as url,
        closing(psycopg2.connect(url)) as connection,
        closing(PostgresPool(url, size=2, patience=timedelta(seconds=10))) as pool,
    ):
        connection.autocommit = True
        yield PostgresTables(url, pool, connection)
