"""A provider that says 429: the account waits, nobody is charged for it, and nobody else notices."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from statistics import median

import pytest

from adapters.unipile.sandbox import Sandbox
from engagement_core.model.signal import Signal
from support.stage import Stage, stage_settings

MOMENT = 0.25
"""What was being committed while the verdict was, may still go."""


@pytest.fixture
def stage(database_url: str) -> Iterator[Stage]:
    """Two accounts, and a provider that takes 30 ms."""
    with Sandbox() as sandbox:
        here = Stage(settings=stage_settings(database_url, sandbox, concurrency=8), sandbox=sandbox)
        here.add_account(1)
        here.add_account(2)
        yield here


def run(stage: Stage, *rules: object) -> list[float]:
    """Thirty likes of account 1 at once while account 2 has one every 50 ms; how late account 2 was, each time."""
    stage.sandbox.set_faults([{"action": "latency", "ms": 30}, *rules])
    stage.sandbox.reset()
    stage.sql("TRUNCATE pod_activities, engagement_attempts, engagement_controls")
    done = len(stage.telemetry.fields_of(Signal.JOB_COMPLETED))
    stage.add_likes(2, 40, due_in=1.5, apart=0.05)
    stage.add_likes(1, 30, due_in=1.5)
    with stage.working():
        stage.wait_for(Signal.JOB_COMPLETED, done + 70)
    due = dict(stage.sql("SELECT post_id, extract(epoch FROM scheduled_for)::float8 FROM pod_activities"))
    effects = [each for each in stage.sandbox.ledger()["effects"] if each["account"] == "unipile-2"]
    return [each["received_at"] - due[each["post_id"]] for each in effects]


def test_the_account_waits_and_nobody_else_does(stage: Stage) -> None:
    """Asked to wait two seconds, it begins nothing meanwhile; one attempt is charged, and it comes back at its pace."""
    undisturbed = run(stage)
    disturbed = run(stage, {"match": {"account": "unipile-1", "times": 1}, "action": "rate_limit", "retry_after": 2})
    ((refused_at, until),) = stage.sql(
        "SELECT extract(epoch FROM created_at)::float8, extract(epoch FROM until)::float8"
        " FROM engagement_controls WHERE kind = 'cool_down'"
    )
    assert until - refused_at == pytest.approx(2, abs=0.1)

    received = [each["received_at"] for each in stage.sandbox.ledger()["effects"] if each["account"] == "unipile-1"]
    assert [at for at in received if refused_at + MOMENT < at < until] == []
    assert len([at for at in received if at >= until]) >= 15

    charged = "SELECT count(*) FILTER (WHERE failure_count = 1), sum(failure_count) FROM pod_activities"
    assert stage.sql(charged) == [(1, 1)]
    attempts = "SELECT event, count(*) FROM engagement_attempts WHERE account_id = 'account-1' GROUP BY 1"
    assert dict(stage.sql(attempts)) == {"refuse": 1, "confirm": 30}
    assert min(stage.distances("account-1", until)) >= stage.spacing / timedelta(seconds=1)

    assert len(disturbed) == len(undisturbed) == 40
    before, with_it = median(undisturbed), median(disturbed)
    print(f"the others' median lateness: {before:.4f} s without the 429, {with_it:.4f} s with it")  # noqa: T201 - with -rP
    assert with_it <= before * 1.1 + 0.02
    assert max(disturbed) <= max(undisturbed) + 0.5
    assert stage.sandbox.ledger()["duplicates"] == []


def test_without_a_time_to_wait_only_the_activity_does(stage: Stage) -> None:
    """A bare 429: the backoff is all that follows, and the account is not blocked."""
    bare = {"match": {"times": 1}, "action": "status", "status": 429}
    stage.sandbox.set_faults([bare])
    stage.add_likes(1, 5)
    with stage.working():
        stage.wait_for(Signal.JOB_COMPLETED, 5)
    assert stage.sql("SELECT sum(failure_count) FROM pod_activities") == [(1,)]
    assert stage.sql("SELECT kind FROM engagement_controls") == []


def test_errors_in_a_row_slow_the_account_down(stage: Stage) -> None:
    """Five 500s: it cools down for ten seconds, and the other account does not."""
    stage.sandbox.set_faults([{"match": {"account": "unipile-1"}, "action": "status", "status": 500}])
    stage.add_likes(1, 5)
    with stage.app() as app:
        for number in range(1, 6):
            app.maintenance.care.run_once()
            assert stage.sql("SELECT kind FROM engagement_controls") == []
            app.executor.execute(f"like-1-{number}")
        app.maintenance.care.run_once()
        ((kind, account_id, rest),) = stage.sql(
            "SELECT c.kind, c.scope_id, extract(epoch FROM c.until - max(t.began_at))::float8"
            " FROM engagement_controls c, engagement_attempts t GROUP BY c.id"
        )
        assert (kind, account_id, rest) == ("cool_down", "account-1", 10)
        app.maintenance.care.run_once()
        assert len(stage.sql("SELECT 1 FROM engagement_controls")) == 1
