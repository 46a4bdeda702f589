"""One suite for the alert outbox, run against the fake and against PostgreSQL."""

from __future__ import annotations

from datetime import timedelta
from typing import Protocol

import pytest

from adapters.postgres.readers.incident_facts import PostgresIncidentFacts
from adapters.postgres.store.alerts import PostgresAlertOutbox
from engagement_core.model.decision import RaiseAlert
from engagement_core.model.incident import AlertState, OpenIncident
from engagement_core.ports.alerts import AlertOutbox
from engagement_core.ports.incident_facts import IncidentFactsReader
from fakes.alerts import InMemoryAlertOutbox
from fakes.incident_facts import InMemoryIncidentFacts
from support.builders import a_like
from support.tables import InMemoryTables, PostgresTables, Tables, write

MINUTE = timedelta(minutes=1)


class Outbox(Protocol):
    """An outbox, the store whose writes fill it, and the reader that shows what is open."""

    outbox: AlertOutbox
    signs: IncidentFactsReader
    tables: Tables

    def let_pass(self, duration: timedelta) -> None:
        """Let time pass since everything so far."""


class InMemoryOutbox:
    """The fake."""

    def __init__(self) -> None:
        self.tables: Tables = (tables := InMemoryTables())
        self.clock = tables.clock
        self.outbox: AlertOutbox = InMemoryAlertOutbox(tables.fake)
        self.signs: IncidentFactsReader = InMemoryIncidentFacts(store=tables.fake)

    def let_pass(self, duration: timedelta) -> None:
        """See `Outbox`."""
        self.clock.advance(duration)


class PostgresOutbox:
    """Real rows; time passes because they are dated back."""

    def __init__(self, tables: PostgresTables) -> None:
        self.rows = tables
        self.tables: Tables = tables
        self.outbox: AlertOutbox = PostgresAlertOutbox(tables.pool)
        self.signs: IncidentFactsReader = PostgresIncidentFacts(tables.pool)

    def let_pass(self, duration: timedelta) -> None:
        """See `Outbox`."""
        self.rows.sql(
            "UPDATE engagement_alerts SET raised_at = raised_at - %(by)s, last_at = last_at - %(by)s,"
            " next_try_at = next_try_at - %(by)s",
            {"by": duration},
        )


@pytest.fixture
def postgres(database: PostgresTables) -> PostgresOutbox:
    """An empty outbox in PostgreSQL."""
    database.empty()
    return PostgresOutbox(database)


@pytest.fixture(params=["in_memory", pytest.param("postgres", marks=pytest.mark.servers)])
def alerts(request: pytest.FixtureRequest) -> Outbox:
    """Each implementation, with an activity to be alerted about."""
    found: Outbox = InMemoryOutbox() if request.param == "in_memory" else request.getfixturevalue("postgres")
    found.tables.put(a_like())
    return found


def raise_alerts(alerts: Outbox, *incidents: str) -> None:
    """As a verdict does it."""
    for incident in incidents:
        raised = RaiseAlert(incident=incident, kind="auth_error", message=f"about {incident}", activity_id="activity-1")
        write(alerts.tables, raised)


def taken(alerts: Outbox, limit: int = 10) -> list[str]:
    """The messages that are taken now."""
    return [alert.message for alert in alerts.outbox.take(limit=limit)]


def test_alert_carries_what_a_person_needs(alerts: Outbox) -> None:
    """What, about which activity, and when."""
    before = alerts.tables.now()
    raise_alerts(alerts, "a")
    (alert,) = alerts.outbox.take(limit=1)
    assert (alert.kind, alert.message, alert.activity_id) == ("auth_error", "about a", "activity-1")
    assert before <= alert.raised_at <= alerts.tables.now()


def test_oldest_are_taken_first_and_no_more_than_asked_for(alerts: Outbox) -> None:
    """The next round takes the rest."""
    raise_alerts(alerts, "a", "b", "c")
    assert taken(alerts, limit=2) == ["about a", "about b"]
    assert taken(alerts) == ["about c"]


def test_what_is_taken_is_the_takers_alone_for_a_minute(alerts: Outbox) -> None:
    """Then somebody else may try: the taker has died, or could not deliver."""
    raise_alerts(alerts, "a")
    assert taken(alerts) == ["about a"]
    assert taken(alerts) == []
    alerts.let_pass(MINUTE - timedelta(seconds=5))
    assert taken(alerts) == []
    alerts.let_pass(timedelta(seconds=6))
    assert taken(alerts) == ["about a"]


def test_what_is_delivered_is_not_taken_again(alerts: Outbox) -> None:
    """However much time passes."""
    raise_alerts(alerts, "a", "b")
    first, _ = alerts.outbox.take(limit=2)
    alerts.outbox.delivered(first)
    alerts.let_pass(2 * MINUTE)
    assert taken(alerts) == ["about b"]


def test_open_incident_is_one_alert(alerts: Outbox) -> None:
    """Also after it has been delivered."""
    raise_alerts(alerts, "a", "a")
    (alert,) = alerts.outbox.take(limit=10)
    alerts.outbox.delivered(alert)
    raise_alerts(alerts, "a")
    alerts.let_pass(2 * MINUTE)
    assert taken(alerts) == []


def the_open_incident(alerts: Outbox, times: int = 1) -> OpenIncident:
    """Incident a, as somebody who looked has seen it."""
    (seen,) = alerts.signs.read(attempts_of=MINUTE).open_incidents
    assert (seen.incident, seen.times) == ("a", times)
    return seen


def test_open_incident_counts_how_often_it_was_raised(alerts: Outbox) -> None:
    """By whoever; and says when last."""
    raise_alerts(alerts, "a")
    first = the_open_incident(alerts)
    alerts.let_pass(MINUTE)
    raise_alerts(alerts, "a")
    alerts.outbox.put(RaiseAlert(incident="a", kind="auth_error", message="again", activity_id=None))
    last = the_open_incident(alerts, times=3)
    assert last.last_at - last.raised_at >= MINUTE
    assert first.activity_id == last.activity_id == "activity-1"


def test_incident_that_is_over_is_told_once_more_after_it_was_told(alerts: Outbox) -> None:
    """The notice says since when; the next incident of that name is a new one."""
    raise_alerts(alerts, "a")
    seen = the_open_incident(alerts)
    assert alerts.outbox.resolve(seen, "It is over.") is True
    assert alerts.outbox.resolve(seen, "It is over.") is False
    assert alerts.tables.alerts() == []
    (raised,) = alerts.outbox.take(limit=10)
    assert raised.state is AlertState.RAISED
    alerts.outbox.delivered(raised)
    (notice,) = alerts.outbox.take(limit=10)
    assert (notice.state, notice.incident, notice.kind, notice.message) == (
        AlertState.RESOLVED,
        "a",
        "auth_error",
        "It is over.",
    )
    assert (notice.activity_id, notice.raised_at) == ("activity-1", raised.raised_at)
    alerts.outbox.delivered(notice)
    alerts.let_pass(MINUTE)
    raise_alerts(alerts, "a")
    assert taken(alerts) == ["about a"]


def test_incident_that_was_raised_again_meanwhile_is_not_over(alerts: Outbox) -> None:
    """Whoever found that it was had looked before."""
    raise_alerts(alerts, "a")
    seen = the_open_incident(alerts)
    raise_alerts(alerts, "a")
    assert alerts.outbox.resolve(seen, "It is over.") is False
    assert alerts.tables.alerts() == ["a"]


def test_what_could_not_be_delivered_waits_longer_each_time(alerts: Outbox) -> None:
    """5 s, 10 s, 20 s ...; the others do not wait for it, and only its first taking is new."""
    raise_alerts(alerts, "a", "b")
    (alert, _) = alerts.outbox.take(limit=10)
    assert alert.is_new
    for pause in (5, 10, 20):
        alerts.outbox.failed(alert)
        alerts.let_pass(timedelta(seconds=pause - 1))
        assert "about a" not in taken(alerts)
        alerts.let_pass(timedelta(seconds=1.1))
        (alert,) = (each for each in alerts.outbox.take(limit=10) if each.incident == "a")
        assert not alert.is_new


def test_what_nobody_tried_to_deliver_is_taken_at_once(alerts: Outbox) -> None:
    """It is not new any more, though."""
    raise_alerts(alerts, "a", "b")
    first, second = alerts.outbox.take(limit=10)
    alerts.outbox.failed(first)
    alerts.outbox.give_back((second,))
    assert [(alert.message, alert.is_new) for alert in alerts.outbox.take(limit=10)] == [("about b", False)]


def test_an_alert_that_was_put_is_taken_once_for_its_incident(alerts: Outbox) -> None:
    """However often the same thing happens while the incident is open."""
    alert = RaiseAlert(incident="incident-9", kind="kind-9", message="It happened.", activity_id=None)
    for _ in range(3):
        alerts.outbox.put(alert)
    assert [(taken.kind, taken.message) for taken in alerts.outbox.take(limit=10)] == [("kind-9", "It happened.")]
