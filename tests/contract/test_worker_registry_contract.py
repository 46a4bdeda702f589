"""One suite for the worker registry, run against the fake and against PostgreSQL."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import Any, Protocol

import pytest

from adapters.postgres.store.accounts import PostgresAccountRegister
from adapters.postgres.store.alerts import PostgresAlertOutbox
from adapters.postgres.store.workers import PostgresWorkerRegistry
from engagement_core.model.chore import Chore
from engagement_core.model.controls import BlockScope, Control, ControlKind
from engagement_core.model.decision import Block, RaiseAlert, SaveAttempt
from engagement_core.model.errors import Cause
from engagement_core.model.lifecycle import Phase
from engagement_core.ports.accounts import AccountRegister
from engagement_core.ports.alerts import AlertOutbox
from engagement_core.ports.workers import WorkerRegistry
from fakes.accounts import InMemoryAccountRegister
from fakes.alerts import InMemoryAlertOutbox
from fakes.workers import InMemoryWorkerRegistry
from support.builders import a_like, an_account, an_attempt
from support.tables import InMemoryTables, PostgresTables, Tables, write

SILENT_FOR = timedelta(seconds=6)
MARGIN = timedelta(seconds=5)


class Registered(Protocol):
    """A registry, and the store that reads its heartbeats."""

    registry: WorkerRegistry
    outbox: AlertOutbox
    register: AccountRegister
    tables: Tables

    def let_pass(self, duration: timedelta) -> None:
        """Let time pass since every heartbeat so far."""


class InMemoryRegistered:
    """The fake."""

    def __init__(self) -> None:
        self.tables: Tables = (tables := InMemoryTables())
        self.clock = tables.clock
        self.outbox: AlertOutbox = (outbox := InMemoryAlertOutbox(tables.fake))
        self.register: AccountRegister = (register := InMemoryAccountRegister(tables.fake))

        def look() -> frozenset[Chore]:
            there_are = {
                Chore.ORPHANS: tables.fake.orphans(silent_for=SILENT_FOR, margin=MARGIN, limit=1),
                Chore.UNKNOWNS: tables.fake.unknowns(limit=1),
                Chore.ALERTS: outbox.waits(),
                Chore.ACCOUNTS: register.held(limit=1)
                or register.failing(within=timedelta(hours=1), at_least=1, limit=1),
            }
            return frozenset(chore for chore, found in there_are.items() if found)

        self.registry: WorkerRegistry = InMemoryWorkerRegistry(
            tables.clock.now, silent_for=SILENT_FOR, beats=tables.fake.beats, look=look
        )

    def let_pass(self, duration: timedelta) -> None:
        """See `Registered`."""
        self.clock.advance(duration)


class PostgresRegistered:
    """Real rows; time passes because they are dated back."""

    def __init__(self, tables: PostgresTables) -> None:
        self.rows = tables
        self.tables: Tables = tables
        self.outbox: AlertOutbox = PostgresAlertOutbox(tables.pool)
        self.register: AccountRegister = PostgresAccountRegister(tables.pool)
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


def beat(workers: Registered, worker_id: str) -> frozenset[Chore]:
    """One sign of life, and what it tells."""
    return workers.registry.beat(worker_id, host="a-host", pid=1, concurrency=5)


def leave_behind(workers: Registered, phase: Phase, **changes: Any) -> None:
    """An activity whose attempt is in this phase; its worker is alive."""
    tables = workers.tables
    now = tables.now()
    tables.put(a_like(), an_account())
    times = {"deadline_at": now + timedelta(hours=1), "began_at": now, "look_at": now - timedelta(seconds=1)}
    write(tables, SaveAttempt(replace(an_attempt(phase), **{**times, **changes})))
    beat(workers, "worker-1")


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


def test_a_heartbeat_tells_that_there_is_nothing_to_do(workers: Registered) -> None:
    """What is under way, or is not due yet, is nothing to do."""
    assert beat(workers, "a") == frozenset()
    leave_behind(workers, Phase.SENDING)
    assert beat(workers, "a") == frozenset()
    leave_behind(workers, Phase.UNKNOWN, look_at=workers.tables.now() + timedelta(minutes=1))
    assert beat(workers, "a") == frozenset()


def test_a_heartbeat_tells_of_orphans_of_silent_workers(workers: Registered) -> None:
    """As soon as the worker counts as silent."""
    leave_behind(workers, Phase.SENDING)
    workers.let_pass(SILENT_FOR + timedelta(seconds=1))
    assert beat(workers, "a") == {Chore.ORPHANS}


def test_a_heartbeat_tells_of_orphans_past_their_deadline(workers: Registered) -> None:
    """Whoever holds them."""
    leave_behind(workers, Phase.SENDING, deadline_at=workers.tables.now() - 2 * MARGIN)
    assert beat(workers, "a") == {Chore.ORPHANS}


def test_a_heartbeat_tells_of_outcomes_whose_read_back_is_due(workers: Registered) -> None:
    """Until they are read back."""
    leave_behind(workers, Phase.UNKNOWN)
    assert beat(workers, "a") == {Chore.UNKNOWNS}
    leave_behind(workers, Phase.EXECUTED)
    assert beat(workers, "a") == frozenset()


def test_a_heartbeat_tells_of_alerts_until_they_are_taken(workers: Registered) -> None:
    """One that is being delivered, or waits after a failure, is nothing to do now."""
    workers.outbox.put(RaiseAlert(incident="i", kind="k", message="m", activity_id=None))
    assert beat(workers, "a") == {Chore.ALERTS}
    (alert,) = workers.outbox.take(limit=1)
    assert beat(workers, "a") == frozenset()
    workers.outbox.delivered(alert)
    assert beat(workers, "a") == frozenset()


def test_a_heartbeat_tells_of_held_accounts_until_their_probe_is_planned(workers: Registered) -> None:
    """And again when it is due. An account whose row was deleted is nobody's."""
    hold = Control(kind=ControlKind.HOLD, scope=BlockScope.ACCOUNT, scope_id="account-1", until=None, reason="r")
    write(workers.tables, Block(hold))
    assert beat(workers, "a") == frozenset()
    workers.tables.put(an_account())
    assert beat(workers, "a") == {Chore.ACCOUNTS}
    (held,) = workers.register.held(limit=1)
    assert workers.register.plan(held, probe_at=workers.tables.now() + timedelta(minutes=1), probes=0)
    assert beat(workers, "a") == frozenset()


def test_a_heartbeat_tells_of_accounts_that_may_keep_failing(workers: Registered) -> None:
    """An unknown outcome after a server error is enough to look."""
    error = {"cause": Cause.SERVER_ERROR.value, "message": "m"}
    leave_behind(workers, Phase.UNKNOWN, error=error, look_at=workers.tables.now() + timedelta(minutes=1))
    assert beat(workers, "a") == {Chore.ACCOUNTS}


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
