"""A Node service on the real BullMQ: it produces, we execute, and it sees the truth."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from contextlib import closing
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import Any

import pytest
from redis import Redis

from adapters.bullmq.queue import BullmqQueue
from engagement_core.model.job import DeadLettered, Done, Later, Settlement, Unreadable, WakeUp
from support.node import Node, started_node
from support.queues import receive_one, settle_one
from support.servers import ServerUrls

NOTHING = timedelta(0)
MINUTE = timedelta(minutes=1)
KEY = "bull:pod-engagement:"


@pytest.fixture(scope="module", params=["bullmq", "bullmq-6"])
def running(request: pytest.FixtureRequest, servers: ServerUrls, node_folder: Path) -> Iterator[Node]:
    """BullMQ 5, then BullMQ 6."""
    with started_node(node_folder, servers.redis_url, request.param) as node:
        yield node


@pytest.fixture(scope="module")
def running_5(servers: ServerUrls, node_folder: Path) -> Iterator[Node]:
    """BullMQ 5, where nothing depends on the version."""
    with started_node(node_folder, servers.redis_url) as node:
        yield node


@pytest.fixture
def node(running: Node, redis_url: str) -> Node:
    """One of the two, on an empty Redis."""
    return running


@pytest.fixture
def node_5(running_5: Node, redis_url: str) -> Node:
    """BullMQ 5, on an empty Redis."""
    return running_5


@pytest.fixture
def queue(redis_url: str) -> Iterator[BullmqQueue]:
    """Our side."""
    queue = BullmqQueue(redis_url, stalled_every=NOTHING)
    yield queue
    queue.close()


@pytest.fixture
def redis(redis_url: str) -> Iterator[Any]:
    """Redis by itself, for what no BullMQ would write."""
    with Redis.from_url(redis_url) as client:
        yield client


def now() -> datetime:
    """The time of day: BullMQ goes by it."""
    return datetime.now(timezone.utc)


def received(queue: BullmqQueue) -> WakeUp:
    """The next job, which must name an activity."""
    got = receive_one(queue, timedelta(seconds=5))
    assert isinstance(got, WakeUp), got
    return got


# What a producer writes

FULL = {
    "activityId": "a-1",
    "podId": "pod-1",
    "engagementType": "like",
    "postId": "post-1",
    "profileId": "profile-1",
    "commentText": None,
    "scheduledFor": "2030-01-01T00:00:00.000Z",
}


@pytest.mark.parametrize("name", ["execute-engagement", "schedule-likes", "schedule-comments"])
@pytest.mark.parametrize("data", [FULL, {"activityId": "a-1"}, {"activity_id": "a-1"}], ids=["full", "id", "python"])
def test_each_kind_of_job_is_heard_and_completed(node: Node, queue: BullmqQueue, name: str, data: object) -> None:
    """Whatever its name and whatever else it says; BullMQ numbers it, and its events tell the story."""
    [job_id] = node.ask("add", jobs=[{"name": name, "data": data}])
    wake_up = received(queue)
    assert (wake_up.activity_id, node.state(job_id)) == ("a-1", "active")
    settle_one(queue, wake_up, Done(status="executed", note="response"))
    job = node.ask("job", id=job_id)
    assert (job["state"], job["returnvalue"]) == ("completed", {"status": "executed", "note": "response"})
    kinds = [event["kind"] for event in node.ask("events", until="completed", times=1)]
    assert kinds == ["added", "waiting", "active", "completed"]


def test_a_delayed_job_comes_with_the_look_ahead(node: Node, queue: BullmqQueue) -> None:
    """Not before, and as what it was."""
    node.add("a-1", delay=60_000)
    assert queue.advance(timedelta(seconds=50)) == 0
    assert receive_one(queue, NOTHING) is None
    assert queue.advance(timedelta(seconds=61)) == 1
    assert received(queue).activity_id == "a-1"


def test_a_delayed_job_comes_by_itself_when_nobody_looks_ahead(node: Node, queue: BullmqQueue) -> None:
    """BullMQ's own clock rings, and the wait for it ends then."""
    began = now()
    node.add("a-1", delay=700)
    assert received(queue).activity_id == "a-1"
    assert timedelta(seconds=0.6) <= now() - began < timedelta(seconds=4)


def test_the_more_urgent_job_comes_first(node: Node, queue: BullmqQueue) -> None:
    """BullMQ's priorities are kept: none, then 1, then 10; delayed ones too."""
    node.add("lazy", priority=10)
    node.add("delayed-1", priority=1, delay=60_000)
    node.add("urgent", priority=1)
    node.add("plain")
    assert queue.depth() == 3
    assert queue.advance(2 * MINUTE) == 1
    assert [received(queue).activity_id for _ in range(4)] == ["plain", "urgent", "delayed-1", "lazy"]


def test_a_job_that_comes_early_is_moved_to_its_time(node: Node, queue: BullmqQueue) -> None:
    """However far that is: delayed, uncharged, without a lock; and completed in the end."""
    node.add("a-1", attempts=1)
    at = now() + timedelta(hours=3)
    settle_one(queue, received(queue), Later(at=at))
    job = node.ask("job", id="a-1")
    assert (job["state"], job["attemptsMade"]) == ("delayed", 0)
    assert abs(job["delay"] - 3 * 3_600_000) < 60_000
    assert node.ask("counts") | {"delayed": 1, "active": 0, "waiting": 0} == node.ask("counts")
    assert queue.advance(timedelta(hours=4)) == 1
    settle_one(queue, received(queue), Done())
    assert node.state("a-1") == "completed"


@pytest.mark.parametrize("activity_id", ["42", "wait", "stalled-check", "meta", "pod:1", "0:1"])
def test_an_id_that_means_something_to_bullmq_is_no_job_id_of_ours(
    node: Node, queue: BullmqQueue, activity_id: str
) -> None:
    """A number of its own, a list of its own, a separator: its job has another name, and BullMQ goes on."""
    queue.ring(activity_id, now())
    assert node.ask("add", jobs=[{"name": "x", "data": {"activityId": "a-1"}}]) != [activity_id]
    assert [received(queue).activity_id for _ in range(2)] == [activity_id, "a-1"]


# What an observer sees


@pytest.mark.parametrize(
    ("settlement", "state", "told"),
    [
        (Done(status="executed", note="reconciled"), "completed", {"status": "executed", "note": "reconciled"}),
        (Done(status="cancelled", note="no"), "completed", {"status": "cancelled", "note": "no"}),
        (Done(status="missing", note="no"), "completed", {"status": "missing", "note": "no"}),
        (Done(status="failed", note="it is failed"), "failed", "it is failed"),
        (DeadLettered(reason="post_not_found: gone"), "failed", "post_not_found: gone"),
        (Done(status="scheduled", note="the account is held"), "delayed", None),
        (Later(at=datetime(2020, 1, 1, tzinfo=timezone.utc)), "waiting", None),
    ],
    ids=["executed", "cancelled", "missing", "failed", "buried", "held", "drained"],
)
def test_the_state_of_a_job_is_that_of_its_activity(
    node: Node, queue: BullmqQueue, settlement: Settlement, state: str, told: object
) -> None:
    """Only what is over is completed or failed, with a reason; what is held or handed back is not left active."""
    node.add("a-1", attempts=5, backoff=1)
    settle_one(queue, received(queue), settlement)
    job = node.ask("job", id="a-1")
    assert job["state"] == state
    assert told is None or told in (job.get("returnvalue"), job.get("failedReason"))
    assert node.ask("counts")["active"] == 0


def test_a_failed_job_is_not_tried_again_by_bullmq(node: Node, queue: BullmqQueue) -> None:
    """Retries are decided in PostgreSQL: `attempts` and `backoff` of the producer change nothing."""
    node.add("a-1", attempts=5)
    settle_one(queue, received(queue), DeadLettered(reason="api_error: no"))
    assert queue.advance(timedelta(days=1)) == 0
    assert receive_one(queue, NOTHING) is None
    [failed] = [each for each in node.ask("events", until="failed", times=1) if each["kind"] == "failed"]
    assert (failed["jobId"], failed["failedReason"]) == ("a-1", "api_error: no")


def test_a_dead_letter_is_mirrored_with_its_reason(node: Node, queue: BullmqQueue) -> None:
    """In a queue of its own, where any Bull tool shows it."""
    queue.bury("a-1", "api_error: no")
    job = node.ask("job", id="a-1", name="pod-engagement-dead-letter")
    assert (job["state"], job["name"]) == ("waiting", "dead-letter")
    assert job["data"] == {"activityId": "a-1", "reason": "api_error: no"}


def test_what_we_ring_is_a_job_like_those_of_a_producer(node: Node, queue: BullmqQueue) -> None:
    """Its id is the activity's, so that a producer's and ours are one."""
    at = now() + MINUTE
    queue.ring("a-1", at)
    job = node.ask("job", id="a-1")
    assert (job["state"], job["name"], job["data"]) == ("delayed", "execute-engagement", {"activityId": "a-1"})
    assert abs(job["timestamp"] + job["delay"] - at.timestamp() * 1000) < 2
    assert node.add("a-1") == ["a-1"]
    assert node.ask("counts")["delayed"] == 1


@pytest.mark.parametrize("end", [DeadLettered(reason="dead"), Done()], ids=["failed", "completed"])
def test_a_finished_job_that_bullmq_keeps_does_not_block_a_requeue(
    node: Node, queue: BullmqQueue, end: Settlement
) -> None:
    """BullMQ itself would take the second job of an id for the first."""
    node.add("a-1")
    settle_one(queue, received(queue), end)
    queue.ring("a-1", now())
    wake_up = received(queue)
    assert node.state("a-1") == "active"
    settle_one(queue, wake_up, Done())
    assert node.state("a-1") == "completed"


def test_the_retry_button_rings_again(node: Node, queue: BullmqQueue) -> None:
    """Bull Board's: what comes of it is decided in PostgreSQL."""
    node.add("a-1")
    settle_one(queue, received(queue), DeadLettered(reason="dead"))
    node.ask("retry", id="a-1")
    wake_up = received(queue)
    settle_one(queue, wake_up, Done(status="failed", note="it is failed"))
    assert node.state("a-1") == "failed"


@pytest.mark.parametrize(
    ("option", "end", "is_kept"),
    [
        ({"removeOnComplete": True}, Done(), False),
        ({"removeOnComplete": 1}, Done(), True),
        ({"removeOnFail": {"count": 0}}, DeadLettered(reason="dead"), False),
        ({"removeOnFail": {"age": 60}}, DeadLettered(reason="dead"), True),
    ],
)
def test_the_producer_says_which_finished_jobs_are_kept(
    node: Node, queue: BullmqQueue, option: dict[str, object], end: Settlement, is_kept: bool
) -> None:
    """By BullMQ's own options."""
    node.add("a-1", **option)
    settle_one(queue, received(queue), end)
    assert (node.state("a-1") is not None) == is_kept


def test_a_paused_queue_gives_nothing_until_it_is_resumed(node: Node, queue: BullmqQueue) -> None:
    """BullMQ's pause; the sweep does not know it, `engagement pause` is ours."""
    node.ask("pause")
    node.add("a-1")
    assert receive_one(queue, NOTHING) is None
    node.ask("resume")
    assert received(queue).activity_id == "a-1"


def test_a_second_job_for_an_activity_in_hand_does_not_stay_active(node: Node, queue: BullmqQueue) -> None:
    """A producer that gives its jobs no id rings twice: the first one counts, the second says so."""
    jobs = [{"name": "execute-engagement", "data": {"activityId": "a-1"}}] * 2
    first, second = node.ask("add", jobs=jobs)
    wake_up = received(queue)
    assert receive_one(queue, NOTHING) is None
    assert node.ask("job", id=second)["returnvalue"]["note"] == f"job {first} has rung for it already"
    settle_one(queue, wake_up, Done())
    assert [node.state(each) for each in (first, second)] == ["completed", "completed"]


def test_a_held_job_rings_again_and_less_and_less_often(node_5: Node, queue: BullmqQueue) -> None:
    """Soon at first, because it may only be in other hands; once a minute in the end."""
    node_5.add("a-1")
    pauses = []
    for _ in range(8):
        settle_one(queue, received(queue), Done(status="scheduled", note="the account is held"))
        pauses.append(node_5.ask("job", id="a-1")["delay"])
        queue.advance(2 * MINUTE)
    assert pauses == [2_000, 4_000, 8_000, 16_000, 32_000, 64_000, 64_000, 64_000]


# Locks


def test_a_job_in_hand_keeps_its_lock(node_5: Node, queue: BullmqQueue, redis: Any) -> None:
    """Every beat renews it; nobody takes the job for stalled, however long it waits for its time."""
    node_5.add("a-1")
    wake_up = received(queue)
    for _ in range(3):
        redis.pexpire(f"{KEY}a-1:lock", 2_000)
        redis.delete(f"{KEY}stalled-check")
        queue.advance(NOTHING)
        assert redis.pttl(f"{KEY}a-1:lock") > 5_000
    assert receive_one(queue, NOTHING) is None
    settle_one(queue, wake_up, Done())
    assert node_5.state("a-1") == "completed"


def test_a_job_that_rang_anew_while_it_was_in_hand_keeps_its_lock(node_5: Node, queue: BullmqQueue, redis: Any) -> None:
    """What is lost is the old wake-up, not the new one."""
    queue.ring("a-1", now())
    old = received(queue)
    queue.ring("a-1", now())
    new = received(queue)
    for _ in range(2):
        redis.pexpire(f"{KEY}a-1:lock", 2_000)
        queue.advance(NOTHING)
        assert redis.pttl(f"{KEY}a-1:lock") > 5_000
    settle_one(queue, old, DeadLettered(reason="an old word"))
    assert node_5.state("a-1") == "active"
    settle_one(queue, new, Done())
    assert node_5.state("a-1") == "completed"


def test_a_job_whose_worker_died_rings_again(node: Node, queue: BullmqQueue, redis: Any) -> None:
    """A Node worker's or ours: when its lock has run out, and however often that happens."""
    node.add("a-1")
    for _ in range(4):
        assert node.ask("abandon") == "a-1"
        redis.delete(f"{KEY}a-1:lock")
        for _ in range(2):  # BullMQ suspects first, and is sure the next time
            redis.delete(f"{KEY}stalled-check")
            queue.advance(NOTHING)
    settle_one(queue, received(queue), Done())
    job = node.ask("job", id="a-1")
    assert (job["state"], "failedReason" in job) == ("completed", False)


def test_a_job_that_is_never_settled_is_let_go(node_5: Node, redis_url: str, redis: Any) -> None:
    """A defect that loses a wake-up does not keep its job active for ever."""
    queue = BullmqQueue(redis_url, abandoned_after=NOTHING, stalled_every=NOTHING)
    node_5.add("a-1")
    received(queue)
    redis.pexpire(f"{KEY}a-1:lock", 2_000)
    queue.advance(NOTHING)
    assert redis.pttl(f"{KEY}a-1:lock") <= 2_000
    queue.close()


def test_whoever_lost_the_lock_changes_nothing(node_5: Node, queue: BullmqQueue, redis: Any) -> None:
    """Another worker has the job by now: its word counts."""
    node_5.add("a-1")
    wake_up = received(queue)
    redis.set(f"{KEY}a-1:lock", "somebody else", px=30_000)
    for settlement in (Done(), Later(at=now()), Done(status="scheduled"), Done(status="failed")):
        settle_one(queue, wake_up, settlement)
        assert node_5.state("a-1") == "active"
    assert queue.advance(NOTHING) == 0


# Hostile

HOSTILE: dict[str, bytes] = {
    "not JSON": b"{{{",
    "empty": b"",
    "null": b"null",
    "a number": b"42",
    "a list": b'["a-1"]',
    "no id": b"{}",
    "an id that is a number": b'{"activityId": 42}',
    "an id that is an object": b'{"activityId": {"$ne": null}}',
    "an empty id": b'{"activityId": " "}',
    "an id with a NUL": b'{"activityId": "a\\u0000b"}',
    "half a character": b'{"activityId": "\\ud800"}',
    "a long id": b'{"activityId": "' + b"x" * 2_000 + b'"}',
    "not UTF-8": b'{"activityId": "\xff\xfe"}',
    "nested without end": b"[" * 60_000,
    "huge": b'{"activityId": "a-1", "junk": "' + b"x" * 5_000_000 + b'"}',
}


@pytest.mark.parametrize("data", HOSTILE.values(), ids=HOSTILE.keys())
def test_what_cannot_be_read_is_set_aside_and_the_next_job_comes(
    node_5: Node, queue: BullmqQueue, redis: Any, data: bytes
) -> None:
    """With its raw form, out of the way of everybody, and small."""
    node_5.add("bad")
    redis.hset(f"{KEY}bad", mapping={"data": data})
    node_5.add("good")
    got = receive_one(queue, timedelta(seconds=5))
    assert isinstance(got, Unreadable)
    assert received(queue).activity_id == "good"
    assert node_5.state("bad") is None
    [dead] = redis.lrange("bull:pod-engagement-dead-letter:wait", 0, -1)
    kept = json.loads(redis.hget(b"bull:pod-engagement-dead-letter:" + dead, "data"))
    assert kept == {"reason": got.reason, "raw": got.raw, "jobId": "bad"}
    assert len(json.dumps(kept)) < 10_000


SPOILED: dict[str, dict[str, bytes]] = {
    "options that are not JSON": {"opts": b"{{{"},
    "options that are a list": {"opts": b"[1]"},
    "options of wrong types": {"opts": b'{"removeOnComplete": {"age": "x"}, "attempts": [], "backoff": 1e999}'},
    "options that are not UTF-8": {"opts": b"\xff"},
    "a parent that is not JSON": {"parent": b"{{{", "parentKey": b"bull:x:1"},
    "numbers that are none": {"timestamp": b"never", "delay": b"x", "priority": b"y", "atm": b"7"},
    "a field that is not UTF-8": {"name": b"\xff\xfe", "other": b"\xff"},
    "a failure that was put off": {"defa": b"job stalled more than allowable limit"},
}


@pytest.mark.parametrize(
    "end", [Done(), DeadLettered(reason="dead"), Done(status="scheduled")], ids=["done", "dead", "held"]
)
@pytest.mark.parametrize("fields", SPOILED.values(), ids=SPOILED.keys())
def test_a_spoiled_hash_around_a_readable_payload_harms_nobody(
    node_5: Node, queue: BullmqQueue, redis: Any, fields: dict[str, bytes], end: Settlement
) -> None:
    """It is executed like any other, and does not stay active."""
    node_5.add("bad")
    redis.hset(f"{KEY}bad", mapping=fields)
    wake_up = received(queue)
    assert wake_up.activity_id == "bad"
    settle_one(queue, wake_up, end)
    assert redis.llen(f"{KEY}active") == 0
    assert redis.exists(f"{KEY}bad:lock") == 0


@pytest.mark.parametrize("has_another", [False, True])
def test_a_parent_whose_child_failed_is_failed_and_says_what_became_of_its_activity(
    node: Node, queue: BullmqQueue, redis: Any, has_another: bool
) -> None:
    """BullMQ refuses to complete it, whether or not another child is left; nobody is left without an answer."""
    node.add("parent-1")
    children = [_child("child-1", failParentOnFailure=True), _child("child-2", delay=60_000)][: 1 + has_another]
    node.ask("add", jobs=children)
    parent, child = received(queue), received(queue)
    settle_one(queue, child, DeadLettered(reason="the post is gone"))
    settle_one(queue, parent, Done())
    job = node.ask("job", id="parent-1")
    assert (job["state"], job["failedReason"]) == ("failed", "executed, and a child of this job has failed")
    assert redis.llen(f"{KEY}active") == 0


def test_a_parent_waits_for_a_child_that_came_later(node: Node, queue: BullmqQueue, redis: Any) -> None:
    """It is not left active, to be found stalled again and again until the child has ended."""
    node.add("parent-1")
    parent = received(queue)
    node.ask("add", jobs=[_child("child-1")])
    settle_one(queue, parent, Done())
    assert node.state("parent-1") == "waiting-children"
    assert redis.exists(f"{KEY}parent-1:lock") == 0
    settle_one(queue, received(queue), Done())
    settle_one(queue, received(queue), Done())
    assert {node.state("parent-1"), node.state("child-1")} == {"completed"}


def test_a_producer_may_have_a_prefix_of_its_own(
    redis_url: str, redis: Any, node_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its jobs are found there, and so are ours and the dead letters."""
    monkeypatch.setenv("BULLMQ_PREFIX", "{e-04}")
    with started_node(node_folder, redis_url) as elsewhere, closing(BullmqQueue(redis_url, prefix="{e-04}")) as queue:
        elsewhere.add("theirs-1")
        settle_one(queue, received(queue), DeadLettered(reason="the post is gone"))
        queue.ring("ours-1", datetime.now(timezone.utc) + MINUTE)
        assert (elsewhere.state("theirs-1"), elsewhere.state("ours-1")) == ("failed", "delayed")
        assert elsewhere.ask("counts", name="pod-engagement-dead-letter")["waiting"] == 1
    assert list(redis.scan_iter("bull:*")) == []


def _child(job_id: str, **opts: Any) -> dict[str, Any]:
    """A job that is added to the parent when that rings already."""
    parent = {"id": "parent-1", "queue": "bull:pod-engagement"}
    return {
        "name": "schedule-likes",
        "data": {"activityId": job_id},
        "opts": {"jobId": job_id, "parent": parent, **opts},
    }


def _no_hash(redis: Any) -> None:
    redis.set(f"{KEY}bad", "a string")


def _no_key(redis: Any) -> None:
    redis.delete(f"{KEY}bad")


def _no_number(redis: Any) -> None:
    redis.hset(f"{KEY}bad", "ats", "x")


@pytest.mark.parametrize("spoil", [_no_hash, _no_key, _no_number])
def test_an_entry_whose_job_is_none_goes_away(
    node_5: Node, queue: BullmqQueue, redis: Any, spoil: Callable[[Any], None]
) -> None:
    """BullMQ's own scripts would stumble over it for ever, or invent a job."""
    node_5.add("bad", "good")
    spoil(redis)
    got = receive_one(queue, timedelta(seconds=5))
    if isinstance(got, Unreadable):
        assert got.receipt == "bad"
        got = receive_one(queue, timedelta(seconds=5))
    assert isinstance(got, WakeUp)
    assert got.activity_id == "good"
    for _ in range(2):
        redis.delete(f"{KEY}stalled-check")
        queue.advance(NOTHING)
    assert redis.lrange(f"{KEY}active", 0, -1) == [b"good"]
    assert redis.exists(f"{KEY}bad", f"{KEY}bad:lock") == 0


@pytest.mark.parametrize("job_id", [b"\xff\xfe", b"bad\nid"])
def test_a_job_whose_id_is_not_text_is_set_aside(queue: BullmqQueue, redis: Any, job_id: bytes) -> None:
    """Ids that a producer in another language may write."""
    redis.hset(KEY.encode() + job_id, mapping={"name": "x", "data": '{"activityId": "a-1"}', "opts": "{}"})
    redis.lpush(f"{KEY}wait", job_id)
    got = receive_one(queue, NOTHING)
    assert isinstance(got, Unreadable)
    assert redis.llen(f"{KEY}active") == 0
    queue.advance(NOTHING)
