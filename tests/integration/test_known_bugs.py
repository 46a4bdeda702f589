"""What went wrong in other executors, one test each, named after the bug.

Real PostgreSQL, real Redis, real HTTP; the worker runs in this process so that its steps can be waited for.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta, timezone
from functools import partial
from typing import Any

import pytest

from adapters.postgres.connection.pool import PostgresPool
from adapters.postgres.store.activities import PostgresActivityStore
from adapters.postgres.store.controls import PostgresControls
from adapters.rq.queue import RqQueue
from adapters.unipile.sandbox import Sandbox
from engagement_core.decisions.claim import Claimed, ClaimPolicy, Holder, decide_claim
from engagement_core.decisions.retry import RetryPolicy
from engagement_core.decisions.verdict import decide_verdict
from engagement_core.model.controls import BlockScope
from engagement_core.model.errors import Cause, Failure
from engagement_core.model.outcome import Dropped, Executed
from engagement_core.model.provider import Applied
from engagement_core.model.signal import Signal
from engagement_core.use_cases.adopt_orphans import OrphanPolicy, adopt_orphans
from fakes.telemetry import InMemoryTelemetry
from runners.bootstrap import App, open_app
from runners.process import working
from runners.settings import Settings
from runners.worker.worker import Worker
from support.commands import execute

_PATIENCE = 15.0


@dataclass
class Scene:
    """Servers, a provider, and SQL."""

    settings: Settings
    sandbox: Sandbox
    telemetry: InMemoryTelemetry = field(default_factory=InMemoryTelemetry)

    def sql(self, statement: str, *parameters: Any) -> list[tuple[Any, ...]]:
        return execute(str(self.settings.database_url), statement, *parameters)

    def add(self, activity_id: str, *, post: str = "post-1", comment: str | None = None, due_in: float = 0.0) -> None:
        self.sql(
            "INSERT INTO pod_activities (id, pod_id, engagement_type, post_id, comment_text, scheduled_for)"
            " VALUES (%s, 'pod', %s, %s, %s, clock_timestamp() + %s * interval '1 second')",
            activity_id,
            "like" if comment is None else "comment",
            post,
            comment,
            due_in,
        )

    def status(self, activity_id: str) -> str:
        return str(self.sql("SELECT status FROM pod_activities WHERE id = %s", activity_id)[0][0])

    @contextmanager
    def app(self) -> Iterator[App]:
        with open_app(self.settings, worker_id="worker-1", telemetry=self.telemetry) as app:
            app.maintenance.beat()
            yield app

    @contextmanager
    def worker(self) -> Iterator[Worker]:
        with working(self.settings, self.telemetry) as (_, worker):
            worker.start()
            yield worker

    def wait_for(self, signal: Signal, count: int = 1) -> None:
        assert self.telemetry.wait_for(lambda told: sum(each.signal is signal for each in told) >= count, _PATIENCE), (
            f"{signal} did not come {count} times: {self.telemetry.told[-10:]}"
        )

    @contextmanager
    def store(self) -> Iterator[PostgresActivityStore]:
        pool = PostgresPool(str(self.settings.database_url), size=4)
        try:
            yield PostgresActivityStore(pool)
        finally:
            pool.close()


@pytest.fixture
def scene(database_url: str, redis_url: str) -> Iterator[Scene]:
    """One pod with one account, the provider's v1."""
    with Sandbox() as sandbox:
        settings = Settings(
            database_url=database_url,
            redis_url=redis_url,
            unipile_api_key="key",
            unipile_base_url=sandbox.url,
            unipile_api_version="v1",
            job_timeout=timedelta(seconds=3),
            visibility_lag=timedelta(seconds=1),
        )
        here = Scene(settings=settings, sandbox=sandbox)
        here.sql("INSERT INTO pods VALUES ('pod', NULL, 'account')")
        here.sql("INSERT INTO linkedin_accounts (id, unipile_account_id) VALUES ('account', 'unipile')")
        yield here


def _claim(store: PostgresActivityStore, activity_id: str, execution: int = 1) -> Claimed:
    decide = partial(
        decide_claim,
        holder=Holder(worker_id="worker-1", token=f"worker-1/{execution}"),
        policy=ClaimPolicy(),
    )
    claimed = store.change(activity_id, decide)
    assert isinstance(claimed, Claimed)
    return claimed


def _verdict(store: PostgresActivityStore, claimed: Claimed, answer: Any) -> Any:
    return store.change(
        claimed.activity.id,
        partial(
            decide_verdict,
            attempt=claimed.attempt,
            answer=answer,
            policy=RetryPolicy(),
        ),
    )


def test_a_live_job_is_rescued_by_an_impatient_rescuer(scene: Scene) -> None:
    """A slow call of a worker that beats is nobody else's: a rescuer that looks meanwhile finds nothing."""
    scene.sandbox.set_faults([{"match": {}, "action": "latency", "ms": 1500}])
    scene.add("slow")
    with scene.app() as app, scene.store() as store:
        calling = threading.Thread(target=app.executor.execute, args=("slow",))
        calling.start()
        scene.wait_for(Signal.CALL_STARTED)
        rescued = adopt_orphans(store, InMemoryTelemetry(), OrphanPolicy())
        calling.join()
    assert rescued == 0
    assert scene.status("slow") == "executed"
    assert len(scene.sandbox.ledger()["effects"]) == 1


def test_a_rescuer_races_a_finisher(scene: Scene) -> None:
    """Fifty times at once: whoever comes first, the answer wins and the activity is executed, once."""
    with scene.store() as store:
        for number in range(50):
            scene.add(f"race-{number}")
            claimed = _claim(store, f"race-{number}", execution=number)
            barrier = threading.Barrier(2)

            def rescue(barrier: threading.Barrier = barrier) -> None:
                barrier.wait()
                # No worker has registered: its attempt is an orphan to anybody who looks.
                adopt_orphans(store, InMemoryTelemetry(), OrphanPolicy())

            rescuer = threading.Thread(target=rescue)
            rescuer.start()
            barrier.wait()
            _verdict(store, claimed, Applied(engagement_id=f"id-{number}", created_at=None))
            rescuer.join()
    assert scene.sql("SELECT count(*) FROM pod_activities WHERE status = 'executed'") == [(50,)]
    assert scene.sql("SELECT count(*) FROM engagement_attempts") == [(50,)]


def test_a_later_failing_duplicate_overwrites_a_success(scene: Scene) -> None:
    """A second verdict on the same attempt, and one of a stale token, change nothing."""
    scene.add("done")
    with scene.store() as store:
        claimed = _claim(store, "done")
        assert isinstance(_verdict(store, claimed, Applied(engagement_id="id-1", created_at=None)), Executed)
        failure = Failure(cause=Cause.POST_GONE, message="gone")
        assert isinstance(_verdict(store, claimed, failure), Dropped)
    assert scene.status("done") == "executed"
    assert scene.sql("SELECT execution_id, last_error, failure_count FROM pod_activities") == [("id-1", None, 0)]


def test_the_ack_is_lost_after_the_success(scene: Scene) -> None:
    """The job is delivered again after the engagement was executed, to the same worker, which knows it, and to another
    one, which looks: it is not sent again."""
    scene.add("acked")
    with closing(RqQueue(str(scene.settings.redis_url))) as queue:
        with scene.worker():
            queue.ring("acked", datetime.now(timezone.utc))
            scene.wait_for(Signal.JOB_COMPLETED)
            queue.ring("acked", datetime.now(timezone.utc))
            scene.wait_for(Signal.JOB_RECEIVED)
        queue.ring("acked", datetime.now(timezone.utc))
        with scene.worker():
            scene.wait_for(Signal.ACTIVITY_DROPPED)
        assert queue.depth() == 0
    assert len(scene.sandbox.ledger()["effects"]) == 1


def test_a_failure_after_the_effect_runs_the_effect_again(scene: Scene) -> None:
    """A listener that breaks at every event from the call's end on does not undo the record."""

    class Broken(InMemoryTelemetry):
        def emit(self, signal: Signal, **fields: object) -> None:
            super().emit(signal, **fields)
            if signal in (Signal.CALL_ENDED, Signal.DATABASE_UPDATED, Signal.JOB_COMPLETED):
                raise RuntimeError("the metric could not be written")

    scene.telemetry = Broken()
    scene.add("told")
    with scene.worker():
        scene.wait_for(Signal.JOB_COMPLETED)
    assert scene.status("told") == "executed"
    assert len(scene.sandbox.ledger()["effects"]) == 1


def test_a_poison_job_kills_workers_for_ever(scene: Scene) -> None:
    """After five workers have died with it, it is quarantined, and nobody claims it again."""
    scene.add("poison", comment="Great post!")
    with scene.store() as store:
        for number in range(5):
            _claim(store, "poison", execution=number)
            assert adopt_orphans(store, InMemoryTelemetry(), OrphanPolicy()) == 1
    with scene.app() as app:
        app.executor.execute("poison")
    assert scene.status("poison") == "failed"
    ((error,),) = scene.sql("SELECT last_error FROM pod_activities")
    assert error["error_type"] == "quarantined"
    assert scene.sandbox.ledger()["effects"] == []


def test_jobs_with_the_same_timestamp_starve_each_other(scene: Scene) -> None:
    """More of them at one instant than a delay queue holds: all are executed, once."""
    scene.sql(
        "INSERT INTO pod_activities (id, pod_id, engagement_type, post_id, scheduled_for)"
        " SELECT 'same-' || n, 'pod', 'like', 'post-' || n, date_trunc('second', now()) FROM generate_series(1, 1500) n"
    )
    with scene.worker():
        scene.wait_for(Signal.JOB_COMPLETED, 1500)
    effects = scene.sandbox.ledger()["effects"]
    assert len(effects) == len({effect["post_id"] for effect in effects}) == 1500


def test_a_restarted_postgresql_strands_the_work(scene: Scene) -> None:
    """Every connection is cut while the worker runs: it goes on by itself, and executes what comes."""
    with scene.worker():
        scene.add("before")
        scene.wait_for(Signal.JOB_COMPLETED)
        scene.sql(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
            " WHERE datname = current_database() AND pid <> pg_backend_pid()"
        )
        scene.add("after", post="post-2")
        scene.wait_for(Signal.JOB_COMPLETED, 2)
    assert [scene.status("before"), scene.status("after")] == ["executed", "executed"]


@pytest.mark.parametrize("skew", [timedelta(hours=-1), timedelta(hours=1)])
def test_the_clocks_of_worker_and_database_disagree(
    scene: Scene, skew: timedelta, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A worker whose time of day is an hour off still sends on the database's time: not early, not late."""
    monkeypatch.setattr("runners.worker.settlement._utc_now", lambda: datetime.now(timezone.utc) + skew)
    with scene.worker():
        scene.add("skewed", due_in=2.0)
        scene.wait_for(Signal.JOB_COMPLETED)
    ((due,),) = scene.sql("SELECT extract(epoch FROM scheduled_for) FROM pod_activities")
    (effect,) = scene.sandbox.ledger()["effects"]
    assert 0 <= effect["received_at"] - float(due) < 1.5


def test_a_worker_that_was_stopped_comes_back_to_a_lost_claim(scene: Scene) -> None:
    """Its comment was claimed, it slept, it was taken for dead: its `begin` is refused and nothing is sent."""
    scene.add("slept", comment="Great post!")
    with scene.app() as app, scene.store() as store:
        voice_speaks, goes_on = threading.Event(), threading.Event()

        def sleep_in_the_voice(*_: object) -> str:
            voice_speaks.set()
            assert goes_on.wait(_PATIENCE)
            return "Great post!"

        scene.sql("INSERT INTO voice_cartridges VALUES ('voice', NULL, NULL, NULL)")
        scene.sql("UPDATE pods SET voice_cartridge_id = 'voice'")
        voice = type("SlowVoice", (), {"speak": staticmethod(sleep_in_the_voice)})()
        executor = replace(app.executor, voice=voice)
        outcomes: list[object] = []
        executing = threading.Thread(target=lambda: outcomes.append(executor.execute("slept")))
        executing.start()
        assert voice_speaks.wait(_PATIENCE)
        app.maintenance.registry.leave("worker-1")
        assert adopt_orphans(store, InMemoryTelemetry(), OrphanPolicy()) == 1
        goes_on.set()
        executing.join()
    assert isinstance(outcomes[0], Dropped)
    assert scene.sandbox.ledger()["effects"] == []
    assert scene.status("slept") == "scheduled"


def test_an_orphan_in_claimed_is_free_again_within_ten_seconds(scene: Scene) -> None:
    """A worker dies right after a claim: another one, which is already running, executes the activity."""
    scene.add("orphan", comment="Great post!")
    with scene.store() as store:
        scene.sql("INSERT INTO engagement_workers (worker_id, host, pid, concurrency) VALUES ('worker-1', 'h', 1, 1)")
        _claim(store, "orphan")
        started = datetime.now(timezone.utc)
        with scene.worker():
            scene.wait_for(Signal.JOB_COMPLETED)
    assert datetime.now(timezone.utc) - started < timedelta(seconds=10)
    assert len(scene.sandbox.ledger()["effects"]) == 1


def test_a_cool_down_burns_every_attempt(scene: Scene) -> None:
    """The provider asks to wait two seconds: one attempt is charged, the siblings none, and all go out afterwards."""
    scene.sandbox.set_faults([{"match": {"times": 1}, "action": "rate_limit", "retry_after": 2}])
    for number in range(10):
        scene.add(f"cool-{number}", post=f"post-{number}")
    with scene.worker():
        scene.wait_for(Signal.JOB_COMPLETED, 10)
    assert scene.sql("SELECT sum(failure_count) FROM pod_activities") == [(1,)]
    ((until,),) = scene.sql("SELECT extract(epoch FROM until) FROM engagement_controls WHERE kind = 'cool_down'")
    begun = scene.sql("SELECT extract(epoch FROM began_at) FROM engagement_attempts ORDER BY began_at")
    ((told_at,),) = scene.sql("SELECT extract(epoch FROM ended_at) FROM engagement_attempts WHERE event = 'refuse'")
    # What was being claimed while the verdict was being committed could not know.
    committed_at = float(told_at) + 0.2
    assert not [at for (at,) in begun if committed_at < at < until]
    assert len(scene.sandbox.ledger()["effects"]) == 10


def test_a_pause_lets_one_more_through(scene: Scene) -> None:
    """Two hundred times at once: when the pause has returned and nothing is in flight, nothing more arrives."""
    pool = PostgresPool(str(scene.settings.database_url), size=2)
    with scene.app() as app:
        controls = PostgresControls(pool)
        for number in range(200):
            scene.add(f"paused-{number}", post=f"post-{number}")
            barrier = threading.Barrier(2)

            def execute(activity_id: str = f"paused-{number}", barrier: threading.Barrier = barrier) -> None:
                barrier.wait()
                app.executor.execute(activity_id)

            executing = threading.Thread(target=execute)
            executing.start()
            barrier.wait()
            controls.pause(BlockScope.ACCOUNT, "account", "a test")
            while controls.in_flight(BlockScope.ACCOUNT, "account", silent_for=timedelta(minutes=1)):
                pass
            arrived = scene.sandbox.ledger()["requests"]
            executing.join()
            assert scene.sandbox.ledger()["requests"] == arrived
            controls.resume(BlockScope.ACCOUNT, "account")
    pool.close()
    statuses = dict(scene.sql("SELECT status, count(*) FROM pod_activities GROUP BY 1"))
    assert statuses.get("executed", 0) == len(scene.sandbox.ledger()["effects"])


def test_redis_that_is_gone_makes_work_late(scene: Scene) -> None:
    """No doorbell at all: the sweep finds what is due, and it is on time."""
    scene.settings = replace(scene.settings, redis_url="redis://127.0.0.1:1/0")
    with scene.worker():
        scene.wait_for(Signal.QUEUE_UNAVAILABLE)
        scene.add("silent", due_in=3.0)
        scene.wait_for(Signal.JOB_COMPLETED)
    ((due,),) = scene.sql("SELECT extract(epoch FROM scheduled_for) FROM pod_activities")
    (effect,) = scene.sandbox.ledger()["effects"]
    assert 0 <= effect["received_at"] - float(due) < 1.5
    assert len(scene.telemetry.fields_of(Signal.QUEUE_UNAVAILABLE)) == 1
