"""A Node E-04 on BullMQ, our worker as a process, and what both see in the end."""

from __future__ import annotations

import json
import os
import random
import re
import signal
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from redis import Redis

from acceptance.conftest import World
from support.node import Node, started_node

ON_BULLMQ = {"POD_ENGAGEMENT_QUEUE": "bullmq"}
JOBS = 200
PATIENCE = 120.0
REFERENCE = Path(__file__).parents[2] / "docs" / "reference" / "queue.md"
NO_BULLMQ = "import sys; sys.modules['bullmq'] = None; from runners.cli.main import main; main()"


@pytest.fixture
def node(world: World, node_folder: Path) -> Iterator[Node]:
    """E-04."""
    with started_node(node_folder, world.redis_url) as running:
        yield running


def patiently(done: Callable[[], bool]) -> None:
    """Block until it is true."""
    give_up_at = time.monotonic() + PATIENCE
    while not done():
        assert time.monotonic() < give_up_at, "it did not happen in time"
        time.sleep(0.1)


def schedule(world: World, node: Node, seed: int, *, first: float, spread: float) -> None:
    """What an E-04 does: rows at random instants of `spread` seconds, and a job for each, delayed until then."""
    rng = random.Random(seed)  # noqa: S311 - the seed is printed, to repeat the run
    for number in range(JOBS):
        world.add(f"job-{number}", post_id=f"post-{number}", due_in=first + rng.random() * spread)
    jobs = [
        {
            "name": rng.choice(["execute-engagement", "schedule-likes"]),
            "data": {"activityId": activity_id, "podId": "pod-1", "engagementType": "like"},
            "opts": {"jobId": activity_id, "delay": max(int(due_in * 1000), 0), "attempts": 3, "backoff": 100},
        }
        for activity_id, due_in in world.sql(
            "SELECT id, extract(epoch FROM scheduled_for - clock_timestamp()) FROM pod_activities"
        )
    ]
    assert len(node.ask("add", jobs=jobs)) == JOBS


def counts(node: Node) -> dict[str, int]:
    """BullMQ's own, without the zeros."""
    return {state: count for state, count in node.ask("counts").items() if count}


def lateness(world: World) -> list[float]:
    """Of each effect, in seconds, the earliest first; each activity must have exactly one."""
    due_at = {post: at.timestamp() for post, at in world.sql("SELECT post_id, scheduled_for FROM pod_activities")}
    effects = world.effects()
    assert sorted(effect["post_id"] for effect in effects) == sorted(due_at)
    return sorted(effect["received_at"] - due_at[effect["post_id"]] for effect in effects)


@pytest.mark.alone
def test_two_hundred_delayed_jobs_are_executed_once_and_on_time(world: World, node: Node, seed: int) -> None:
    """None early, all completed in BullMQ's own counts, none left active."""
    world.start_worker(**ON_BULLMQ)
    schedule(world, node, seed, first=4.0, spread=6.0)
    patiently(lambda: counts(node) == {"completed": JOBS})
    late = lateness(world)
    told = ", ".join(f"{name} {late[int(JOBS * share)] * 1000:.1f}" for name, share in (("p50", 0.5), ("p99", 0.99)))
    print(f"\nlateness of {JOBS} jobs from Node, in ms: {told}, least {late[0] * 1000:.1f}, most {late[-1] * 1000:.1f}")  # noqa: T201 - the figure is the point
    assert late[0] >= 0
    assert late[JOBS // 2] < 1.0


def test_a_worker_killed_in_between_doubles_and_loses_nothing(world: World, node: Node, seed: int) -> None:
    """Another one takes over: one effect each at the provider, and in the end BullMQ says so too."""
    settings = ON_BULLMQ | {
        "UNIPILE_API_VERSION": "v1",
        "POD_ENGAGEMENT_JOB_TIMEOUT": "4000",
        "POD_ENGAGEMENT_VISIBILITY_LAG_MS": "500",
    }
    world.sandbox.set_faults([{"match": {}, "action": "latency", "ms": 100}])
    worker = world.start_worker(**settings)
    schedule(world, node, seed, first=4.0, spread=8.0)
    patiently(lambda: len(world.effects()) >= JOBS // 4)
    worker.send_signal(signal.SIGKILL)
    worker.wait()
    assert counts(node).get("active", 0) > 0
    world.start_worker(**settings)
    patiently(lambda: counts(node) == {"completed": JOBS})
    assert lateness(world)[0] >= 0
    assert world.sql("SELECT count(*) FROM pod_activities WHERE status = 'executed'") == [(JOBS,)]


def test_a_dead_letter_is_a_failed_job_and_a_requeue_completes_it(world: World, node: Node) -> None:
    """The reason stands in both; the job that BullMQ keeps is not in the way."""
    world.sandbox.set_faults([{"match": {"times": 1}, "action": "status", "status": 404}])
    world.start_worker(**ON_BULLMQ)
    world.add("gone-1")
    node.add("gone-1", attempts=5)
    world.until(lambda: node.state("gone-1") == "failed")
    reason = world.activity("gone-1")["last_error"]["message"]
    assert reason in node.ask("job", id="gone-1")["failedReason"]
    assert node.ask("counts", name="pod-engagement-dead-letter")["waiting"] == 1
    done = world.engagement("dead-letters", "requeue", "gone-1", **ON_BULLMQ)
    assert done.returncode == 0, done.stderr
    world.until(lambda: node.state("gone-1") == "completed")
    assert node.ask("counts", name="pod-engagement-dead-letter")["waiting"] == 0
    assert len(world.effects()) == 1


def test_a_job_of_a_held_account_waits_in_bullmq_too(world: World, node: Node) -> None:
    """Nothing is over: it is neither completed nor failed, and not left active."""
    assert world.engagement("pause", "--pod", "pod-1").returncode == 0
    world.start_worker(**ON_BULLMQ)
    world.add("held-1")
    node.add("held-1")
    world.until(lambda: node.state("held-1") == "delayed")
    assert world.effects() == []


def test_a_drain_leaves_no_job_active(world: World, node: Node) -> None:
    """What is in flight is completed; what waits on the delay queue goes back to BullMQ."""
    world.sandbox.set_faults([{"match": {}, "action": "latency", "ms": 1000}])
    names = [f"slow-{number}" for number in range(10)]
    for name in names:
        world.add(name, post_id=name, due_in=3.0)
    worker = world.start_worker(POD_ENGAGEMENT_WORKER_CONCURRENCY="2", **ON_BULLMQ)
    node.add(*names, delay=3000)
    world.until(lambda: world.sandbox.ledger()["requests"] >= 2)
    assert world.stop(worker) == 0
    left = counts(node)
    assert "active" not in left
    assert left.get("completed", 0) <= len(world.effects())
    assert sum(left.values()) == len(names)


def test_a_hostile_job_is_an_alert_and_the_worker_goes_on(world: World, node: Node) -> None:
    """Its raw form lies in the dead-letter queue."""
    world.start_worker(**ON_BULLMQ)
    node.ask("add", jobs=[{"name": "execute-engagement", "data": {"activityId": {"$ne": None}}}, {"name": "x"}])
    world.add("good-1")
    node.add("good-1")
    world.until(lambda: node.state("good-1") == "completed")
    world.until(lambda: world.sql("SELECT 1 FROM engagement_alerts WHERE kind = 'unreadable_payload'") != [])
    assert node.ask("counts", name="pod-engagement-dead-letter")["waiting"] == 2


def test_a_flush_in_between_loses_no_activity(world: World, node: Node) -> None:
    """All jobs are gone, those in hand too; PostgreSQL has what is to be done, and BullMQ works on afterwards."""
    world.start_worker(**ON_BULLMQ)
    names = [f"flushed-{number}" for number in range(10)]
    for name in names:
        world.add(name, post_id=name, due_in=3.0)
    node.add(*names, delay=3000)
    world.until(lambda: counts(node).get("active", 0) > 0)
    with Redis.from_url(world.redis_url) as redis:
        redis.flushdb()
    world.until(lambda: len(world.effects()) == len(names))
    world.add("after-1", post_id="after")
    node.add("after-1")
    world.until(lambda: node.state("after-1") == "completed")
    assert counts(node) == {"completed": 1}


def test_schedule_rings_through_bullmq(world: World, node: Node) -> None:
    """With the activity's id, delayed until it is due."""
    one = ("schedule", "--pod", "pod-1", "--type", "like", "--post", "post-1", "--id", "mine-1", "--at", "+10m")
    done = world.engagement(*one, **ON_BULLMQ)
    assert done.returncode == 0, done.stderr
    job = node.ask("job", id="mine-1")
    assert (job["state"], job["data"]) == ("delayed", {"activityId": "mine-1"})


def test_a_prefix_of_the_producer_is_kept_to(world: World) -> None:
    """By the command that rings as by the worker: nothing of ours lies elsewhere."""
    settings = ON_BULLMQ | {"POD_ENGAGEMENT_BULLMQ_PREFIX": "e04"}
    one = ("schedule", "--pod", "pod-1", "--type", "like", "--post", "post-1", "--id", "mine-1", "--at", "+3s")
    done = world.engagement(*one, **settings)
    assert done.returncode == 0, done.stderr
    with Redis.from_url(world.redis_url) as redis:
        assert redis.zcard("e04:pod-engagement:delayed") == 1
        world.start_worker(**settings)
        world.until(lambda: redis.zcard("e04:pod-engagement:completed") == 1)
        assert list(redis.scan_iter("bull:*")) == []
    assert len(world.effects()) == 1


def test_the_example_of_the_reference_is_executed(world: World, node: Node, node_folder: Path) -> None:
    """As it stands there, run by Node."""
    (example,) = re.findall(r"^```js\n(.*?)^```", REFERENCE.read_text(encoding="utf-8"), re.DOTALL | re.MULTILINE)
    (node_folder / "example.mjs").write_text(example)
    world.add("activity-1", due_in=2.0)
    due_at = world.activity("activity-1")["scheduled_for"].isoformat()
    world.start_worker(**ON_BULLMQ)
    done = subprocess.run(
        ["node", "example.mjs", "activity-1", due_at],
        cwd=node_folder,
        env={**os.environ, "REDIS_URL": world.redis_url},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert node.state("activity-1") is not None
    world.until(lambda: node.state("activity-1") == "completed")
    assert len(world.effects()) == 1


def test_without_the_extra_it_is_one_line_that_says_what_to_install(world: World) -> None:
    """Exit code 2, before anything starts."""
    done = world.python("-c", NO_BULLMQ, "run", **ON_BULLMQ)
    assert done.returncode == 2
    assert "pip install 'pod-engagement[bullmq]'" in done.stderr
    assert len(done.stderr.strip().splitlines()) == 1


def test_without_the_extra_the_doctor_says_what_to_install(world: World) -> None:
    """A worker would not start."""
    done = world.python("-c", NO_BULLMQ, "doctor", "--json", **ON_BULLMQ)
    assert done.returncode == 1
    (found,) = (each for each in json.loads(done.stdout)["findings"] if each["name"] == "POD_ENGAGEMENT_QUEUE")
    assert (found["level"], "pip install 'pod-engagement[bullmq]'" in found["says"]) == ("failed", True)


def test_whoever_has_not_chosen_it_needs_no_bullmq(world: World) -> None:
    """The worker on RQ runs where the extra is not installed."""
    world.add("rq-1")
    done = world.python("-c", NO_BULLMQ, "run", "--burst")
    assert done.returncode == 0, done.stderr
    assert json.dumps([effect["post_id"] for effect in world.effects()]) == '["post-1"]'
