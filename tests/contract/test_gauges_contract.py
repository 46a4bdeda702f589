"""One suite for the levels, run against the fake and against PostgreSQL."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import timedelta
from typing import Any

import pytest

from adapters.postgres.readers.gauges import PostgresGauges
from engagement_core.model.activity import PublicStatus
from engagement_core.model.controls import BlockScope, Control, ControlKind
from engagement_core.model.dead_letter import DeadLetter
from engagement_core.model.decision import AddDeadLetter, Block, CloseDeadLetter, SaveAttempt
from engagement_core.model.errors import Effect, ErrorType
from engagement_core.model.gauges import Gauges
from engagement_core.model.lifecycle import Event, Phase
from engagement_core.ports.gauges import GaugesReader
from fakes.gauges import InMemoryGauges
from support.builders import SECOND, a_like, an_account, an_attempt
from support.servers import ServerUrls
from support.tables import InMemoryTables, PostgresTables, Tables, postgres_tables, write

MINUTE = timedelta(minutes=1)
NOTHING = Gauges(due=0, runnable=0, oldest_due=None, unknown=0, oldest_unknown=None, dead_letters=0, workers_alive=0)


@dataclass
class Gauge:
    """A reader, and the rows that it reads."""

    reader: GaugesReader
    tables: Tables


@pytest.fixture(scope="module")
def postgres(servers: ServerUrls, template_database: str) -> Iterator[PostgresTables]:
    """A database for this module."""
    with postgres_tables(servers.database_url, template_database) as tables:
        yield tables


@pytest.fixture(params=["in_memory", pytest.param("postgres", marks=pytest.mark.servers)])
def gauge(request: pytest.FixtureRequest) -> Gauge:
    """The reader under test."""
    if request.param == "in_memory":
        fake = InMemoryTables()
        return Gauge(reader=InMemoryGauges(store=fake.fake), tables=fake)
    tables: PostgresTables = request.getfixturevalue("postgres")
    tables.empty()
    return Gauge(reader=PostgresGauges(tables.pool), tables=tables)


def about(age: timedelta | None, expected: timedelta) -> bool:
    """As old as expected; the database's clock goes on."""
    return age is not None and expected <= age < expected + 30 * SECOND


def put_like(gauge: Gauge, activity_id: str, *, due_ago: timedelta, **columns: Any) -> None:
    """A like that was due so long ago."""
    like = replace(a_like(), id=activity_id, scheduled_for=gauge.tables.now() - due_ago, **columns)
    gauge.tables.put(an_account(), like)


def test_nothing_is_nothing(gauge: Gauge) -> None:
    """No row, no age."""
    assert gauge.reader.read() == NOTHING


def test_due_is_what_waits_although_its_time_has_come(gauge: Gauge) -> None:
    """Neither what is still to come, nor what has ended, nor what a retry has put off."""
    put_like(gauge, "old", due_ago=10 * MINUTE)
    put_like(gauge, "young", due_ago=MINUTE)
    put_like(gauge, "future", due_ago=-MINUTE)
    put_like(gauge, "put-off", due_ago=20 * MINUTE, next_retry_at=gauge.tables.now() + MINUTE)
    put_like(gauge, "ended", due_ago=20 * MINUTE, status=PublicStatus.EXECUTED.value)
    gauges = gauge.reader.read()
    assert gauges.due == 2
    assert about(gauges.oldest_due, 10 * MINUTE)


def test_runnable_is_what_waits_although_nothing_blocks_it(gauge: Gauge) -> None:
    """More workers would not help what is blocked. A control that has ended blocks nothing."""
    put_like(gauge, "activity-1", due_ago=MINUTE)
    put_like(gauge, "activity-2", due_ago=MINUTE)
    ended = Control(
        kind=ControlKind.CAP, scope=BlockScope.ACCOUNT, scope_id="account-1", until=gauge.tables.now(), reason="over"
    )
    write(gauge.tables, Block(ended))
    gauges = gauge.reader.read()
    assert (gauges.due, gauges.runnable) == (2, 2)


@pytest.mark.parametrize(
    ("kind", "scope", "scope_id"),
    [
        (ControlKind.PAUSE, BlockScope.ALL, ""),
        (ControlKind.PAUSE, BlockScope.POD, "pod-1"),
        (ControlKind.PAUSE, BlockScope.ACCOUNT, "account-1"),
        (ControlKind.COOL_DOWN, BlockScope.ACCOUNT, "account-1"),
        (ControlKind.CAP, BlockScope.ACCOUNT, "account-1"),
    ],
)
def test_what_is_blocked_is_due_and_not_runnable(
    gauge: Gauge, kind: ControlKind, scope: BlockScope, scope_id: str
) -> None:
    """Whatever blocks it, and whatever the scope is."""
    put_like(gauge, "activity-1", due_ago=MINUTE)
    until = gauge.tables.now() + 10 * MINUTE
    write(gauge.tables, Block(Control(kind=kind, scope=scope, scope_id=scope_id, until=until, reason="so")))
    gauges = gauge.reader.read()
    assert (gauges.due, gauges.runnable) == (1, 0)


def test_what_waits_for_a_held_account_is_not_runnable(gauge: Gauge) -> None:
    """Its status says that it cannot act."""
    put_like(gauge, "activity-1", due_ago=MINUTE)
    gauge.tables.put(replace(an_account(), status="restricted"))
    gauges = gauge.reader.read()
    assert (gauges.due, gauges.runnable) == (1, 0)


@pytest.mark.parametrize(("phase", "event"), [(Phase.SENDING, Event.BEGIN_SENDING), (Phase.UNKNOWN, Event.LOSE_TRACK)])
def test_what_an_attempt_owns_does_not_wait(gauge: Gauge, phase: Phase, event: Event) -> None:
    """It is being executed, or looked for."""
    put_like(gauge, "activity-1", due_ago=MINUTE)
    write(gauge.tables, SaveAttempt(an_attempt(phase=phase, event=event, effect=Effect.UNKNOWN)))
    assert gauge.reader.read().due == 0


def test_unknown_outcomes_are_counted_with_the_age_of_the_oldest(gauge: Gauge) -> None:
    """Since it was sent."""
    for activity_id, ago in (("activity-1", MINUTE), ("activity-2", 3 * MINUTE)):
        put_like(gauge, activity_id, due_ago=5 * MINUTE)
        unknown = an_attempt(phase=Phase.UNKNOWN, event=Event.LOSE_TRACK, effect=Effect.UNKNOWN)
        began_at = gauge.tables.now() - ago
        attempt = replace(unknown, activity_id=activity_id, began_at=began_at, look_at=gauge.tables.now())
        write(gauge.tables, SaveAttempt(attempt), activity_id=activity_id)
    gauges = gauge.reader.read()
    assert gauges.unknown == 2
    assert about(gauges.oldest_unknown, 3 * MINUTE)


def test_dead_letters_are_the_open_ones(gauge: Gauge) -> None:
    """One that was requeued or resolved is none."""
    for activity_id in ("activity-1", "activity-2"):
        put_like(gauge, activity_id, due_ago=MINUTE)
        letter = DeadLetter(
            activity_id=activity_id,
            error_type=ErrorType.RATE_LIMIT,
            message="no",
            effect=Effect.NONE,
            next_step="wait",
            buried_at=gauge.tables.now(),
        )
        write(gauge.tables, AddDeadLetter(letter), activity_id=activity_id)
    closed = CloseDeadLetter(activity_id="activity-1", closed_at=gauge.tables.now(), resolution="requeued")
    write(gauge.tables, closed)
    assert gauge.reader.read().dead_letters == 1


def test_workers_alive_are_those_that_beat(gauge: Gauge) -> None:
    """Within the last six seconds."""
    gauge.tables.beat("here", SECOND)
    gauge.tables.beat("gone", MINUTE)
    assert gauge.reader.read().workers_alive == 1


def test_row_that_is_due_since_for_ever_is_counted_and_has_no_age(postgres: PostgresTables) -> None:
    """`-infinity` is a time to PostgreSQL; subtracting it would be an error, and the end of all looking."""
    postgres.empty()
    postgres.sql(
        "INSERT INTO pod_activities (id, pod_id, engagement_type, post_id, scheduled_for)"
        " VALUES ('a', 'p', 'like', 'post', '-infinity')"
    )
    assert PostgresGauges(postgres.pool).read() == replace(NOTHING, due=1, runnable=1)
