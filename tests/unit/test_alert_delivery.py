"""How alerts leave the outbox, and when a worker raises them."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from datetime import timedelta

import pytest

from adapters.alerts.log import LogAlerts
from engagement_core.alerting.policy import IncidentPolicy
from engagement_core.model.decision import RaiseAlert
from engagement_core.model.incident import Alert, AlertState
from engagement_core.model.signal import Signal
from engagement_core.ports.alerts import AlertsUndelivered
from engagement_core.use_cases.deliver_alerts import Delivery
from engagement_core.use_cases.watch_incidents import Watch
from fakes.alerts import InMemoryAlertOutbox
from fakes.incident_facts import InMemoryIncidentFacts
from fakes.linkedin import InMemoryLinkedIn
from fakes.queue import InMemoryQueue
from fakes.telemetry import InMemoryTelemetry
from support.builders import SECOND, a_like
from support.tables import InMemoryTables, write

MINUTE = timedelta(minutes=1)


@dataclass
class Webhook:
    """A webhook that refuses the messages that the test names."""

    refuses: set[str] = field(default_factory=set)
    tried: list[str] = field(default_factory=list)

    def send(self, alert: Alert) -> None:
        """See the port."""
        self.tried.append(alert.message)
        if alert.message in self.refuses:
            raise AlertsUndelivered("the webhook answered 500")


class Post:
    """An outbox in memory with everything around it."""

    def __init__(self, webhook: Webhook | None = None) -> None:
        self.tables = InMemoryTables()
        self.tables.put(a_like())
        self.clock = self.tables.clock
        self.telemetry = InMemoryTelemetry()
        self.outbox = InMemoryAlertOutbox(self.tables.fake)
        self.delivery = Delivery(
            outbox=self.outbox, log=LogAlerts(self.telemetry), webhook=webhook, telemetry=self.telemetry
        )

    def raise_alerts(self, *messages: str) -> None:
        """One incident each."""
        for message in messages:
            write(self.tables, RaiseAlert(incident=message, kind="k", message=message, activity_id=None))

    def logged(self, signal: Signal = Signal.ALERT) -> list[object]:
        """The messages in the log."""
        return [fields["message"] for fields in self.telemetry.fields_of(signal)]


def test_without_a_webhook_the_log_is_enough() -> None:
    """Each alert once."""
    post = Post()
    post.raise_alerts("a", "b")
    for _ in range(2):
        post.delivery.run_once()
        post.clock.advance(2 * MINUTE)
    assert post.logged() == ["a", "b"]


def test_log_and_webhook_are_both_told() -> None:
    """In the order in which it happened."""
    webhook = Webhook()
    post = Post(webhook)
    post.raise_alerts("a", "b")
    post.delivery.run_once()
    assert post.logged() == webhook.tried == ["a", "b"]


def test_log_waits_for_no_webhook_and_is_not_told_again_because_of_it() -> None:
    """The webhook gets each alert at least once; the log gets it once."""
    webhook = Webhook(refuses={"a"})
    post = Post(webhook)
    post.raise_alerts("a", "b", "c")
    post.delivery.run_once()
    assert post.logged() == ["a", "b", "c"]
    assert webhook.tried == ["a"]
    assert post.logged(Signal.ALERT_UNDELIVERED) == ["the webhook answered 500"]
    post.delivery.run_once()
    assert webhook.tried == ["a", "b", "c"]
    webhook.refuses.clear()
    post.clock.advance(6 * SECOND)
    for _ in range(3):
        post.delivery.run_once()
    assert webhook.tried == ["a", "b", "c", "a"]
    assert post.logged() == ["a", "b", "c"]


def test_dead_webhook_is_tried_less_and_less() -> None:
    """It is tried a dozen times an hour, not 1800 times."""
    webhook = Webhook(refuses={"a"})
    post = Post(webhook)
    post.raise_alerts("a")
    for _ in range(1_800):
        post.delivery.run_once()
        post.clock.advance(2 * SECOND)
    assert 10 <= len(webhook.tried) <= 15


def test_resolved_is_logged_as_good_news() -> None:
    """It is another event, so that it wakes nobody."""
    post = Post()
    post.raise_alerts("a")
    facts = InMemoryIncidentFacts(store=post.tables.fake).read(attempts_of=MINUTE)
    assert post.outbox.resolve(facts.open_incidents[0], "It is over.")
    for _ in range(2):
        post.delivery.run_once()
    assert post.logged() == ["a"]
    assert post.logged(Signal.ALERT_RESOLVED) == ["It is over."]


def a_watch(post: Post, **changes: object) -> Watch:
    """A worker's watch over the post's store."""
    watch = Watch(
        store=post.tables.fake,
        queue=InMemoryQueue(post.clock.now),
        linkedin=InMemoryLinkedIn(),
        reader=InMemoryIncidentFacts(store=post.tables.fake),
        outbox=post.outbox,
        telemetry=post.telemetry,
    )
    return replace(watch, **changes)  # type: ignore[arg-type]


def test_everybody_was_silent_while_the_database_was_away() -> None:
    """A worker is lost only if it is still silent in the next run, three seconds later; this is reported once."""
    post = Post()
    watch = a_watch(post)
    for worker in ("a:1", "b:1"):
        post.tables.beat(worker, timedelta(seconds=60))
    assert watch.run_once() == timedelta(seconds=3)
    assert post.tables.alerts() == []
    post.tables.beat("a:1", timedelta(0))
    assert watch.run_once() == timedelta(seconds=10)
    assert post.tables.alerts() == ["worker_lost:b"]
    watch.run_once()
    assert [fields["lost"] for fields in post.telemetry.fields_of(Signal.WORKER_LOST)] == ["b:1"]


@pytest.mark.parametrize("outage", [None, "Redis is away"])
def test_backlog_is_seen_in_the_store_whatever_the_queue_says(outage: str | None) -> None:
    """The sweep works without it too."""
    post = Post()
    queue = InMemoryQueue(post.clock.now)
    queue.outage = outage
    watch = a_watch(post, queue=queue, policy=IncidentPolicy(most_waiting=2))
    post.tables.put(*(a_like(id=f"a-{number}", scheduled_for=post.clock.now()) for number in range(3)))
    watch.run_once()
    assert post.tables.alerts() == ["queue_depth"]


def test_backlog_is_seen_in_the_queue_too() -> None:
    """Ready jobs that no worker receives count as a backlog."""
    post = Post()
    queue = InMemoryQueue(post.clock.now)
    for number in range(3):
        queue.ring(f"a-{number}", post.clock.now())
    a_watch(post, queue=queue, policy=IncidentPolicy(most_waiting=2)).run_once()
    assert post.tables.alerts() == ["queue_depth"]


def test_breaker_is_looked_at_by_itself() -> None:
    """An open breaker raises an alert; a closed one does not."""
    post = Post()
    linkedin = InMemoryLinkedIn()
    watch = a_watch(post, linkedin=linkedin)
    watch.check_breaker()
    assert post.tables.alerts() == []
    linkedin.close_for(5 * SECOND)
    watch.check_breaker()
    assert post.tables.alerts() == ["breaker_open"]
    linkedin.close_for(timedelta(0))
    post.clock.advance(2 * MINUTE)
    watch.run_once()
    assert post.tables.alerts() == []
    assert [(alert.kind, alert.state) for alert in post.outbox.take(limit=9)] == [("breaker_open", AlertState.RAISED)]
