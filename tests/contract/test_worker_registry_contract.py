"""One suite for the worker registry, run against the fake and against PostgreSQL."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import Protocol

import pytest

from adapters.postgres.store.workers import PostgresWorkerRegistry
from engagement_core.model.decision import SaveAttempt
from engagement_core.ports.workers import WorkerRegistry
from fakes.workers import InMemoryWorkerRegistry
from support.builders import a_like, an_attempt
from support.tables import InMemoryTables, PostgresTables, Tables, write

SILENT_FOR = timedelta(seconds=6)


class Registered(Protocol):
    """A registry, and the store that reads its heartbeats."""

    registry: WorkerRegistry
    tables: Tables

    def let_pass(self, duration: timedelta) -> None:
        """Let time pass since every heartbeat so far."""


class InMemoryRegistered:
    """The fake."""

    def __init__(self) -> None:
        self.tables: Tables = (tables := InMemoryTables())
        self.clock = tables.clock
        self.registry: WorkerRegistry = InMemoryWorkerRegistry(
            tables.clock.now, silent_for=SILENT_FOR, beats=tables.fake.beats
        )

    def let_pass(self, duration: timedelta) -> None:
        """See `Registered`."""
        self.clock.advance(duration)


class PostgresRegistered:
    """Real rows; time passes because they are dated back."""

    def __init__(self, tables: PostgresTables) -> None:
        self.rows = tables
        self.tables: Tables = tables
        self.registry: WorkerRegistry = PostgresWorkerRegistry(tables.pool, silent_for=SILENT_FOR)

    def let_pass(self, duration: timedelta) -> None:
        """See `Registered`."""
        self.rows.sql("UPDATE engagement_workers SET beat_at = beat_at - %(by)s", {"by": duration})


@pytest.fixture
def postgres(database: PostgresTables) -> PostgresTables:
    """Empty tables in PostgreSQL."""
    database.empty()
    return database


@pytest.fixture(params=["in_memory", pytest.param("postgres", marks=pytest.mark.servers)])
def workers(request: pytest.FixtureRequest) -> Registered:
    """Each implementation."""
    if request.param == "in_memory":
        return InMemoryRegistered()
    return PostgresRegistered(request.getfixturevalue("postgres"))


def beat(workers: Registered, worker_id: str) -> None:
    """One sign of life."""
    workers.registry.beat(worker_id, host="a-host", pid=1, concurrency=5)


def test_first_beat_registers(workers: Registered) -> None:
    """However often it beats, it is one worker."""
    assert workers.registry.alive() == 0
    for worker_id in ("a", "a", "b"):
        beat(workers, worker_id)
    assert workers.registry.alive() == 2


def test_silent_worker_is_not_alive(workers: Registered) -> None:
    """Until it beats again."""
    beat(workers, "a")
    workers.let_pass(SILENT_FOR)
    beat(workers, "b")
    assert workers.registry.alive() == 1
    beat(workers, "a")
    assert workers.registry.alive() == 2


def test_worker_that_left_is_not_alive(workers: Registered) -> None:
    """At once; leaving twice, or without having come, is no error."""
    beat(workers, "a")
    for worker_id in ("a", "a", "nobody"):
        workers.registry.leave(worker_id)
    assert workers.registry.alive() == 0


def test_worker_that_comes_back_is_alive(workers: Registered) -> None:
    """A beat after leaving counts."""
    beat(workers, "a")
    workers.registry.leave("a")
    beat(workers, "a")
    assert workers.registry.alive() == 1


@pytest.mark.parametrize("gone", ["silent", "left"])
def test_what_a_worker_held_is_orphaned_when_it_is_gone(workers: Registered, gone: str) -> None:
    """The store reads the same heartbeats."""
    beat(workers, "worker-1")
    tables = workers.tables
    tables.put(a_like())
    held = replace(an_attempt(), deadline_at=tables.now() + timedelta(hours=1))
    write(tables, SaveAttempt(held))

    def orphans() -> int:
        return len(tables.store.orphans(silent_for=SILENT_FOR, margin=timedelta(seconds=5), limit=10))

    assert orphans() == 0
    if gone == "left":
        workers.registry.leave("worker-1")
    else:
        workers.let_pass(SILENT_FOR + timedelta(seconds=1))
    assert orphans() == 1


def test_rows_of_last_week_are_forgotten(postgres: PostgresTables) -> None:
    """They tell nobody anything, and a new worker has a new name after every start."""
    registry = PostgresWorkerRegistry(postgres.pool)
    for worker_id, days in (("old", 8), ("recent", 6)):
        registry.beat(worker_id, host="a-host", pid=1, concurrency=5)
        postgres.sql(
            "UPDATE engagement_workers SET beat_at = beat_at - %(ago)s WHERE worker_id = %(id)s",
            {"ago": timedelta(days=days), "id": worker_id},
        )
    registry.leave("somebody")
    assert [row["worker_id"] for row in postgres.sql("SELECT worker_id FROM engagement_workers")] == ["recent"]
