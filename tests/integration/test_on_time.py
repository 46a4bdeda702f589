"""To the millisecond, and never what has changed since: real PostgreSQL, real Redis, real HTTP.

The one rule: bounds are those that a busy machine keeps; what may never happen (early, twice, although it was changed)
is exact.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing
from dataclasses import replace
from datetime import datetime, timezone
from typing import Any

import pytest

from adapters.postgres.connection.pool import PostgresPool
from adapters.postgres.store.activities import PostgresActivityStore
from adapters.postgres.store.controls import PostgresControls
from adapters.rq.queue import RqQueue
from adapters.unipile.sandbox import Sandbox
from engagement_core.model.controls import BlockScope
from engagement_core.model.signal import Signal
from runners.worker.worker import Worker
from support.stage import Stage, stage_settings

pytestmark = pytest.mark.alone


@pytest.fixture
def stage(database_url: str, redis_url: str) -> Iterator[Stage]:
    """Five accounts, a sandbox, and a Redis."""
    with Sandbox() as sandbox:
        here = Stage(settings=stage_settings(database_url, sandbox, redis_url=redis_url), sandbox=sandbox)
        for number in range(1, 6):
            here.add_account(number)
        yield here


def a_pool(stage: Stage) -> closing[PostgresPool]:
    """Connections for one more store."""
    return closing(PostgresPool(str(stage.settings.database_url), size=5))


def until_it_holds(stage: Stage, worker: Worker, count: int) -> None:
    """Block until so many entries are on the delay queue."""
    stage.until(lambda: len(worker._delay_queue._waiting) >= count)


def lateness(stage: Stage) -> list[float]:
    """Of each call of the provider, by its own clock, in seconds."""
    due = dict(stage.sql("SELECT post_id, extract(epoch FROM scheduled_for)::float8 FROM pod_activities"))
    effects = stage.sandbox.ledger()["effects"]
    assert len(effects) == len({effect["post_id"] for effect in effects})
    return sorted(effect["received_at"] - due[effect["post_id"]] for effect in effects)


def test_what_is_moved_cancelled_or_paused_on_the_agenda_is_not_sent(stage: Stage) -> None:
    """And what nobody touched is."""
    for number in range(1, 5):
        stage.add_likes(number, 1, due_in=5)
    with stage.app() as app, stage.worker(app) as worker, a_pool(stage) as pool:
        until_it_holds(stage, worker, 4)
        stage.sql("UPDATE pod_activities SET status = 'cancelled' WHERE id = 'like-1-1'")
        stage.sql("UPDATE pod_activities SET scheduled_for = scheduled_for + interval '1 hour' WHERE id = 'like-2-1'")
        PostgresControls(pool).pause(BlockScope.POD, "pod-3", "holidays")
        stage.wait_for(Signal.ACTIVITY_DEFERRED, 2)
        stage.wait_for(Signal.ACTIVITY_DROPPED, 1)
        stage.wait_for(Signal.JOB_COMPLETED, 1)
    assert [effect["post_id"] for effect in stage.sandbox.ledger()["effects"]] == ["post-4-1"]
    assert stage.statuses() == {"cancelled": 1, "scheduled": 2, "executed": 1}


def test_what_is_moved_forward_is_sent_at_its_new_time_when_it_is_rung_for(stage: Stage) -> None:
    """Although the delay queue has it at the old one."""
    stage.add_likes(1, 1, due_in=7)
    with stage.app() as app, stage.worker(app) as worker:
        until_it_holds(stage, worker, 1)
        stage.sql("UPDATE pod_activities SET scheduled_for = clock_timestamp()")
        app.queue.ring("like-1-1", datetime.now(timezone.utc))
        stage.wait_for(Signal.JOB_COMPLETED, 1)
    (late,) = lateness(stage)
    assert 0 <= late < 4


def test_two_hundred_at_one_instant(stage: Stage) -> None:
    """None early, none much later than it takes to send them."""
    for number in range(1, 6):
        stage.add_likes(number, 40, due_in=0)
    stage.sql("UPDATE pod_activities SET scheduled_for = clock_timestamp() + interval '3 seconds'")
    ((apart,),) = stage.sql(
        "SELECT extract(epoch FROM max(scheduled_for) - min(scheduled_for))::float8 FROM pod_activities"
    )
    assert apart < 0.5
    with stage.app() as app, stage.worker(app):
        stage.wait_for(Signal.JOB_COMPLETED, 200)
    late = lateness(stage)
    assert len(late) == 200
    assert late[0] >= 0
    assert late[-1] < 5


class UnsweptStore(PostgresActivityStore):
    """Nothing is found that nobody rang for."""

    def due(self, **_: Any) -> tuple[()]:
        """See the port."""
        return ()


def test_rings_of_the_scheduler_are_as_precise_as_the_sweep(stage: Stage) -> None:
    """Its whole seconds, its polling and its one-by-one moves do not show, at any fraction of a second."""
    stage.add_likes(1, 60, due_in=4, apart=0.017)
    with stage.app() as app, a_pool(stage) as pool:
        unswept = replace(app, executor=replace(app.executor, store=UnsweptStore(pool)))
        for activity_id, at in stage.sql("SELECT id, scheduled_for FROM pod_activities"):
            app.queue.ring(activity_id, at)
        assert app.queue.depth() == 0
        with stage.worker(unswept):
            stage.wait_for(Signal.JOB_COMPLETED, 60)
    late = lateness(stage)
    assert late[0] >= 0
    assert late[len(late) // 2] < 0.3  # a whole second, or a poll's interval, would be half a second on average
    assert not stage.sql("SELECT 1 FROM pod_activities WHERE status <> 'executed'")


def test_rings_for_the_next_seconds_are_on_time_although_an_idle_worker_looks_seldom(stage: Stage) -> None:
    """Whoever schedules five seconds ahead while the worker is idle."""
    with stage.app() as app, a_pool(stage) as pool:
        unswept = replace(app, executor=replace(app.executor, store=UnsweptStore(pool)))
        with stage.worker(unswept):
            assert not stage.telemetry.wait_for(lambda _: False, 1.0)  # it has looked once by then
            stage.add_likes(1, 20, due_in=5, apart=0.05)
            for activity_id, at in stage.sql("SELECT id, scheduled_for FROM pod_activities"):
                app.queue.ring(activity_id, at)
            stage.wait_for(Signal.JOB_COMPLETED, 20)
    late = lateness(stage)
    assert late[0] >= 0
    assert late[-1] < 0.3


def test_a_drain_hands_back_the_jobs_on_the_agenda(stage: Stage) -> None:
    """Another worker finds them at once, not only by its sweep."""
    stage.add_likes(1, 1, due_in=6)
    ((at,),) = stage.sql("SELECT scheduled_for FROM pod_activities")
    with closing(RqQueue(str(stage.settings.redis_url))) as queue:
        queue.ring("like-1-1", at)
        with stage.app() as app, stage.worker(app):
            stage.wait_for(Signal.ACTIVITY_DEFERRED, 1)  # received ahead of its time, and held
            assert queue.depth() == 0
        assert queue.depth() == 1
        with stage.app() as app, a_pool(stage) as pool:
            unswept = replace(app, executor=replace(app.executor, store=UnsweptStore(pool)))
            with stage.worker(unswept):
                stage.wait_for(Signal.JOB_COMPLETED, 1)
    assert lateness(stage)[0] >= 0
