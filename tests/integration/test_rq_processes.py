"""RQ's and rq-scheduler's own programs beside us: they run our jobs, move them and show the truth about them."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from datetime import datetime, timedelta, timezone
from pathlib import Path

import pytest
from redis import Redis
from rq import Queue as PlainRqQueue
from rq.serializers import JSONSerializer

from adapters.rq.queue import RqQueue
from engagement_core.model.job import WakeUp
from support.queues import receive_one

NOTHING = timedelta(0)
PAST = datetime(2020, 1, 1, tzinfo=timezone.utc)
REFERENCE = Path(__file__).parents[2] / "docs" / "reference" / "queue.md"
EXAMPLES = re.findall(r"^```python\n(.*?)^```", REFERENCE.read_text(encoding="utf-8"), re.DOTALL | re.MULTILINE)


def program(*arguments: str, path: Path | None = None) -> str:
    """Run a Python program to its end; what it printed."""
    inherited = [entry for entry in os.environ.get("PYTHONPATH", "").split(os.pathsep) if entry]
    done = subprocess.run(
        [sys.executable, *arguments],
        env=os.environ | {"PYTHONPATH": os.pathsep.join([*([str(path)] if path else []), *inherited])},
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def test_a_plain_rq_worker_runs_our_jobs(redis_url: str, tmp_path: Path) -> None:
    """Those that rang at once and those that waited in the schedule; afterwards nothing is left."""
    (tmp_path / "stub_tasks.py").write_text(
        "from pathlib import Path\n\n\n"
        "def execute(activity_id):\n"
        "    with Path(__file__).with_name('seen').open('a') as seen:\n"
        "        print(activity_id, file=seen)\n"
    )
    queue = RqQueue(redis_url, function="stub_tasks.execute")
    queue.ring("a-1", PAST)
    queue.ring("pod:1/ünï", datetime.now(timezone.utc) + timedelta(seconds=30))
    assert queue.advance(timedelta(minutes=1)) == 1
    program(
        *("-m", "rq.cli", "worker", "--burst", "--url", redis_url),
        *("--serializer", "rq.serializers.JSONSerializer", "pod-engagement"),
        path=tmp_path,
    )
    assert (tmp_path / "seen").read_text().split() == ["a-1", "pod:1/ünï"]
    assert queue.depth() == 0
    with Redis.from_url(redis_url) as client:
        assert client.keys("rq:job:*") == []
    queue.close()


@pytest.mark.parametrize("example", EXAMPLES, ids=["rq", "rq-scheduler"])
def test_a_producer_in_another_process_is_heard(redis_url: str, example: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """The examples of the reference, as they stand there."""
    monkeypatch.setenv("REDIS_URL", redis_url)
    program("-c", example)
    queue = RqQueue(redis_url)
    queue.advance(timedelta(minutes=11))
    received = receive_one(queue, NOTHING)
    assert isinstance(received, WakeUp)
    assert received.activity_id == "activity-1"
    queue.close()


def test_rqscheduler_beside_us_moves_our_jobs(redis_url: str) -> None:
    """With our job class, which keeps it from pickle."""
    queue = RqQueue(redis_url, now=lambda: PAST)
    queue.ring("a-1", PAST + timedelta(seconds=30))
    assert receive_one(queue, NOTHING) is None
    program(
        *("-m", "rq_scheduler.scripts.rqscheduler", "--burst", "--url", redis_url),
        *("--job-class", "adapters.rq.json_job.JsonJob", "--queue-class", "adapters.rq.json_job.JsonQueue"),
    )
    received = receive_one(queue, NOTHING)
    assert isinstance(received, WakeUp)
    assert received.activity_id == "a-1"
    queue.close()


def test_rq_info_shows_what_there_is(redis_url: str) -> None:
    """Two waiting, one being worked on, one dead and one unreadable."""
    queue = RqQueue(redis_url)
    for name in ("a-1", "a-2", "a-3"):
        queue.ring(name, PAST)
    assert isinstance(receive_one(queue, NOTHING), WakeUp)
    queue.bury("a-4", "dead")
    with Redis.from_url(redis_url) as client:
        producer = PlainRqQueue("pod-engagement", connection=client, serializer=JSONSerializer)
        producer.enqueue("f", 42, at_front=True)
    receive_one(queue, NOTHING)
    shown = program("-m", "rq.cli", "info", "--raw", "--only-queues", "--url", redis_url).splitlines()
    assert "queue pod-engagement 2, 1 executing, 0 finished, 0 failed" in shown
    assert "queue pod-engagement-dead-letter 2, 0 executing, 0 finished, 0 failed" in shown
    queue.close()


@pytest.mark.parametrize("queue_name", ["pod-engagement", "pod-engagement-dead-letter"])
def test_rq_empty_clears_a_queue(redis_url: str, queue_name: str) -> None:
    """RQ's own broom works on both."""
    queue = RqQueue(redis_url)
    queue.ring("a-1", PAST)
    queue.bury("a-2", "dead")
    program("-m", "rq.cli", "empty", "--url", redis_url, queue_name)
    with Redis.from_url(redis_url) as client:
        assert len(client.keys("rq:job:*")) == 1
        assert PlainRqQueue(queue_name, connection=client).count == 0
    queue.close()
