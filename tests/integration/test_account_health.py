"""An account that the provider has signed out: held, asked for, and back at its own pace."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta

import pytest

from adapters.postgres.connection.pool import PostgresPool
from adapters.postgres.readers.dead_letters import PostgresDeadLetters
from adapters.postgres.schema.migrate import migrate
from adapters.postgres.store.accounts import PostgresAccountRegister
from adapters.postgres.store.controls import PostgresControls
from adapters.unipile.sandbox import Sandbox
from engagement_core.decisions.account_recovery import HealthPolicy
from engagement_core.decisions.dead_letters import Requeued, decide_requeue
from engagement_core.model.controls import BlockScope
from engagement_core.model.errors import ErrorType
from engagement_core.model.letter_file import LetterFilter
from engagement_core.model.signal import Signal
from runners.bootstrap import App
from support.stage import Stage, stage_settings

SIGNED_OUT = {"match": {"account": "unipile-1"}, "action": "status", "status": 401}
UNWELL = {
    "match": {"request": "read"},
    "action": "status",
    "status": 200,
    "body": {"object": "Account", "sources": [{"id": "x", "status": "CREDENTIALS"}]},
}
HELD = "SELECT probes FROM engagement_controls WHERE kind = 'hold' AND lifted_at IS NULL"


@pytest.fixture
def stage(database_url: str) -> Iterator[Stage]:
    """One account; a held one is asked for after 100 ms, 200 ms, 400 ms and so on."""
    with Sandbox() as sandbox:
        policy = HealthPolicy(first_probe=timedelta(milliseconds=100), longest_probe=timedelta(milliseconds=800))
        here = Stage(settings=stage_settings(database_url, sandbox), sandbox=sandbox, health=policy)
        here.add_account(1)
        yield here


def requeue_all(app: App, pool: PostgresPool) -> int:
    """What a person does with `dead-letters requeue --error-type auth_error`."""
    letters = PostgresDeadLetters(pool).page(LetterFilter(error_type=ErrorType.AUTH_ERROR), limit=100)
    results = [app.executor.store.change(filed.letter.activity_id, decide_requeue) for filed in letters]
    return sum(isinstance(result, Requeued) for result in results)


def backdate_hold(stage: Stage) -> None:
    """Let it have lasted an hour: as long as that, up to ten minutes, the account comes back slowly."""
    stage.sql("UPDATE engagement_controls SET created_at = created_at - interval '1 hour'")


def ask(stage: Stage, app: App, *, times: int) -> None:
    """Rounds of the health duty until the account was asked for so often more."""
    before = stage.sandbox.ledger()["requests"]

    def asked() -> bool:
        app.maintenance.care.run_once()
        return bool(stage.sandbox.ledger()["requests"] >= before + times)

    stage.until(asked)


def test_one_expired_login_costs_one_activity_and_all_fifty_are_done_in_the_end(stage: Stage) -> None:
    """One alert, one dead letter, forty-nine wait uncharged, those too that eight threads had sent when the first
    refusal came; lifted and requeued, they go out one after the other."""
    stage.settings = replace(stage.settings, concurrency=8)
    stage.sandbox.set_faults([{"action": "latency", "ms": 300}, SIGNED_OUT])
    stage.add_likes(1, 50)
    with stage.working():
        stage.wait_for(Signal.DEAD_LETTER, 1)
        stage.until(lambda: stage.sql("SELECT count(*) FROM engagement_alerts") == [(1,)])
    assert stage.statuses() == {"failed": 1, "scheduled": 49}
    assert stage.sql("SELECT kind, activity_id IS NOT NULL FROM engagement_alerts") == [("auth_error", True)]
    assert stage.sql("SELECT sum(failure_count) FROM pod_activities") == [(1,)]
    assert 1 < stage.sandbox.ledger()["requests"] <= 16
    assert dict(stage.sql("SELECT event, count(*) FROM engagement_attempts GROUP BY 1"))["bury"] == 1

    stage.sandbox.set_faults(None)
    pool = PostgresPool(str(stage.settings.database_url), size=1)
    backdate_hold(stage)
    with stage.app() as app:
        ((began,),) = stage.sql("SELECT extract(epoch FROM clock_timestamp())::float8")
        assert [lifted.kind.value for lifted in PostgresControls(pool).resume(BlockScope.ACCOUNT, "account-1")] == [
            "hold"
        ]
        assert requeue_all(app, pool) == 1
    pool.close()
    with stage.working():
        stage.wait_for(Signal.JOB_COMPLETED, 50)
    assert stage.statuses() == {"executed": 50}
    effects = stage.sandbox.ledger()["effects"]
    assert len(effects) == len({each["post_id"] for each in effects}) == 50
    distances = stage.distances("account-1", began)
    assert len(distances) == 49
    assert min(distances) >= stage.spacing / timedelta(seconds=1)


def hold_with_one(stage: Stage, app: App, number: int = 1) -> None:
    """Execute one activity, whose answer holds the account."""
    app.executor.execute(f"like-1-{number}")
    assert len(stage.sql(HELD)) == 1


def test_held_account_is_asked_for_until_it_is_well_again(stage: Stage) -> None:
    """What the provider says while it is not well changes nothing; then the hold is lifted, and work goes on."""
    stage.sandbox.set_faults([{"match": {"times": 1}, "action": "status", "status": 401}, UNWELL])
    stage.add_likes(1, 5)
    with stage.app() as app:
        hold_with_one(stage, app)
        ask(stage, app, times=3)
        assert stage.sql(HELD) == [(3,)]
        assert stage.statuses() == {"failed": 1, "scheduled": 4}
        stage.sandbox.set_faults([{"match": {"request": "read"}, "action": "drop_before"}])
        ask(stage, app, times=1)
        assert stage.sql(HELD) == [(4,)]
        stage.sandbox.set_faults(None)
        backdate_hold(stage)
        ask(stage, app, times=1)
        assert stage.sql(HELD) == []
    assert stage.sql("SELECT lifted_by_probe, probes, until FROM engagement_controls") == [(True, 5, None)]
    with stage.working():
        stage.wait_for(Signal.JOB_COMPLETED, 4)
    assert stage.statuses() == {"failed": 1, "executed": 4}
    ((released,),) = stage.sql(
        "SELECT extract(epoch FROM lifted_at)::float8 FROM engagement_controls WHERE kind = 'hold'"
    )
    assert min(stage.distances("account-1", released)) >= stage.spacing / timedelta(seconds=1)


def test_healthy_answer_that_is_no_help_does_not_loop(stage: Stage) -> None:
    """The provider says OK and refuses all the same: each time it is asked for after twice as long as before."""
    stage.sandbox.set_faults([SIGNED_OUT])
    stage.add_likes(1, 6)
    with stage.app() as app:
        for number in range(1, 6):
            hold_with_one(stage, app, number)
            ask(stage, app, times=1)
            assert stage.sql(HELD) == []
    holds = stage.sql(
        "SELECT probes, extract(epoch FROM lifted_at - created_at)::float8 FROM engagement_controls"
        " WHERE kind = 'hold' ORDER BY id"
    )
    assert [probes for probes, _ in holds] == [1, 2, 3, 4, 5]
    for (_, lasted), least in zip(holds, (0.1, 0.2, 0.4, 0.8, 0.8), strict=True):
        assert lasted >= least
    assert stage.statuses() == {"failed": 5, "scheduled": 1}


def test_provider_that_cannot_be_asked_never_is(stage: Stage) -> None:
    """v0: the rounds make no request, and the hold stays until a person lifts it."""
    stage.settings = replace(stage.settings, unipile_api_version="v0")
    stage.sandbox.set_faults([{"action": "status", "status": 401}])
    stage.add_likes(1, 1)
    with stage.app() as app:
        hold_with_one(stage, app)
        ended = stage.sql("UPDATE engagement_controls SET created_at = created_at - interval '1 day' RETURNING 1")
        assert ended == [(1,)]
        app.maintenance.care.run_once()
        app.maintenance.care.run_once()
    assert stage.sandbox.ledger()["requests"] == 1
    assert stage.sql("SELECT probe_at, probes, lifted_at FROM engagement_controls") == [(None, 0, None)]


def test_status_of_the_account_is_never_written(stage: Stage) -> None:
    """`linkedin_accounts` belongs to others: its row is what it was, whatever happened to the account."""
    row = "SELECT l::text, xmin::text FROM linkedin_accounts l"
    before = stage.sql(row)
    stage.sandbox.set_faults([SIGNED_OUT])
    stage.add_likes(1, 1)
    with stage.app() as app:
        hold_with_one(stage, app)
        ask(stage, app, times=1)
    assert stage.sql(row) == before


def test_an_older_schema_gets_what_is_missing(stage: Stage) -> None:
    """A hold from before the columns is asked for like any other."""
    stage.sql(
        "ALTER TABLE engagement_controls DROP COLUMN probe_at, DROP COLUMN probes, DROP COLUMN lifted_by_probe;"
        "INSERT INTO engagement_controls (kind, scope, scope_id, reason) VALUES ('hold', 'account', 'account-1', '401')"
    )
    migrate(str(stage.settings.database_url))
    pool = PostgresPool(str(stage.settings.database_url), size=1)
    (hold,) = PostgresAccountRegister(pool).held(limit=5)
    pool.close()
    assert (hold.account.id, hold.probe_at, hold.probes) == ("account-1", None, 0)
