"""One suite for the vital signs, run against the fake and against PostgreSQL."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import Any, Protocol

import pytest

from adapters.postgres.readers.incident_facts import PostgresIncidentFacts
from engagement_core.model.controls import BlockScope, Control, ControlKind
from engagement_core.model.dead_letter import DeadLetter
from engagement_core.model.decision import AddDeadLetter, Block, CloseDeadLetter, RaiseAlert, SaveAttempt
from engagement_core.model.errors import Effect, ErrorType
from engagement_core.model.incident import IncidentKind
from engagement_core.model.incident_facts import IncidentFacts, OldestUnknown
from engagement_core.model.lifecycle import Event, Phase
from engagement_core.ports.incident_facts import IncidentFactsReader
from fakes.incident_facts import InMemoryIncidentFacts
from support.builders import SECOND, a_like, an_account, an_attempt
from support.tables import InMemoryTables, PostgresTables, Tables, write

MINUTE = timedelta(minutes=1)
SILENT_FOR = timedelta(seconds=6)


class Signs(Protocol):
    """A reader, and the rows that it reads."""

    reader: IncidentFactsReader
    tables: Tables

    def start_worker(self, worker_id: str, *, started: timedelta, beat: timedelta) -> None:
        """A worker that started and last beat so long ago; its host is its name up to the colon."""


class InMemorySigns:
    """The fake."""

    def __init__(self) -> None:
        self.tables: Tables = (tables := InMemoryTables())
        self.started: dict[str, Any] = {}
        self.reader: IncidentFactsReader = InMemoryIncidentFacts(
            store=tables.fake, silent_for=SILENT_FOR, started_at=self.started
        )

    def start_worker(self, worker_id: str, *, started: timedelta, beat: timedelta) -> None:
        """See `Signs`."""
        self.started[worker_id] = self.tables.now() - started
        self.tables.beat(worker_id, beat)


class PostgresSigns:
    """Real rows."""

    def __init__(self, tables: PostgresTables) -> None:
        self.rows = tables
        self.tables: Tables = tables
        self.reader: IncidentFactsReader = PostgresIncidentFacts(tables.pool, silent_for=SILENT_FOR)

    def start_worker(self, worker_id: str, *, started: timedelta, beat: timedelta) -> None:
        """See `Signs`."""
        self.tables.beat(worker_id, beat)
        self.rows.sql(
            "UPDATE engagement_workers SET host = split_part(worker_id, ':', 1), started_at = now() - %(started)s"
            " WHERE worker_id = %(id)s",
            {"id": worker_id, "started": started},
        )


@pytest.fixture
def postgres(database: PostgresTables) -> PostgresSigns:
    """Empty tables in PostgreSQL."""
    database.empty()
    return PostgresSigns(database)


@pytest.fixture(params=["in_memory", pytest.param("postgres", marks=pytest.mark.servers)])
def signs(request: pytest.FixtureRequest) -> Signs:
    """Each implementation, with an account and an activity."""
    found: Signs = InMemorySigns() if request.param == "in_memory" else request.getfixturevalue("postgres")
    found.tables.put(an_account(), a_like())
    return found


def look(signs: Signs) -> IncidentFacts:
    """One look at the last five minutes."""
    return signs.reader.read(attempts_of=5 * MINUTE)


def attempted(signs: Signs, number: int, phase: Phase, *, ago: timedelta = SECOND, **changes: Any) -> None:
    """An attempt of its own activity, begun so long ago."""
    attempt = an_attempt(phase, activity_id=f"a-{number}", token=f"t/{number}", **changes)
    began_at = None if phase is Phase.CLAIMED else signs.tables.now() - ago
    write(signs.tables, SaveAttempt(replace(attempt, began_at=began_at)))


def raised(signs: Signs, kind: IncidentKind, subject: str) -> None:
    """An open incident."""
    alert = RaiseAlert(incident=kind.about(subject), kind=kind.value, message="!", activity_id="activity-1")
    write(signs.tables, alert)


def test_nothing_is_no_reason_for_anything(signs: Signs) -> None:
    """All empty, with the database's time."""
    before = signs.tables.now()
    seen = look(signs)
    assert before <= seen.seen_at <= signs.tables.now()
    assert seen == IncidentFacts(seen_at=seen.seen_at)


def test_attempts_that_were_judged_or_lost_track_of_are_counted(signs: Signs) -> None:
    """Those under way, given back, or longer ago are not; what has no error of its own is an unknown outcome."""
    attempted(signs, 1, Phase.EXECUTED)
    attempted(signs, 2, Phase.SCHEDULED, error={"error_type": "rate_limit"})
    attempted(signs, 3, Phase.UNKNOWN)
    attempted(signs, 4, Phase.FAILED, error={"error_type": "rate_limit"})
    attempted(signs, 5, Phase.SENDING)
    attempted(signs, 6, Phase.CLAIMED)
    attempted(signs, 7, Phase.SCHEDULED, event=Event.RELEASE)
    attempted(signs, 8, Phase.FAILED, ago=6 * MINUTE)
    seen = look(signs)
    assert (seen.attempts, dict(seen.errors)) == (4, {"rate_limit": 2, "outcome_unknown": 1})


def test_the_oldest_unknown_outcome_is_the_one_that_was_sent_first(signs: Signs) -> None:
    """Whenever it is looked for next."""
    attempted(signs, 1, Phase.UNKNOWN, ago=MINUTE)
    attempted(signs, 2, Phase.UNKNOWN, ago=90 * MINUTE)
    attempted(signs, 3, Phase.FAILED, ago=99 * MINUTE)
    seen = look(signs)
    assert isinstance(seen.oldest_unknown, OldestUnknown)
    assert seen.oldest_unknown.activity_id == "a-2"
    assert abs(seen.seen_at - seen.oldest_unknown.since - 90 * MINUTE) < 5 * SECOND


def test_workers_that_are_silent_and_have_not_left_are_shown_with_their_replacement(signs: Signs) -> None:
    """Whoever is alive and started later. After a day nobody is missed any more."""
    signs.start_worker("host-a:1", started=60 * MINUTE, beat=10 * MINUTE)
    signs.start_worker("host-a:2", started=70 * MINUTE, beat=SECOND)
    signs.start_worker("host-b:3", started=70 * MINUTE, beat=25 * 60 * MINUTE)
    (lost,) = look(signs).silent
    assert (lost.worker_id, lost.host, lost.replaced_by, lost.is_news) == ("host-a:1", "host-a", None, True)
    signs.start_worker("host-c:4", started=MINUTE, beat=SECOND)
    (lost,) = look(signs).silent
    assert lost.replaced_by == "host-c:4"


def test_loss_that_was_told_is_no_news(signs: Signs) -> None:
    """An alert for its host was raised after its last beat."""
    signs.start_worker("host-a:1", started=60 * MINUTE, beat=10 * MINUTE)
    raised(signs, IncidentKind.WORKER_LOST, "host-b")
    assert [worker.is_news for worker in look(signs).silent] == [True]
    raised(signs, IncidentKind.WORKER_LOST, "host-a")
    assert [worker.is_news for worker in look(signs).silent] == [False]


def test_accounts_of_open_incidents_are_looked_after(signs: Signs) -> None:
    """Whether their hold is in force."""
    for account in ("account-1", "account-2"):
        raised(signs, IncidentKind.AUTH_ERROR, account)
    for kind, account in ((ControlKind.HOLD, "account-1"), (ControlKind.PAUSE, "account-2"), (ControlKind.HOLD, "x")):
        control = Control(kind=kind, scope=BlockScope.ACCOUNT, scope_id=account, until=None, reason="!")
        write(signs.tables, Block(control))
    assert look(signs).held == {"account-1"}


@pytest.mark.parametrize(("phase", "recovered"), [(Phase.EXECUTED, {"account-1"}), (Phase.FAILED, set())])
def test_account_has_recovered_when_it_executed_something_since(
    signs: Signs, phase: Phase, recovered: set[str]
) -> None:
    """Not before, and nothing else counts."""
    attempted(signs, 1, Phase.EXECUTED, ago=MINUTE)
    raised(signs, IncidentKind.RATE_LIMIT, "account-1")
    assert look(signs).recovered == set()
    attempted(signs, 2, phase, ago=-SECOND)
    assert look(signs).recovered == recovered


def test_types_of_open_letters_are_shown_as_far_as_an_incident_is_open(signs: Signs) -> None:
    """Until the last one is closed."""
    letter = DeadLetter(
        activity_id="activity-1",
        error_type=ErrorType.API_ERROR,
        message="!",
        effect=Effect.NONE,
        buried_at=signs.tables.now(),
        next_step="!",
    )
    write(signs.tables, AddDeadLetter(letter))
    assert look(signs).buried == set()
    for error_type in (ErrorType.API_ERROR, ErrorType.TOO_LATE):
        raised(signs, IncidentKind.DEAD_LETTER, error_type.value)
    assert look(signs).buried == {"api_error"}
    write(
        signs.tables,
        CloseDeadLetter(activity_id="activity-1", closed_at=signs.tables.now(), resolution="requeued"),
    )
    assert look(signs).buried == set()
