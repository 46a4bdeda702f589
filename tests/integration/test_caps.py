"""An account's daily limit, however many work at it."""

from __future__ import annotations

import random
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest

from adapters.unipile.sandbox import Sandbox
from runners.bootstrap import open_app
from support.stage import Stage, stage_settings

WORKERS, DUE, LIMIT = 8, 200, 50


@pytest.fixture
def stage(database_url: str) -> Iterator[Stage]:
    """One account that may engage fifty times a day, and another one without a limit."""
    with Sandbox() as sandbox:
        here = Stage(settings=stage_settings(database_url, sandbox, concurrency=2), sandbox=sandbox)
        here.add_account(1, daily_limit=LIMIT)
        here.add_account(2)
        yield here


def test_eight_workers_and_two_hundred_due_send_fifty(stage: Stage, seed: int) -> None:
    """Each with connections of its own, all of them trying everything, in any order: exactly fifty begin."""
    stage.add_likes(1, DUE)
    stage.add_likes(2, 5)

    def work(number: int) -> None:
        keys = [f"like-1-{n}" for n in range(1, DUE + 1)] + [f"like-2-{n}" for n in range(1, 6)]
        random.Random(seed + number).shuffle(keys)  # noqa: S311 - repeatable on purpose
        with open_app(stage.settings, worker_id=f"worker-{number}", telemetry=stage.telemetry) as app:
            app.maintenance.beat()
            for key in keys:
                app.executor.execute(key)

    with ThreadPoolExecutor(WORKERS) as threads:
        list(threads.map(work, range(WORKERS)))
    began = "SELECT account_id, count(*) FROM engagement_attempts WHERE began_at IS NOT NULL GROUP BY 1"
    assert dict(stage.sql(began)) == {"account-1": LIMIT, "account-2": 5}
    assert len(stage.sandbox.ledger()["effects"]) == LIMIT + 5
    assert stage.sandbox.ledger()["duplicates"] == []
    assert stage.statuses() == {"executed": LIMIT + 5, "scheduled": DUE - LIMIT}
    assert stage.sql("SELECT sum(failure_count) FROM pod_activities") == [(0,)]
    ((kind, reason),) = stage.sql("SELECT kind, reason FROM engagement_controls")
    assert (kind, reason) == ("cap", "50 in 24 hours")
