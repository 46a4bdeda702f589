"""Every alert on real tables: it comes when it should, once, and it is over when it should be."""

from __future__ import annotations

import threading
from collections.abc import Callable
from contextlib import closing
from dataclasses import replace
from datetime import timedelta
from functools import partial
from typing import Any

import pytest

from adapters.postgres.connection.pool import PostgresPool
from adapters.postgres.readers import incident_facts as sql
from adapters.postgres.readers.incident_facts import PostgresIncidentFacts
from adapters.postgres.store.activities import PostgresActivityStore
from adapters.postgres.store.alerts import PostgresAlertOutbox
from adapters.postgres.store.controls import PostgresControls
from engagement_core.decisions.bury import bury
from engagement_core.decisions.dead_letters import decide_requeue
from engagement_core.model.activity import Pod
from engagement_core.model.controls import BlockScope
from engagement_core.model.decision import Decision, RaiseAlert, SaveAttempt
from engagement_core.model.errors import Cause, Failure
from engagement_core.model.incident import IncidentKind
from engagement_core.model.lifecycle import Phase
from engagement_core.model.snapshot import Snapshot
from engagement_core.ports.activities import ActivityStore
from engagement_core.use_cases.watch_incidents import Watch
from fakes.linkedin import InMemoryLinkedIn
from fakes.queue import InMemoryQueue
from fakes.telemetry import InMemoryTelemetry
from support.builders import SECOND, a_like, an_account, an_attempt
from support.tables import PostgresTables, write

HOUR, MINUTE = timedelta(hours=1), timedelta(minutes=1)


def bury_in(store: ActivityStore, cause: Cause, activity_id: str) -> None:
    """As a verdict after a call of account-1 does it."""
    failure = Failure(cause=cause, message="It went wrong.")

    def decide(snapshot: Snapshot) -> Decision[None]:
        return Decision(None, bury(snapshot, activity_id, failure, counts=True, account_id="account-1").writes)

    store.change(activity_id, decide)


class Scene:
    """Tables with an activity that can be executed, and a worker's watch over them."""

    def __init__(self, tables: PostgresTables) -> None:
        self.tables = tables
        self.linkedin = InMemoryLinkedIn()
        self.outbox = PostgresAlertOutbox(tables.pool)
        self.reader = PostgresIncidentFacts(tables.pool)
        self.watch = Watch(
            store=tables.store,
            queue=InMemoryQueue(tables.now),
            linkedin=self.linkedin,
            reader=self.reader,
            outbox=self.outbox,
            telemetry=InMemoryTelemetry(),
        )
        tables.put(Pod(id="pod-1", voice_cartridge_id=None, linkedin_account_id="account-1"), an_account(), a_like())

    def told(self) -> list[tuple[str, str, int]]:
        """Everything that was ever said: incident, state, how often."""
        rows = self.tables.sql("SELECT incident, state, times FROM engagement_alerts ORDER BY id")
        return [(row["incident"], row["state"], row["times"]) for row in rows]

    def let_pass(self, duration: timedelta) -> None:
        """Everything happened so much earlier."""
        for table, columns in _TIMES.items():
            changes = ", ".join(f"{column} = {column} - %(by)s" for column in columns)
            self.tables.sql(f"UPDATE {table} SET {changes}", {"by": duration})

    def bury(self, cause: Cause, activity_id: str = "activity-1") -> None:
        """As a verdict does it."""
        bury_in(self.tables.store, cause, activity_id)

    def attempted(self, number: int, phase: Phase, **error: Any) -> None:
        """An attempt of an activity of its own, begun just now."""
        now = self.tables.now()
        attempt = an_attempt(phase, activity_id=f"a-{number}", token=f"t/{number}", began_at=now, error=error or None)
        write(self.tables, SaveAttempt(replace(attempt, claimed_at=now, deadline_at=now + 30 * SECOND)))


_TIMES = {
    "engagement_alerts": ("raised_at", "last_at", "next_try_at"),
    "engagement_attempts": ("began_at", "claimed_at", "deadline_at"),
    "engagement_workers": ("beat_at", "started_at"),
}


@pytest.fixture
def scene(database: PostgresTables) -> Scene:
    """Empty tables, and nothing wrong."""
    database.empty()
    return Scene(database)


def test_calm_is_silent(scene: Scene) -> None:
    """A look finds nothing, and says nothing."""
    scene.watch.run_once()
    scene.watch.check_breaker()
    assert scene.told() == []


def test_expired_login_is_told_until_the_hold_is_lifted(scene: Scene) -> None:
    """Fifty activities of the account would be one alert."""
    for number in range(3):
        scene.tables.put(a_like(id=f"a-{number}"))
        scene.bury(Cause.ACCOUNT_SIGNED_OUT, f"a-{number}")
    scene.watch.run_once()
    assert scene.told() == [("auth_error:account-1", "raised", 3)]
    PostgresControls(scene.tables.pool).resume(BlockScope.ACCOUNT, "account-1")
    scene.watch.run_once()
    assert scene.told() == [("auth_error:account-1", "raised", 3), ("auth_error:account-1", "resolved", 1)]


def test_exhausted_rate_limit_is_told_until_the_account_executes_something(scene: Scene) -> None:
    """Something that began afterwards."""
    scene.attempted(0, Phase.EXECUTED)
    scene.bury(Cause.RATE_LIMITED)
    scene.watch.run_once()
    assert scene.told() == [("rate_limit:account-1", "raised", 1)]
    scene.attempted(1, Phase.EXECUTED)
    scene.watch.run_once()
    assert scene.told()[1:] == [("rate_limit:account-1", "resolved", 1)]


def test_exhausted_rate_limit_is_over_after_an_hour(scene: Scene) -> None:
    """Although nothing has proven it."""
    scene.bury(Cause.RATE_LIMITED)
    scene.let_pass(HOUR - 5 * SECOND)
    scene.watch.run_once()
    assert len(scene.told()) == 1
    scene.let_pass(10 * SECOND)
    scene.watch.run_once()
    assert len(scene.told()) == 2


def test_hundred_dead_letters_of_one_kind_are_one_alert(scene: Scene) -> None:
    """It names the first, counts the others, and is over when a person has dealt with all of them."""
    for number in range(100):
        scene.tables.put(a_like(id=f"a-{number}"))
        scene.bury(Cause.POST_GONE, f"a-{number}")
    scene.bury(Cause.REJECTED)
    scene.watch.run_once()
    assert scene.told() == [("dead_letter:post_not_found", "raised", 100), ("dead_letter:api_error", "raised", 1)]
    first = scene.outbox.take(limit=1)[0]
    assert (first.activity_id, first.kind) == ("a-0", "dead_letter")
    for number in range(100):
        scene.tables.store.change(f"a-{number}", decide_requeue)
    scene.watch.run_once()
    assert scene.told()[2:] == [("dead_letter:post_not_found", "resolved", 1)]


def test_backlog_is_told_until_it_is_worked_off(scene: Scene) -> None:
    """More than a thousand that could go; those of a paused account could not."""
    scene.tables.sql(
        "INSERT INTO pod_activities (id, pod_id, engagement_type, post_id, scheduled_for)"
        " SELECT 'due-' || n, 'pod-1', 'like', 'post', now() FROM generate_series(1, 1000) n"
    )
    scene.watch.run_once()
    assert scene.told() == [("queue_depth", "raised", 1)]
    PostgresControls(scene.tables.pool).pause(BlockScope.ACCOUNT, "account-1", "on holiday")
    scene.watch.run_once()
    assert scene.told()[1:] == [("queue_depth", "resolved", 1)]


def test_error_rate_is_told_until_it_has_fallen(scene: Scene) -> None:
    """Three of twenty; five minutes later nothing has failed."""
    for number in range(20):
        phase = Phase.SCHEDULED if number < 3 else Phase.EXECUTED
        scene.attempted(number, phase, error_type="api_error")
    scene.watch.run_once()
    assert scene.told() == [("error_rate", "raised", 1)]
    scene.let_pass(4 * MINUTE)
    scene.watch.run_once()
    assert len(scene.told()) == 1
    scene.let_pass(2 * MINUTE)
    scene.watch.run_once()
    assert scene.told()[1:] == [("error_rate", "resolved", 1)]


def test_crash_of_a_worker_is_told_and_so_is_its_restart(scene: Scene) -> None:
    """Silent, and silent still at the next look; a crash loop counts; then the new one lives for five minutes."""
    scene.tables.beat("worker-1", 20 * SECOND)
    scene.watch.run_once()
    assert scene.told() == []
    scene.watch.run_once()
    scene.watch.run_once()
    assert scene.told() == [("worker_lost:h", "raised", 1)]
    scene.let_pass(10 * SECOND)
    scene.tables.beat("worker-2", timedelta(0))
    scene.let_pass(7 * SECOND)
    for _ in range(2):
        scene.watch.run_once()
    assert scene.told() == [("worker_lost:h", "raised", 2)]
    scene.let_pass(6 * MINUTE)
    scene.watch.run_once()
    assert len(scene.told()) == 1
    scene.tables.beat("worker-3", timedelta(0))
    scene.watch.run_once()
    assert scene.told()[1:] == [("worker_lost:h", "resolved", 1)]
    for _ in range(2):
        scene.watch.run_once()
    assert len(scene.told()) == 2


def test_worker_that_left_is_not_missed(scene: Scene) -> None:
    """A drain is no crash."""
    scene.tables.beat("worker-1", 20 * SECOND)
    scene.tables.sql("UPDATE engagement_workers SET left_at = now()")
    for _ in range(2):
        scene.watch.run_once()
    assert scene.told() == []


def test_open_breaker_is_told_until_it_has_been_closed_for_a_minute(scene: Scene) -> None:
    """Every worker has its own; as long as one of them finds it open, it is not over."""
    scene.linkedin.close_for(5 * SECOND)
    scene.watch.check_breaker()
    scene.let_pass(50 * SECOND)
    scene.watch.check_breaker()
    scene.linkedin.close_for(timedelta(0))
    scene.let_pass(50 * SECOND)
    scene.watch.run_once()
    assert scene.told() == [("breaker_open", "raised", 2)]
    scene.let_pass(15 * SECOND)
    scene.watch.run_once()
    assert scene.told()[1:] == [("breaker_open", "resolved", 1)]


def test_unknown_outcome_is_told_after_an_hour_until_it_is_known(scene: Scene) -> None:
    """With the activity that has waited for the longest."""
    scene.attempted(1, Phase.UNKNOWN)
    scene.let_pass(HOUR - 10 * SECOND)
    scene.watch.run_once()
    assert scene.told() == []
    scene.let_pass(20 * SECOND)
    scene.watch.run_once()
    assert scene.told() == [("unknown_outcome", "raised", 1)]
    assert scene.outbox.take(limit=1)[0].activity_id == "a-1"
    scene.tables.sql("UPDATE engagement_attempts SET phase = 'executed', effect = 'applied'")
    scene.watch.run_once()
    assert scene.told()[1:] == [("unknown_outcome", "resolved", 1)]


def test_unreadable_job_is_over_after_a_day(scene: Scene) -> None:
    """Nobody can tell earlier."""
    kind = IncidentKind.UNREADABLE_PAYLOAD.value
    scene.outbox.put(RaiseAlert(incident=kind, kind=kind, message="!", activity_id=None))
    scene.let_pass(23 * HOUR)
    scene.watch.run_once()
    assert len(scene.told()) == 1
    scene.let_pass(2 * HOUR)
    scene.watch.run_once()
    assert scene.told()[1:] == [("unreadable_payload", "resolved", 1)]


def at_once(*actions: Callable[[], Any]) -> list[Any]:
    """Run them in as many threads, started together; what they returned."""
    barrier, results = threading.Barrier(len(actions)), []

    def run(action: Callable[[], Any]) -> None:
        barrier.wait()
        results.append(action())

    threads = [threading.Thread(target=run, args=(action,)) for action in actions]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return results


def test_eight_workers_raise_and_resolve_one_incident_once(scene: Scene) -> None:
    """Whoever comes first; the others change nothing but the count."""
    alert = RaiseAlert(incident="queue_depth", kind="queue_depth", message="!", activity_id=None)
    with closing(PostgresPool(scene.tables.url, size=8)) as pool:
        outbox = PostgresAlertOutbox(pool)
        at_once(*[partial(outbox.put, alert)] * 8)
        assert scene.told() == [("queue_depth", "raised", 8)]
        (seen,) = scene.reader.read(attempts_of=MINUTE).open_incidents
        resolved = at_once(*[partial(outbox.resolve, seen, "It is over.")] * 8)
        assert sorted(resolved) == [False] * 7 + [True]
        assert len(scene.told()) == 2
        taken = at_once(*[partial(outbox.take, limit=9)] * 8)
        assert [alert.state.value for alerts in taken for alert in alerts] == ["raised"]


def test_eight_workers_that_bury_at_once_raise_one_alert(scene: Scene) -> None:
    """Inside the transactions of the verdicts, which wait for each other no longer than a commit takes."""
    for number in range(8):
        scene.tables.put(a_like(id=f"a-{number}"))
    with closing(PostgresPool(scene.tables.url, size=8)) as pool:
        store = PostgresActivityStore(pool)
        at_once(*[partial(bury_in, store, Cause.POST_GONE, f"a-{number}") for number in range(8)])
    assert scene.told() == [("dead_letter:post_not_found", "raised", 8)]


def test_incident_that_is_raised_again_while_somebody_resolves_it_is_not_lost(scene: Scene) -> None:
    """Either it stays open, or it is a new one: at the end an incident is open."""
    alert = RaiseAlert(incident="queue_depth", kind="queue_depth", message="!", activity_id=None)
    for _ in range(20):
        scene.outbox.put(alert)
        (seen,) = scene.reader.read(attempts_of=MINUTE).open_incidents
        at_once(partial(scene.outbox.put, alert), partial(scene.outbox.resolve, seen, "It is over."))
        assert scene.tables.alerts() == ["queue_depth"]


@pytest.mark.parametrize(
    ("statement", "parameters", "index"),
    [
        (sql._OLDEST_UNKNOWN, {"limit": 10_000}, "engagement_attempts_unknown"),
        (sql._ATTEMPTS, {"since": 5 * MINUTE, "limit": 10_000}, "engagement_attempts_sent"),
        (sql._RECOVERED, {"subjects": ["account-1"], "since": ["2001-01-01"]}, "engagement_attempts_sent"),
        (sql._BURIED, {"subjects": ["api_error"]}, "engagement_dead_letters_types"),
        (sql._OPEN, {"limit": 1000}, "engagement_alerts_open"),
    ],
)
def test_looking_reads_along_an_index(scene: Scene, statement: str, parameters: dict[str, Any], index: str) -> None:
    """However long the past is."""
    scene.tables.sql(
        "INSERT INTO engagement_attempts (activity_id, number, token, worker_id, phase, event, effect, account_id,"
        "  engagement_type, post_id, claimed_at, deadline_at, began_at)"
        " SELECT 'x-' || n, 1, 't', 'w', CASE n % 100 WHEN 0 THEN 'unknown' ELSE 'executed' END, 'confirm', 'applied',"
        "  'account-1', 'like', 'post', now(), now(), now() - interval '3 days' FROM generate_series(1, 20000) n"
    )
    scene.tables.sql(
        "INSERT INTO engagement_dead_letters (activity_id, error_type, message, effect, next_step, buried_at)"
        " SELECT 'x-' || n, 'post_not_found', '!', 'none', '!', now() FROM generate_series(1, 20000) n"
    )
    scene.tables.sql(
        "INSERT INTO engagement_alerts (incident, kind, message, resolved_at, delivered_at)"
        " SELECT 'x-' || n, 'x', '!', now(), now() FROM generate_series(1, 20000) n"
    )
    for table in ("engagement_attempts", "engagement_dead_letters", "engagement_alerts"):
        scene.tables.sql(f"ANALYZE {table}")
    plan = "\n".join(row["QUERY PLAN"] for row in scene.tables.sql(f"EXPLAIN ANALYZE {statement}", parameters))
    assert index in plan, plan
    assert "Seq Scan on engagement" not in plan


def test_letter_that_comes_between_the_look_and_the_verdict_keeps_its_incident_open(scene: Scene) -> None:
    """The look found none: a resolution that is based on it is refused."""
    scene.bury(Cause.POST_GONE)
    scene.tables.store.change("activity-1", decide_requeue)
    (seen,) = scene.reader.read(attempts_of=MINUTE).open_incidents
    scene.bury(Cause.POST_GONE)
    assert scene.outbox.resolve(seen, "No dead letter of the type is open.") is False
    assert scene.tables.alerts() == ["dead_letter:post_not_found"]
