"""`POD_ENGAGEMENT_QUEUE=none`: the whole product without a Redis. No server is there, and no variable names one."""

from __future__ import annotations

import json
import math
import os
import signal
import socket
import subprocess
import sys
from pathlib import Path

import psutil
import pytest

from acceptance.conftest import World
from acceptance.test_monitor import get, samples
from support.commands import left_behind

NO_QUEUE = {"POD_ENGAGEMENT_QUEUE": "none"}


@pytest.fixture
def world(world_without_redis: World) -> World:
    """A database and a provider."""
    return world_without_redis


def test_what_is_due_now_is_found_by_the_sweep_and_what_is_due_later_is_on_time(world: World) -> None:
    """The first within the sweep's interval, the second as with a queue. The log knows of no server that is away."""
    worker = world.start_worker(**NO_QUEUE)
    world.add("now")
    row = world.wait_for("now", "executed")
    assert (row["executed_at"] - row["scheduled_for"]).total_seconds() < 3
    world.add("later", due_in=3.0)
    row = world.wait_for("later", "executed")
    lateness = world.effects()[-1]["received_at"] - row["scheduled_for"].timestamp()
    assert 0 <= lateness < 1
    assert world.stop(worker) == 0
    log = (world.folder / "worker-0.log").read_text()
    assert "edis" not in log
    assert "queue_" not in log


def test_a_burst_does_all_due_work_and_exits(world: World) -> None:
    """With retries, and with a dead letter, which nobody mirrors."""
    world.sandbox.set_faults([{"match": {"post_id": "gone"}, "action": "status", "status": 404}])
    for number in range(10):
        world.add(f"due-{number}", post_id=f"post-{number}")
    world.add("dead", post_id="gone")
    done = world.engagement("run", "--burst", **NO_QUEUE)
    assert done.returncode == 0, done.stderr
    assert len(world.effects()) == 10
    assert world.activity("dead")["status"] == "failed"


def test_a_worker_is_ready_and_its_pages_know_no_redis(world: World) -> None:
    """The depth of a queue that is not there is no number."""
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = str(free.getsockname()[1])
    world.start_worker(POD_ENGAGEMENT_METRICS_PORT=port, **NO_QUEUE)
    world.until(lambda: get(port, "/readyz")[0] == 200)
    assert json.loads(get(port, "/readyz")[1]) == {"ready": True, "checks": {"postgresql": "ok", "schema": "ok"}}
    assert math.isnan(samples(port)["engagement_queue_depth"])


def test_every_command_works_and_none_warns(world: World) -> None:
    """Schedule does not ring. A dead letter is requeued and resolved. A URL that is left over is not even read."""
    left_over = {**NO_QUEUE, "REDIS_URL": "http://not-a-redis"}

    def works(*arguments: str) -> str:
        done = world.engagement(*arguments, **left_over)
        assert (done.returncode, done.stderr) == (0, ""), arguments
        return done.stdout

    works("schedule", "--pod", "pod-1", "--type", "like", "--post", "gone", "--id", "a-1")
    world.sandbox.set_faults([{"match": {"post_id": "gone", "times": 1}, "action": "status", "status": 404}])
    assert world.engagement("run", "--burst", **left_over).returncode == 0
    assert "post_not_found" in works("dead-letters", "list")
    assert json.loads(works("status", "--json"))["queue_depth"] is None
    works("dead-letters", "requeue", "a-1")
    works("pause", "--all")
    works("explain", "a-1")
    works("resume", "--all")
    assert world.engagement("run", "--burst", **left_over).returncode == 0
    assert world.activity("a-1")["status"] == "executed"


def test_an_unknown_outcome_is_resolved_without_a_queue(world: World) -> None:
    """With v0 a comment that may have been sent becomes a dead letter that only a person can close."""
    world.sandbox.set_faults([{"match": {}, "action": "apply_then_drop"}])
    world.add("a-1", engagement_type="comment", comment_text="Great post!")
    short = {"POD_ENGAGEMENT_JOB_TIMEOUT": "1000", "POD_ENGAGEMENT_VISIBILITY_LAG_MS": "0"}
    world.start_worker(**short, **NO_QUEUE)
    world.wait_for("a-1", "failed")
    done = world.engagement("dead-letters", "resolve", "a-1", "--as", "executed", **short, **NO_QUEUE)
    assert (done.returncode, done.stderr) == (0, "")
    assert world.activity("a-1")["status"] == "executed"


def test_a_plain_rq_worker_s_function_works_without_a_queue_too(world: World) -> None:
    """It rings for nobody."""
    world.add("plain")
    run = "from runners.tasks import execute_engagement; print(execute_engagement('plain'))"
    done = world.python("-c", run, **NO_QUEUE)
    assert done.stdout.strip() == "executed", done.stderr


def test_a_value_that_does_not_exist_is_one_line(world: World) -> None:
    """And without the setting a missing REDIS_URL says what else can be done."""
    done = world.engagement("run", POD_ENGAGEMENT_QUEUE="off")
    assert done.returncode == 2
    assert done.stderr == "Error: POD_ENGAGEMENT_QUEUE is 'off'; it must be one of rq, bullmq, none\n"
    done = world.engagement("run")
    assert done.returncode == 2
    assert "POD_ENGAGEMENT_QUEUE=none" in done.stderr


@pytest.mark.embedded
def test_embedded_servers_are_postgresql_alone(tmp_path: Path) -> None:
    """`engagement run --embedded` starts no Valkey, and leaves nothing behind."""
    environ = {"PATH": os.environ["PATH"], "HOME": str(tmp_path), "TMPDIR": str(tmp_path), "UNIPILE_API_KEY": "key"}
    provider = {"UNIPILE_BASE_URL": "http://127.0.0.1:1", "POD_ENGAGEMENT_METRICS_PORT": "0"}
    with subprocess.Popen(
        [sys.executable, "-m", "runners", "run", "--embedded"],
        env={**environ, **provider, **NO_QUEUE},
        cwd=tmp_path,
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        try:
            assert process.stderr is not None
            assert any("worker_started" in line for line in process.stderr)
            servers = {each.name() for each in psutil.process_iter() if _works_in(each, tmp_path)}
            assert "postgres" in servers
            assert not any("valkey" in name for name in servers)
            process.send_signal(signal.SIGTERM)
            assert process.wait(timeout=40) == 0
        finally:
            process.kill()
    assert left_behind(tmp_path) == []


def _works_in(process: psutil.Process, folder: Path) -> bool:
    try:
        return process.cwd().startswith(str(folder))
    except psutil.Error:
        return False
