"""What lies in Redis: what RQ's own classes see of our jobs, and what we make of everybody else's."""

from __future__ import annotations

import json
import pickle
import threading
import zlib
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from redis import Redis
from rq import Queue as PlainRqQueue
from rq.job import Job
from rq.registry import StartedJobRegistry
from rq.serializers import JSONSerializer
from rq_scheduler import Scheduler

from adapters.rq.json_job import JsonJob, JsonQueue
from adapters.rq.queue import RqQueue
from engagement_core.model.job import DeadLettered, Done, Later, Unreadable, WakeUp
from fakes.clock import InMemoryClock
from support.queues import receive_one, settle_one

NOTHING = timedelta(0)
READY = "rq:queue:pod-engagement"
BETWEEN = "rq:queue:pod-engagement:intermediate"
STARTED = "rq:wip:pod-engagement"
SCHEDULE = "rq:scheduler:scheduled_jobs"
FUNCTION = "runners.tasks.execute_engagement"


@dataclass(frozen=True, kw_only=True)
class Site:
    """Our queue, and Redis as everybody else reaches it."""

    queue: RqQueue
    redis: Redis
    clock: InMemoryClock = field(default_factory=InMemoryClock)

    @property
    def producer(self) -> PlainRqQueue:
        """RQ as another service uses it."""
        return PlainRqQueue("pod-engagement", connection=self.redis, serializer=JSONSerializer)

    @property
    def dead(self) -> PlainRqQueue:
        """The dead-letter queue, as RQ shows it."""
        return PlainRqQueue("pod-engagement-dead-letter", connection=self.redis, serializer=JSONSerializer)

    def job(self, job_id: str) -> Job:
        """A job, as RQ fetches it."""
        return Job.fetch(job_id, connection=self.redis, serializer=JSONSerializer)

    def ring(self, activity_id: str, after: timedelta = NOTHING) -> None:
        """Ring so long after now."""
        self.queue.ring(activity_id, self.clock.now() + after)

    def receive(self) -> WakeUp:
        """The next job, which must name an activity."""
        received = receive_one(self.queue, NOTHING)
        assert isinstance(received, WakeUp)
        return received

    def put(self, job_id: str | bytes, data: bytes, **fields: str | bytes) -> None:
        """Write a job by hand, and ring with it."""
        key = b"rq:job:" + (job_id.encode("utf-8") if isinstance(job_id, str) else job_id)
        self.redis.hset(key, mapping={"data": data, "origin": "pod-engagement", **fields})
        self.redis.rpush(READY, job_id)


@pytest.fixture
def site(redis_url: str) -> Iterator[Site]:
    """A fresh Redis, in the year in which the clock of the tests begins."""
    clock = InMemoryClock()
    queue = RqQueue(redis_url, now=clock.now)
    with Redis.from_url(redis_url) as client:
        yield Site(queue=queue, redis=client, clock=clock)
    queue.close()


@pytest.fixture
def trap(tmp_path: Path) -> Iterator[bytes]:
    """A pickle that writes a file when it is loaded; the file must not be there in the end."""
    witness = tmp_path / "executed"

    class Trap:
        def __reduce__(self) -> tuple[Any, ...]:
            return witness.write_text, ("loaded",)

    yield pickle.dumps((FUNCTION, None, (), {"activity_id": "a-1", "trap": Trap()}))
    assert not witness.exists(), "a pickle was loaded"


# What RQ sees


def test_a_rung_job_is_one_that_any_rq_worker_understands(site: Site) -> None:
    """Id, function, keyword and queue as the contract says, in JSON."""
    site.ring("a-1")
    job = site.job("a-1")
    assert (job.func_name, job.args, job.kwargs) == (FUNCTION, [], {"activity_id": "a-1"})
    assert (job.origin, job.get_status(), job.result_ttl) == ("pod-engagement", "queued", 0)
    assert site.producer.job_ids == ["a-1"]
    assert {queue.name for queue in PlainRqQueue.all(connection=site.redis)} == {"pod-engagement"}


def test_a_future_job_lies_in_the_schedule_of_rq_scheduler(site: Site) -> None:
    """With the whole second of its time as UTC epoch, and JSON too."""
    site.clock.advance(timedelta(milliseconds=700))
    site.ring("a-1", timedelta(seconds=10))
    scheduler = Scheduler(connection=site.redis, job_class=JsonJob, queue_class=JsonQueue)
    [job] = scheduler.get_jobs()
    assert site.redis.zscore(SCHEDULE, "a-1") == site.clock.origin.timestamp() + 10
    assert (job.id, job.kwargs, job.origin, job.failure_ttl) == ("a-1", {"activity_id": "a-1"}, "pod-engagement", 86400)
    assert json.loads(zlib.decompress(site.redis.hget("rq:job:a-1", "data"))) == [
        FUNCTION, None, [], {"activity_id": "a-1"},
    ]  # fmt: skip


def test_a_received_job_is_started_and_no_longer_in_between(site: Site) -> None:
    """So that `rq info` counts it as executing."""
    site.ring("a-1")
    site.receive()
    assert site.job("a-1").get_status() == "started"
    assert site.redis.llen(BETWEEN) == 0
    started = StartedJobRegistry("pod-engagement", connection=site.redis).get_job_ids(cleanup=False)
    assert [entry.partition(":")[0] for entry in started] == ["a-1"]  # RQ 2.0 lists executions, later ones jobs


@pytest.mark.parametrize("after", [0, 10])
def test_a_finished_job_leaves_nothing_behind(site: Site, after: int) -> None:
    """Redis stays as small as the work that is waiting."""
    site.ring("a-1", timedelta(seconds=after))
    site.queue.advance(timedelta(minutes=1))
    settle_one(site.queue, site.receive(), Done())
    assert site.redis.keys() == [b"rq:queues"]


def test_a_dead_letter_is_a_job_that_says_why(site: Site) -> None:
    """In its description, which `rq` prints, and in its meta."""
    site.ring("a-1")
    settle_one(site.queue, site.receive(), DeadLettered(reason="post_not_found: it is gone"))
    [job] = site.dead.jobs
    assert (job.id, job.kwargs, job.get_status()) == ("a-1", {"activity_id": "a-1"}, "queued")
    assert job.description == "post_not_found: it is gone"
    assert job.meta == {"reason": "post_not_found: it is gone"}
    assert site.redis.zcard(STARTED) == 0


def test_a_reason_is_bounded(site: Site) -> None:
    """A provider's page of HTML does not fill Redis."""
    site.queue.bury("a-1", "x" * 1_000_000)
    assert site.redis.memory_usage("rq:job:a-1", samples=0) < 10_000


# Producers


@pytest.mark.parametrize(
    "enqueue",
    [
        lambda queue: queue.enqueue(FUNCTION, activity_id="a-1", job_id="a-1"),
        lambda queue: queue.enqueue(FUNCTION, kwargs={"activityId": "a-1"}),
        lambda queue: queue.enqueue("e04.schedule_likes", "a-1"),
        lambda queue: queue.enqueue("e04.schedule_likes", {"activityId": "a-1", "podId": "p-1"}, job_timeout=30),
    ],
)
def test_jobs_of_a_plain_rq_producer_are_received_and_removed(
    site: Site, enqueue: Callable[[PlainRqQueue], Job]
) -> None:
    """Whatever id and function they carry."""
    enqueue(site.producer)
    wake_up = site.receive()
    assert wake_up.activity_id == "a-1"
    settle_one(site.queue, wake_up, Done())
    assert site.redis.keys() == [b"rq:queues"]


def test_jobs_of_an_rq_scheduler_producer_ring_at_their_time(site: Site) -> None:
    """Enqueued from another process through the hooks."""
    scheduler = Scheduler(queue_name="pod-engagement", connection=site.redis, job_class=JsonJob, queue_class=JsonQueue)
    scheduler.enqueue_at(site.clock.now() + timedelta(seconds=5), FUNCTION, activity_id="a-1")
    assert site.queue.advance(timedelta(seconds=4)) == 0
    assert site.queue.advance(timedelta(seconds=5)) == 1
    assert site.receive().activity_id == "a-1"


def test_a_producer_that_rings_for_a_dead_letter_does_not_hide_it(site: Site) -> None:
    """It is in both queues under one id; settling the wake-up must not take the mirror with it."""
    site.queue.bury("a-1", "dead")
    site.producer.enqueue(FUNCTION, activity_id="a-1", job_id="a-1")
    settle_one(site.queue, site.receive(), Done())
    [job] = site.dead.jobs
    assert (job.id, job.origin, job.meta) == ("a-1", "pod-engagement-dead-letter", {"reason": "dead"})
    site.queue.unbury("a-1")
    assert site.dead.job_ids == []


def test_a_ring_sheds_what_rq_left_of_the_last_job(site: Site) -> None:
    """A hash with a time to live would vanish while its job is waiting."""
    site.producer.enqueue(FUNCTION, activity_id="a-1", job_id="a-1")
    site.redis.lpop(READY)
    site.redis.expire("rq:job:a-1", 500)
    site.redis.hset("rq:job:a-1", "status", "finished")
    site.ring("a-1")
    assert site.redis.ttl("rq:job:a-1") == -1
    assert site.job("a-1").get_status() == "queued"


# What cannot be read


def test_a_pickled_job_is_set_aside_unloaded_and_work_goes_on(site: Site, trap: bytes) -> None:
    """Compressed as RQ writes it, and raw; its meta is not looked at either."""
    site.put("evil-1", zlib.compress(trap), meta=trap)
    site.put("evil-2", trap)
    site.ring("a-1")
    for job_id in ("evil-1", "evil-2"):
        received = receive_one(site.queue, NOTHING)
        assert isinstance(received, Unreadable)
        assert received.receipt == job_id
        assert received.raw.startswith("base64:")
    assert site.receive().activity_id == "a-1"
    assert sorted(job.meta["job_id"] for job in site.dead.jobs) == ["evil-1", "evil-2"]


def test_an_unreadable_job_lies_in_the_dead_letter_queue_with_its_raw_form(site: Site) -> None:
    """Once, however often it comes, and nowhere else."""
    for _ in range(2):
        site.put("odd", zlib.compress(b'{"hello": "world"}'))
        received = receive_one(site.queue, NOTHING)
        assert isinstance(received, Unreadable)
    [job] = site.dead.jobs
    assert job.meta == {"reason": received.reason, "raw": '{"hello": "world"}', "job_id": "odd"}
    assert job.description == f"unreadable: {received.reason}"
    assert site.redis.exists("rq:job:odd", READY, BETWEEN, STARTED) == 0


def test_a_huge_payload_is_not_even_fetched_whole(site: Site) -> None:
    """Fifty megabytes cost a job in the dead-letter queue of a few kilobytes."""
    site.put("huge", b"x" * 50_000_000)
    sent_before = site.redis.info("stats")["total_net_output_bytes"]
    received = receive_one(site.queue, NOTHING)
    assert site.redis.info("stats")["total_net_output_bytes"] - sent_before < 200_000
    assert isinstance(received, Unreadable)
    assert "65536 bytes" in received.reason
    [job] = site.dead.jobs
    assert site.redis.memory_usage(job.key, samples=0) < 10_000


def test_a_job_without_data_is_unreadable(site: Site) -> None:
    """A hash that no RQ could run."""
    site.redis.hset("rq:job:empty", "origin", "pod-engagement")
    site.redis.rpush(READY, "empty")
    assert isinstance(receive_one(site.queue, NOTHING), Unreadable)


def test_a_job_that_is_no_hash_is_unreadable(site: Site) -> None:
    """Somebody wrote a string under its name."""
    site.redis.set("rq:job:text", "hello")
    site.redis.rpush(READY, "text")
    received = receive_one(site.queue, NOTHING)
    assert isinstance(received, Unreadable)
    assert received.reason == "the job is a string, not a hash"
    assert site.redis.exists("rq:job:text", BETWEEN) == 0


def test_entries_whose_job_is_gone_are_dropped_on_the_way(site: Site) -> None:
    """They are neither returned nor met again."""
    site.redis.rpush(READY, *(f"gone-{n}" for n in range(50)))
    site.ring("a-1")
    assert site.receive().activity_id == "a-1"
    assert receive_one(site.queue, NOTHING) is None
    assert site.redis.exists(READY, BETWEEN) == 0


@pytest.mark.parametrize("job_id", [b"\xff\xfe", b"pod:1", b"with space", b"x" * 5000])
def test_a_legible_job_under_an_id_that_rq_forbids_is_received(site: Site, job_id: bytes) -> None:
    """And leaves nothing over which RQ's own tools would fall."""
    site.put(job_id, json.dumps([FUNCTION, None, [], {"activity_id": "a-1"}]).encode())
    wake_up = site.receive()
    assert wake_up.activity_id == "a-1"
    assert site.redis.zcard(STARTED) == 0
    settle_one(site.queue, wake_up, Done())
    assert site.redis.keys() == []


# The schedule, shared with others


def test_other_queues_jobs_are_left_alone_and_unread(site: Site, trap: bytes) -> None:
    """Even due, even broken: byte for byte as they were."""
    site.redis.hset("rq:job:theirs", mapping={"data": trap, "meta": trap, "origin": "other"})
    site.redis.set("rq:job:odd", "not a hash")
    site.redis.zadd(SCHEDULE, {"theirs": 1, "odd": 2})
    site.ring("a-1", timedelta(seconds=1))
    before = site.redis.dump("rq:job:theirs")
    assert site.queue.advance(timedelta(seconds=1)) == 1
    assert site.redis.dump("rq:job:theirs") == before
    assert site.redis.zrange(SCHEDULE, 0, -1) == [b"theirs", b"odd"]
    assert site.producer.job_ids == ["a-1"]
    assert site.job("a-1").get_status() == "queued"


def test_many_vanished_jobs_do_not_block_ours(site: Site) -> None:
    """A page full of them is forgotten, and the next page begins where they were."""
    site.redis.zadd(SCHEDULE, {f"gone-{number}": number for number in range(500)})
    site.ring("a-1", timedelta(seconds=1))
    assert site.queue.advance(timedelta(seconds=1)) == 1
    assert site.redis.zcard(SCHEDULE) == 0


def test_many_due_jobs_of_others_do_not_block_ours(site: Site) -> None:
    """Nobody runs their scheduler; ours comes after six hundred of them."""
    with site.redis.pipeline() as pipe:
        for number in range(600):
            pipe.hset(f"rq:job:theirs-{number}", mapping={"origin": "other", "data": "x"})
            pipe.zadd(SCHEDULE, {f"theirs-{number}": number})
        pipe.execute()
    site.ring("a-1", timedelta(seconds=1))
    assert site.queue.advance(timedelta(seconds=1)) == 1
    assert site.redis.zcard(SCHEDULE) == 600


def test_broken_jobs_in_the_schedule_block_nobody(site: Site, trap: bytes) -> None:
    """A pickle of our queue is moved unloaded and set aside when it is received; what is gone is forgotten."""
    site.redis.hset("rq:job:evil", mapping={"data": zlib.compress(trap), "meta": trap, "origin": "pod-engagement"})
    site.redis.zadd(SCHEDULE, {"evil": 1, "gone": 2, b"\xff\xfe": 3})
    site.ring("a-1", timedelta(seconds=1))
    assert site.queue.advance(timedelta(seconds=1)) == 2
    assert isinstance(receive_one(site.queue, NOTHING), Unreadable)
    assert site.receive().activity_id == "a-1"
    assert site.redis.zcard(SCHEDULE) == 0


def test_one_call_moves_five_hundred_jobs_at_most(site: Site) -> None:
    """The rest comes with the next beat."""
    for number in range(503):
        site.ring(f"a-{number}", timedelta(seconds=1))
    assert site.queue.advance(timedelta(seconds=1)) == 500
    assert site.queue.advance(timedelta(seconds=1)) == 3
    assert site.queue.depth() == 503


def test_two_workers_that_advance_together_move_each_job_once(site: Site, redis_url: str) -> None:
    """Moving is atomic; no lock is needed, and none is taken from rq-scheduler."""
    for number in range(200):
        site.ring(f"a-{number}", timedelta(seconds=1))
    queues = [RqQueue(redis_url, now=site.clock.now) for _ in range(4)]
    moved: list[int] = []
    threads = [
        threading.Thread(target=lambda queue=queue: moved.append(queue.advance(timedelta(seconds=1))))
        for queue in queues
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for queue in queues:
        queue.close()
    assert sum(moved) == 200
    assert sorted(site.producer.job_ids) == sorted(f"a-{number}" for number in range(200))
    assert not site.redis.exists(Scheduler.scheduler_lock_key)


# Races


def test_two_workers_that_find_a_stuck_job_put_it_back_once(site: Site, redis_url: str) -> None:
    """The second finds that it is there no longer."""
    site.redis.rpush(BETWEEN, "a-1")
    with closing(RqQueue(redis_url, now=site.clock.now)) as another:
        for _ in range(2):
            site.queue.advance(NOTHING)
            another.advance(NOTHING)
            site.clock.advance(timedelta(minutes=1))
    assert site.redis.lrange(READY, 0, -1) == [b"a-1"]


# Several at once


def test_jobs_of_every_kind_are_received_in_one_go(site: Site) -> None:
    """Good ones, those under a name that RQ forbids, pickles, strings, and entries without a job: each as if alone."""
    legible = json.dumps([FUNCTION, None, [], {"activity_id": "a-2"}]).encode()
    site.ring("a-1")
    site.redis.rpush(READY, "gone")
    site.put("with space", legible)
    site.put("pickled", b"not JSON")
    site.redis.set("rq:job:text", "hello")
    site.redis.rpush(READY, "text")
    site.ring("a-3")
    received = site.queue.receive(NOTHING, at_most=10)
    assert [getattr(each, "activity_id", each.receipt) for each in received] == ["a-1", "a-2", "pickled", "text", "a-3"]
    assert site.redis.exists(READY, BETWEEN) == 0
    assert site.redis.zcard(STARTED) == 2
    site.queue.settle([(each, Done()) for each in received if isinstance(each, WakeUp)])
    assert sorted(site.redis.keys("rq:job:*")) == sorted(job.key.encode() for job in site.dead.jobs)
    assert site.redis.zcard(STARTED) == 0


def test_one_job_in_two_entries_is_started_twice_and_the_last_start_counts(site: Site) -> None:
    """RQ's own `enqueue` adds a second entry; neither settlement is taken for the other."""
    site.ring("a-1")
    site.redis.rpush(READY, "a-1")
    first, second = site.queue.receive(NOTHING, at_most=10)
    assert first != second
    site.queue.settle([(first, Later(at=site.clock.now()))])
    assert site.redis.exists("rq:job:a-1") == 1
    site.queue.settle([(second, Done())])
    assert site.redis.keys() == [b"rq:queues"]


def test_no_more_are_received_than_asked_for(site: Site) -> None:
    """The rest is left to others, in its order."""
    for number in range(5):
        site.ring(f"a-{number}")
    assert len(site.queue.receive(NOTHING, at_most=3)) == 3
    assert site.producer.job_ids == ["a-3", "a-4"]


def test_a_worker_that_dies_before_it_sets_a_job_aside_loses_no_payload(site: Site, monkeypatch: Any) -> None:
    """The job is marked as started by then; nobody else would ever say that it cannot be read."""
    monkeypatch.setattr(site.queue, "_reject", lambda *_: None)
    site.put("bad", b"not JSON")
    receive_one(site.queue, NOTHING)
    monkeypatch.undo()
    site.clock.advance(timedelta(minutes=5))
    site.queue.advance(NOTHING)
    assert isinstance(receive_one(site.queue, NOTHING), Unreadable)
    assert [job.meta["job_id"] for job in site.dead.jobs] == ["bad"]
    assert site.redis.zcard(STARTED) == 0


# Workers that died


def test_a_job_stuck_in_between_is_put_back_after_a_minute(site: Site) -> None:
    """A worker died between taking it and saying so."""
    site.ring("a-1")
    PlainRqQueue.lmove(site.redis, READY, None)
    site.queue.advance(NOTHING)
    site.clock.advance(timedelta(seconds=59))
    site.queue.advance(NOTHING)
    assert receive_one(site.queue, NOTHING) is None
    site.clock.advance(timedelta(seconds=1))
    site.queue.advance(NOTHING)
    assert site.receive().activity_id == "a-1"
    assert site.redis.llen(BETWEEN) == 0


def test_a_job_that_was_never_settled_goes_after_five_minutes(site: Site) -> None:
    """Its worker died; its activity is the sweep's."""
    site.ring("a-1")
    site.receive()
    site.clock.advance(timedelta(minutes=4, seconds=59))
    site.queue.advance(NOTHING)
    assert site.redis.exists("rq:job:a-1", STARTED) == 2
    site.clock.advance(timedelta(seconds=1))
    site.queue.advance(NOTHING)
    assert site.redis.exists("rq:job:a-1", STARTED) == 0


def test_clearing_up_spares_a_newer_ring(site: Site) -> None:
    """The old start is forgotten, the new job stays."""
    site.ring("a-1")
    site.receive()
    site.ring("a-1")
    site.clock.advance(timedelta(minutes=5))
    site.queue.advance(NOTHING)
    assert site.redis.exists(STARTED) == 0
    assert site.receive().activity_id == "a-1"


def test_what_a_plain_rq_worker_abandoned_is_left_to_rq(site: Site) -> None:
    """It has its own rules for that: retries, callbacks, the failed registry."""
    site.redis.zadd(STARTED, {"a-1:0123456789abcdef": 1})
    site.queue.advance(NOTHING)
    assert site.redis.zcard(STARTED) == 1
