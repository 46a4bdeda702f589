"""Another service keeps rows locked for a long time: only these wait."""

from __future__ import annotations

import time
import uuid
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import replace
from datetime import timedelta

import psycopg2
import pytest

from adapters.postgres.store.activities import PostgresActivityStore
from adapters.postgres.store.workers import PostgresWorkerRegistry
from engagement_core.model.chore import Chore
from engagement_core.model.decision import SaveAttempt
from engagement_core.model.lifecycle import Phase
from engagement_core.use_cases.adopt_orphans import OrphanPolicy, adopt_orphans
from fakes.telemetry import InMemoryTelemetry
from support.builders import a_like, an_attempt
from support.tables import PostgresTables, write

SECOND = timedelta(seconds=1)


@pytest.fixture
def tables(database: PostgresTables) -> PostgresTables:
    """Empty tables."""
    database.empty()
    return database


@contextmanager
def locked(tables: PostgresTables, statement: str) -> Iterator[None]:
    """What the statement locks stays locked in the block."""
    with closing(psycopg2.connect(tables.url)) as connection, connection.cursor() as cursor:
        cursor.execute(statement)
        yield
        connection.rollback()


def leave_behind(tables: PostgresTables, phase: Phase, count: int, *, since: timedelta = timedelta(0)) -> list[str]:
    """Activities with an attempt that nobody works on, one after the other."""
    names = [f"{phase.value}-{number:02d}" for number in range(count)]
    now = tables.now() - since
    for number, name in enumerate(names):
        tables.put(a_like(id=name))
        at = now - (count - number) * SECOND
        attempt = an_attempt(phase, activity_id=name, token=name)
        write(tables, SaveAttempt(replace(attempt, deadline_at=at, look_at=at)), activity_id=name)
    return names


def test_ten_locked_orphans_delay_no_other(tables: PostgresTables) -> None:
    """They are first in line. Each would cost the time for which a lock is waited for, which is five seconds."""
    names = leave_behind(tables, Phase.CLAIMED, 12, since=timedelta(minutes=1))
    ten = ", ".join(f"'{name}'" for name in names[:10])
    with locked(tables, f"SELECT 1 FROM pod_activities WHERE id IN ({ten}) FOR UPDATE"):
        began = time.monotonic()
        assert adopt_orphans(tables.store, InMemoryTelemetry(), OrphanPolicy()) == 2
        assert time.monotonic() - began < 2
    assert adopt_orphans(tables.store, InMemoryTelemetry(), OrphanPolicy()) == 10


def test_locked_unknown_outcomes_hide_no_other(tables: PostgresTables) -> None:
    """However many are asked for: more than that are locked, and all of those have waited longer."""
    names = leave_behind(tables, Phase.UNKNOWN, 25)
    locked_ones = ", ".join(f"'{name}'" for name in names[:22])
    with locked(tables, f"SELECT 1 FROM pod_activities WHERE id IN ({locked_ones}) FOR UPDATE"):
        began = time.monotonic()
        assert tables.store.unknowns(limit=20) == tuple(names[22:])
        assert time.monotonic() - began < 2
    assert tables.store.unknowns(limit=20) == tuple(names[:20])


def test_what_is_left_of_a_deleted_row_is_found(tables: PostgresTables) -> None:
    """There is no row to lock."""
    (name,) = leave_behind(tables, Phase.UNKNOWN, 1)
    tables.sql("DELETE FROM pod_activities")
    assert tables.store.unknowns(limit=20) == (name,)


def test_an_id_that_no_row_can_have_is_no_error(tables: PostgresTables) -> None:
    """Ids were texts once and are uuids now. The attempt of a row that was deleted before keeps its old id."""
    (name,) = leave_behind(tables, Phase.UNKNOWN, 1)
    other = str(uuid.uuid4())
    tables.sql("UPDATE pod_activities SET id = %(id)s", {"id": other})
    tables.sql("ALTER TABLE pod_activities ALTER COLUMN id TYPE uuid USING id::uuid")
    try:
        assert PostgresActivityStore(tables.pool).unknowns(limit=20) == (name,)
    finally:
        tables.sql("ALTER TABLE pod_activities ALTER COLUMN id TYPE text")


def test_a_heartbeat_waits_for_no_table(tables: PostgresTables) -> None:
    """A migration has locked the attempts. The worker is alive all the same, and tells that there may be anything."""
    registry = PostgresWorkerRegistry(tables.pool)
    with locked(tables, "LOCK TABLE engagement_attempts"):
        began = time.monotonic()
        assert registry.beat("worker-1", host="h", pid=1, concurrency=1) == frozenset(Chore)
        assert time.monotonic() - began < 2
        assert registry.alive() == 1
