"""`engagement pause` against a worker that is in full swing: whatever arrives has arrived when it returns."""

from __future__ import annotations

import random
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest

from adapters.unipile.sandbox import Sandbox
from runners.bootstrap import App
from support.commands import Commands
from support.stage import Stage, stage_settings

TRIES, EACH = 200, 4
SCOPES = (("--all",), ("--pod", "pod-{}"), ("--account", "account-{}"))


@pytest.fixture
def stage(database_url: str) -> Iterator[Stage]:
    """An account for each try, with a few likes that are due."""
    with Sandbox(faults=[{"action": "latency", "ms": 10}]) as sandbox:
        here = Stage(settings=stage_settings(database_url, sandbox), sandbox=sandbox)
        here.sql(f"INSERT INTO pods SELECT 'pod-' || n, NULL, 'account-' || n FROM generate_series(1, {TRIES}) n")
        here.sql(
            "INSERT INTO linkedin_accounts (id, unipile_account_id)"
            f" SELECT 'account-' || n, 'unipile-' || n FROM generate_series(1, {TRIES}) n"
        )
        here.sql(
            "INSERT INTO pod_activities (id, pod_id, engagement_type, post_id, scheduled_for)"
            " SELECT format('like-%s-%s', n, m), 'pod-' || n, 'like', format('post-%s-%s', n, m), now()"
            f" FROM generate_series(1, {TRIES}) n, generate_series(1, {EACH}) m"
        )
        yield here


def execute(app: App, activity_id: str, after: float) -> None:
    """At some moment while the command starts, takes its lock, commits, looks and ends."""
    threading.Event().wait(after)
    app.executor.execute(activity_id)


def test_nothing_arrives_after_pause_has_returned(stage: Stage, seed: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """Two hundred times, all, a pod or an account, at any moment of four sends: not one call comes afterwards."""
    monkeypatch.setattr("runners.cli.pause._LOOK_EVERY_SECONDS", 0.002)
    command = Commands(environ={"DATABASE_URL": str(stage.settings.database_url)})
    rng = random.Random(seed)  # noqa: S311 - repeatable on purpose
    returned: dict[str, float] = {}
    with stage.app() as app, ThreadPoolExecutor(EACH) as threads:
        for number in range(1, TRIES + 1):
            scope = tuple(part.format(number) for part in SCOPES[number % len(SCOPES)])
            app.maintenance.beat()
            sends = [
                threads.submit(execute, app, f"like-{number}-{n}", rng.uniform(0, 0.04)) for n in range(1, EACH + 1)
            ]
            time.sleep(rng.uniform(0, 0.04))  # any moment of theirs
            paused = command("pause", *scope)
            returned[f"unipile-{number}"] = time.time()
            assert paused.exit_code == 0, paused.output
            for send in sends:
                send.result(20)
            assert command("resume", *scope).exit_code == 0
    effects = stage.sandbox.ledger()["effects"]
    late = [each for each in effects if each["received_at"] > returned[each["account"]]]
    assert late == []
    # Of the races some were won by the pause and some by the sends: otherwise this proves nothing.
    print(f"{len(effects)} of {TRIES * EACH} were sent before their pause")  # noqa: T201 - shown with -rP
    assert TRIES * EACH * 0.02 < len(effects) < TRIES * EACH * 0.98, len(effects)
