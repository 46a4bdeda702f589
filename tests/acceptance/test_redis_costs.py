"""What a real worker asks of Redis: little while there is nothing to do, and little for each job."""

from __future__ import annotations

import json
import threading
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime
from importlib.util import find_spec
from typing import Any

import pytest
from redis import Redis
from rq import Queue as PlainRqQueue
from rq.serializers import JSONSerializer

from acceptance.conftest import World

MOST_A_MINUTE = 30
WATCHED_SECONDS = 15.0
SETTLED_SECONDS = 3.0
"""Connections are greeted and every task has had its first run."""
JOBS = 300
MOST_FOR_EACH_JOB = 0.6
METRICS_PORT = {"rq": "19464", "bullmq": "19465"}
NO_BULLMQ = pytest.mark.skipif(find_spec("bullmq") is None, reason="the extra is not installed")


@contextmanager
def commands_sent(redis_url: str) -> Iterator[Counter[str]]:
    """The commands that clients send while the block lasts, by name. Those inside a script are not sent."""
    sent: Counter[str] = Counter()
    began = threading.Event()

    def watch() -> None:
        with Redis.from_url(redis_url, socket_timeout=None) as client, client.monitor() as monitor:
            began.set()
            for each in monitor.listen():
                name: Any = each["command"].split(" ")[0].upper()
                if name == "ECHO":
                    return
                if each["client_type"] != "lua":
                    sent[name] += 1

    watching = threading.Thread(target=watch)
    with Redis.from_url(redis_url) as client:
        client.ping()  # before anything is counted
        watching.start()
        assert began.wait(10)
        yield sent
        client.echo("the end")
    watching.join(10)


def seconds_to_drain(world: World) -> float:
    """From the signal until the worker has stopped, by its own log; a process takes its time to end besides."""
    lines = [json.loads(line) for line in (world.folder / "worker-0.log").read_text().splitlines()]
    at = {line["event"]: datetime.fromisoformat(line["timestamp"].replace("Z", "+00:00")) for line in lines}
    return (at["worker_stopped"] - at["worker_draining"]).total_seconds()


@pytest.mark.alone
@pytest.mark.parametrize("kind", ["rq", pytest.param("bullmq", marks=NO_BULLMQ)])
def test_an_idle_worker_sends_few_commands_and_stops_at_once(world: World, kind: str) -> None:
    """Its metrics and its alerts read the queue's depth too; a read that waits at the server delays no drain."""
    worker = world.start_worker(POD_ENGAGEMENT_QUEUE=kind, POD_ENGAGEMENT_METRICS_PORT=METRICS_PORT[kind])
    time.sleep(SETTLED_SECONDS)
    with commands_sent(world.redis_url) as sent:
        time.sleep(WATCHED_SECONDS)
    a_minute = sum(sent.values()) * 60 / WATCHED_SECONDS
    print(f"\nan idle worker on {kind} sends {a_minute:.0f} commands a minute: {dict(sent)}")  # noqa: T201 - the figure is the point
    assert 0 < a_minute <= MOST_A_MINUTE
    assert world.stop(worker) == 0
    assert seconds_to_drain(world) < 0.5


@pytest.mark.alone
def test_a_drain_sends_few_commands_for_each_job(world: World) -> None:
    """Jobs are received together and settled together; afterwards nothing is left of them."""
    with Redis.from_url(world.redis_url) as redis:
        producer = PlainRqQueue("pod-engagement", connection=redis, serializer=JSONSerializer)
        for number in range(JOBS):
            world.add(f"job-{number}", post_id=f"post-{number}")
            producer.enqueue(
                "runners.tasks.execute_engagement", activity_id=f"job-{number}", job_id=f"job-{number}", result_ttl=0
            )
        with commands_sent(world.redis_url) as sent:
            world.start_worker(POD_ENGAGEMENT_METRICS_PORT="0")
            world.until(lambda: len(world.effects()) == JOBS)
            time.sleep(SETTLED_SECONDS)
        assert redis.keys() == [b"rq:queues"]
    for_each = sum(sent.values()) / JOBS
    print(f"\na drain of {JOBS} jobs sends {for_each:.2f} commands for each: {dict(sent)}")  # noqa: T201 - the figure is the point
    assert for_each < MOST_FOR_EACH_JOB
    assert world.sql("SELECT count(*) FROM pod_activities WHERE status = 'executed'") == [(JOBS,)]
