"""`engagement run` on plain servers: jobs from elsewhere, rows without jobs, signals."""

from __future__ import annotations

import pickle
import subprocess
import sys

import pytest
from redis import Redis

from acceptance.conftest import World

_ENQUEUE = """
import sys
from redis import Redis
from rq import Queue
from rq.serializers import JSONSerializer
with Redis.from_url(sys.argv[1]) as connection:
    queue = Queue("pod-engagement", connection=connection, serializer=JSONSerializer)
    queue.enqueue("runners.tasks.execute_engagement", activity_id=sys.argv[2])
"""


def test_a_job_that_another_process_enqueued_with_rq_is_executed(world: World) -> None:
    """The job names the activity; the row is found, executed, and the job does not stay behind."""
    world.start_worker(POD_ENGAGEMENT_POLL_INTERVAL_MS="5000")
    world.add("rung")
    subprocess.run([sys.executable, "-c", _ENQUEUE, world.redis_url, "rung"], check=True)
    world.wait_for("rung", "executed")
    assert len(world.effects()) == 1


def test_a_row_that_bare_sql_inserted_is_executed_on_time(world: World) -> None:
    """No job at all; inserted some seconds ahead, it is neither early nor late."""
    world.start_worker()
    world.add("silent", due_in=3.0)
    row = world.wait_for("silent", "executed")
    (effect,) = world.effects()
    lateness = effect["received_at"] - row["scheduled_for"].timestamp()
    assert 0 <= lateness < 1.5


def test_a_plain_rq_worker_executes_a_job(world: World) -> None:
    """Nobody has to run our worker: the function that the job names does the same."""
    world.add("plain")
    subprocess.run([sys.executable, "-c", _ENQUEUE, world.redis_url, "plain"], check=True)
    serializer = ("--serializer", "rq.serializers.JSONSerializer")
    done = world.python("-m", "rq.cli", "worker", "--burst", "--url", world.redis_url, *serializer, "pod-engagement")
    assert world.activity("plain")["status"] == "executed", done.stderr
    assert len(world.effects()) == 1


def test_burst_does_all_due_work_and_exits(world: World) -> None:
    """What is due is executed, what is not yet due stays, the exit code is 0."""
    for number in range(20):
        world.add(f"due-{number}", post_id=f"post-{number}")
    world.add("future", due_in=3600)
    done = world.engagement("run", "--burst")
    assert done.returncode == 0, done.stderr
    assert len(world.effects()) == 20
    assert world.activity("future")["status"] == "scheduled"


def test_burst_with_nothing_to_do_exits_at_once(world: World) -> None:
    """An empty table is not an error."""
    done = world.engagement("run", "--burst")
    assert (done.returncode, world.effects()) == (0, [])


def test_a_drain_finishes_what_is_in_flight_and_gives_back_the_rest(world: World) -> None:
    """SIGTERM during a slow call: that call is recorded, nothing new begins, the exit code is 0."""
    world.sandbox.set_faults([{"match": {}, "action": "latency", "ms": 1000}])
    for number in range(10):
        world.add(f"slow-{number}", post_id=f"post-{number}")
    worker = world.start_worker(POD_ENGAGEMENT_WORKER_CONCURRENCY="2")
    world.until(lambda: world.sandbox.ledger()["requests"] >= 2)
    assert world.stop(worker) == 0
    statuses = dict(world.sql("SELECT status, count(*) FROM pod_activities GROUP BY 1"))
    assert statuses["executed"] == len(world.effects()) >= 2
    assert statuses["scheduled"] >= 6
    assert world.sql("SELECT 1 FROM engagement_attempts WHERE phase IN ('claimed', 'sending', 'unknown')") == []


def test_two_workers_share_the_work_without_doubling_any(world: World) -> None:
    """A hundred activities at one instant, two workers, one effect each."""
    workers = [world.start_worker() for _ in range(2)]
    for number in range(100):
        world.add(f"shared-{number}", post_id=f"post-{number}", due_in=1.0)
    world.until(lambda: world.sql("SELECT 1 FROM pod_activities WHERE status <> 'executed'") == [])
    assert len(world.effects()) == 100
    assert [world.stop(worker) for worker in workers] == [0, 0]


@pytest.mark.parametrize(
    ("variable", "value", "says"),
    [
        ("DATABASE_URL", "", "DATABASE_URL is not set"),
        ("REDIS_URL", "", "REDIS_URL is not set"),
        ("UNIPILE_API_KEY", "", "UNIPILE_API_KEY is not set"),
        ("DATABASE_URL", "nonsense", "DATABASE_URL"),
        ("REDIS_URL", "http://localhost", "REDIS_URL"),
        ("UNIPILE_BASE_URL", "http://api.example.com", "UNIPILE_BASE_URL"),
        ("POD_ENGAGEMENT_JOB_TIMEOUT", "soon", "POD_ENGAGEMENT_JOB_TIMEOUT"),
        ("POD_ENGAGEMENT_WORKER_CONCURRENCY", "0", "POD_ENGAGEMENT_WORKER_CONCURRENCY"),
        ("VOICE_PROVIDER", "opera", "VOICE_PROVIDER"),
    ],
)
def test_a_wrong_setting_is_one_line_that_names_it(world: World, variable: str, value: str, says: str) -> None:
    """Exit code 2, before anything starts, and no traceback."""
    done = world.engagement("run", **{variable: value})
    assert done.returncode == 2
    assert says in done.stderr
    assert len(done.stderr.strip().splitlines()) == 1


def test_a_database_that_is_not_there_is_one_line(world: World) -> None:
    """Exit code 1: the operation failed; the password is not repeated."""
    done = world.engagement("run", DATABASE_URL="postgresql://user:hunter2@127.0.0.1:1/none")
    assert done.returncode == 1
    assert "hunter2" not in done.stderr
    assert "Traceback" not in done.stderr
    assert len(done.stderr.strip().splitlines()) == 1


def test_a_database_without_the_tables_says_which_and_what_to_do(world: World, empty_database_url: str) -> None:
    """The missing table is named, and so is the command that creates it."""
    done = world.engagement("run", DATABASE_URL=empty_database_url)
    assert done.returncode == 2
    assert "pod_activities" in done.stderr
    assert "engagement migrate" in done.stderr


def test_a_hostile_payload_is_set_aside_with_an_alert_and_the_worker_goes_on(world: World) -> None:
    """A pickle that would write a file, a hash of rubbish, an entry without a hash: nothing is loaded or stopped."""
    written = world.folder / "owned"
    attack = pickle.dumps(("os.system", None, (f"touch {written}",), {}))
    with Redis.from_url(world.redis_url) as connection:
        connection.hset("rq:job:attack", mapping={"data": attack, "origin": "pod-engagement", "created_at": "never"})
        connection.hset("rq:job:rubbish", mapping={"data": b"\xff\x00{{{", "status": b"\xfe"})
        connection.sadd("rq:queues", "rq:queue:pod-engagement")
        connection.rpush("rq:queue:pod-engagement", "attack", "rubbish", "no-hash", b"\xff\xfe")
    world.start_worker()
    world.add("good")
    world.wait_for("good", "executed")
    world.until(lambda: world.sql("SELECT 1 FROM engagement_alerts WHERE kind = 'unreadable_payload'") != [])
    with Redis.from_url(world.redis_url) as connection:
        assert connection.llen("rq:queue:pod-engagement") == 0
        assert connection.llen("rq:queue:pod-engagement-dead-letter") >= 2
    assert not written.exists()
