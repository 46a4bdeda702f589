"""What every doorbell promises, asked of RQ and BullMQ on a real Redis and of the fake alike."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

import pytest
from redis import Redis
from rq import Queue as PlainRqQueue
from rq.serializers import JSONSerializer

from adapters.bullmq.queue import BullmqQueue
from adapters.no_queue import NoQueue
from adapters.rq.queue import RqQueue
from engagement_core.model.job import DeadLettered, Done, Later, WakeUp
from engagement_core.ports.queue import Queue
from fakes.clock import InMemoryClock
from fakes.queue import InMemoryQueue
from support.queues import receive_one, settle_one

NOTHING = timedelta(0)
SECOND = timedelta(seconds=1)


@dataclass(frozen=True, kw_only=True)
class Doorbell:
    """A queue, the clock that it goes by, and what lies in its dead-letter queue.

    `keeps_far_jobs`: what rings in more than an hour stays in it, because its producer put it there.
    """

    queue: Queue
    clock: InMemoryClock
    dead_letters: Callable[[], dict[str, str]]
    keeps_far_jobs: bool = False

    def ring(self, activity_id: str, after: timedelta = NOTHING) -> None:
        """Ring so long after now."""
        self.queue.ring(activity_id, self.clock.now() + after)

    def receive(self) -> WakeUp:
        """The next job, which must be there."""
        received = receive_one(self.queue, NOTHING)
        assert isinstance(received, WakeUp)
        return received

    def is_silent(self) -> bool:
        """Whether nothing rings now."""
        return receive_one(self.queue, NOTHING) is None


@pytest.fixture
def rq_doorbell(redis_url: str) -> Iterator[Doorbell]:
    """RQ on a real server."""
    clock = InMemoryClock(seconds=0.25)
    queue = RqQueue(redis_url, now=clock.now)
    with Redis.from_url(redis_url) as client:
        dead = PlainRqQueue("pod-engagement-dead-letter", connection=client, serializer=JSONSerializer)
        yield Doorbell(
            queue=queue,
            clock=clock,
            dead_letters=lambda: {job.kwargs["activity_id"]: job.meta["reason"] for job in dead.jobs},
        )
    queue.close()


@pytest.fixture
def bullmq_doorbell(redis_url: str) -> Iterator[Doorbell]:
    """BullMQ on a real server."""
    clock = InMemoryClock(seconds=0.25)
    queue = BullmqQueue(redis_url, now=clock.now)
    with Redis.from_url(redis_url, decode_responses=True) as client:

        def dead_letters() -> dict[str, str]:
            names: Any = client.lrange("bull:pod-engagement-dead-letter:wait", 0, -1)
            jobs = [json.loads(str(client.hget(f"bull:pod-engagement-dead-letter:{name}", "data"))) for name in names]
            return {job["activityId"]: job["reason"] for job in jobs}

        yield Doorbell(queue=queue, clock=clock, dead_letters=dead_letters, keeps_far_jobs=True)
    queue.close()


@pytest.fixture
def in_memory_doorbell() -> Doorbell:
    """The fake."""
    clock = InMemoryClock(seconds=0.25)
    queue = InMemoryQueue(clock.now)
    return Doorbell(queue=queue, clock=clock, dead_letters=lambda: dict(queue.dead_letters))


@pytest.fixture(
    params=[
        pytest.param("rq", marks=pytest.mark.servers),
        pytest.param("bullmq", marks=pytest.mark.servers),
        "in_memory",
    ]
)
def doorbell(request: pytest.FixtureRequest) -> Doorbell:
    """Each of them in turn."""
    found: Doorbell = request.getfixturevalue(f"{request.param}_doorbell")
    return found


def test_a_due_ring_is_received_once(doorbell: Doorbell) -> None:
    """What rings now is there at once, and is given to one listener only."""
    doorbell.ring("a-1")
    assert doorbell.receive().activity_id == "a-1"
    assert doorbell.is_silent()


def test_a_ring_for_the_past_is_due(doorbell: Doorbell) -> None:
    """Late work does not wait for the next beat."""
    doorbell.ring("a-1", -timedelta(days=30))
    assert doorbell.receive().activity_id == "a-1"


def test_nothing_is_received_when_nothing_rang(doorbell: Doorbell) -> None:
    """The timeout ends the wait."""
    assert receive_one(doorbell.queue, timedelta(milliseconds=20)) is None


def test_jobs_are_received_in_the_order_in_which_they_rang(doorbell: Doorbell) -> None:
    """Nobody overtakes."""
    for name in ("a-1", "a-2", "a-3"):
        doorbell.ring(name)
    assert [doorbell.receive().activity_id for _ in range(3)] == ["a-1", "a-2", "a-3"]


@pytest.mark.parametrize(
    "activity_id",
    [
        "3f2b8c1e-6f0a-4f7e-9a54-6a0d5f0c9a11",
        "pod:1/activity:2",
        "with space",
        "ünïcode-名前",
        "a:b:engagement-c",
        "x" * 500,
        "42",
        "-",
    ],
)
def test_every_activity_id_comes_back_as_it_was(doorbell: Doorbell, activity_id: str) -> None:
    """RQ allows few characters in a job id, the database allows all."""
    doorbell.ring(activity_id)
    doorbell.ring(activity_id, timedelta(minutes=1))
    doorbell.clock.advance(timedelta(minutes=1))
    assert doorbell.queue.advance(NOTHING) == 1
    wake_up = doorbell.receive()
    assert wake_up.activity_id == activity_id
    settle_one(doorbell.queue, wake_up, DeadLettered(reason="gone"))
    assert doorbell.dead_letters() == {activity_id: "gone"}


def test_a_future_ring_waits_for_its_time(doorbell: Doorbell) -> None:
    """Advancing before its second moves nothing; afterwards it rings."""
    doorbell.ring("a-1", timedelta(seconds=10))
    doorbell.clock.advance(timedelta(seconds=9))
    assert doorbell.queue.advance(NOTHING) == 0
    assert doorbell.is_silent()
    doorbell.clock.advance(SECOND)
    assert doorbell.queue.advance(NOTHING) == 1
    assert doorbell.receive().activity_id == "a-1"


def test_looking_ahead_rings_early_and_only_that_far(doorbell: Doorbell) -> None:
    """The delay queue gets its activities a few seconds before their time."""
    doorbell.ring("soon", timedelta(seconds=4))
    doorbell.ring("later", timedelta(seconds=6))
    assert doorbell.queue.advance(timedelta(seconds=5)) == 1
    assert doorbell.receive().activity_id == "soon"
    assert doorbell.is_silent()


def test_a_ring_within_the_second_is_never_late(doorbell: Doorbell) -> None:
    """Fractions are cut off, not rounded up: early is a hint, late is late."""
    doorbell.ring("a-1", timedelta(milliseconds=600))
    doorbell.clock.advance(timedelta(milliseconds=600))
    assert doorbell.queue.advance(NOTHING) == 1


def test_what_comes_due_together_rings_in_the_order_of_its_time(doorbell: Doorbell) -> None:
    """The earliest first, whoever rang first."""
    doorbell.ring("second", timedelta(seconds=20))
    doorbell.ring("first", timedelta(seconds=10))
    doorbell.clock.advance(timedelta(seconds=30))
    assert doorbell.queue.advance(NOTHING) == 2
    assert [doorbell.receive().activity_id for _ in range(2)] == ["first", "second"]


@pytest.mark.parametrize("first", [0, 60])
@pytest.mark.parametrize("second", [0, 60])
def test_ringing_twice_keeps_one_job(doorbell: Doorbell, first: int, second: int) -> None:
    """Now or later, in whatever order: the second ring replaces the first."""
    doorbell.ring("a-1", timedelta(seconds=first))
    doorbell.ring("a-1", timedelta(seconds=second))
    assert doorbell.queue.depth() == (0 if second else 1)
    doorbell.clock.advance(timedelta(minutes=5))
    doorbell.queue.advance(NOTHING)
    assert doorbell.receive().activity_id == "a-1"
    assert doorbell.is_silent()


def test_depth_counts_what_is_ready_and_not_yet_received(doorbell: Doorbell) -> None:
    """Neither what waits for its time nor what is being worked on."""
    assert doorbell.queue.depth() == 0
    doorbell.ring("now-1")
    doorbell.ring("now-2")
    doorbell.ring("later", timedelta(minutes=1))
    assert doorbell.queue.depth() == 2
    doorbell.receive()
    assert doorbell.queue.depth() == 1


def test_a_finished_activity_can_ring_again(doorbell: Doorbell) -> None:
    """Nothing that is left of the first job stands in the way of the next."""
    for _ in range(2):
        doorbell.ring("a-1")
        settle_one(doorbell.queue, doorbell.receive(), Done())
        assert doorbell.is_silent()


def test_an_unsettled_activity_can_ring_again(doorbell: Doorbell) -> None:
    """A worker that died with a job does not silence its activity."""
    doorbell.ring("a-1")
    doorbell.receive()
    doorbell.ring("a-1")
    assert doorbell.receive().activity_id == "a-1"


@pytest.mark.parametrize("late_word", [Done(), Later(at=InMemoryClock().origin)])
def test_settling_an_old_wake_up_leaves_a_newer_ring_alone(doorbell: Doorbell, late_word: Done | Later) -> None:
    """Whoever rang while we worked is heard, and once."""
    doorbell.ring("a-1")
    old = doorbell.receive()
    doorbell.ring("a-1")
    settle_one(doorbell.queue, old, late_word)
    new = doorbell.receive()
    assert new.activity_id == "a-1"
    settle_one(doorbell.queue, old, late_word)
    settle_one(doorbell.queue, new, Done())
    assert doorbell.is_silent()


def test_later_rings_again_at_its_time(doorbell: Doorbell) -> None:
    """And repeating the settlement makes it no second job."""
    doorbell.ring("a-1")
    wake_up = doorbell.receive()
    for _ in range(2):
        settle_one(doorbell.queue, wake_up, Later(at=doorbell.clock.now() + timedelta(minutes=1)))
    assert doorbell.queue.advance(NOTHING) == 0
    doorbell.clock.advance(timedelta(minutes=1))
    assert doorbell.queue.advance(NOTHING) == 1
    assert doorbell.receive().activity_id == "a-1"
    assert doorbell.is_silent()


def test_later_that_is_due_already_rings_at_once(doorbell: Doorbell) -> None:
    """A draining worker gives its jobs back to the others."""
    doorbell.ring("a-1")
    settle_one(doorbell.queue, doorbell.receive(), Later(at=doorbell.clock.now()))
    assert doorbell.receive().activity_id == "a-1"


def test_later_than_an_hour_rings_at_its_time_or_is_left_to_the_sweep(doorbell: Doorbell) -> None:
    """Our own jobs hold the next hour at most; what others put into a queue that keeps it is moved to its time."""
    doorbell.ring("a-1")
    settle_one(doorbell.queue, doorbell.receive(), Later(at=doorbell.clock.now() + timedelta(minutes=61)))
    doorbell.clock.advance(timedelta(minutes=60))
    assert doorbell.queue.advance(NOTHING) == 0
    assert doorbell.is_silent()
    doorbell.clock.advance(timedelta(hours=1))
    assert doorbell.queue.advance(NOTHING) == doorbell.keeps_far_jobs
    assert doorbell.is_silent() != doorbell.keeps_far_jobs


def test_settling_done_twice_is_settling_once(doorbell: Doorbell) -> None:
    """A repeated answer changes nothing."""
    doorbell.ring("a-1")
    wake_up = doorbell.receive()
    settle_one(doorbell.queue, wake_up, Done())
    settle_one(doorbell.queue, wake_up, Done())
    assert doorbell.is_silent()
    assert doorbell.dead_letters() == {}


def test_a_buried_wake_up_lies_in_the_dead_letter_queue_alone(doorbell: Doorbell) -> None:
    """With its reason, once however often it is settled, and not in the ordinary queue."""
    doorbell.ring("a-1")
    wake_up = doorbell.receive()
    for _ in range(2):
        settle_one(doorbell.queue, wake_up, DeadLettered(reason="post_not_found: it is gone"))
    assert doorbell.dead_letters() == {"a-1": "post_not_found: it is gone"}
    assert doorbell.queue.depth() == 0
    assert doorbell.is_silent()


def test_burying_again_mirrors_the_last_word(doorbell: Doorbell) -> None:
    """One letter for each activity."""
    doorbell.queue.bury("a-1", "first")
    doorbell.queue.bury("a-1", "last")
    assert doorbell.dead_letters() == {"a-1": "last"}


@pytest.mark.parametrize("doorbell", [pytest.param("bullmq", marks=pytest.mark.servers)], indirect=True)
def test_a_job_of_a_dead_activity_still_rings_where_jobs_tell_what_became_of_them(doorbell: Doorbell) -> None:
    """It is a producer's: it fails when it rings, with the reason; taken away it would tell nobody anything."""
    doorbell.ring("a-1")
    doorbell.queue.bury("a-1", "gone")
    assert doorbell.receive().activity_id == "a-1"


@pytest.mark.parametrize("after", [0, 60])
@pytest.mark.parametrize("doorbell", [pytest.param("rq", marks=pytest.mark.servers), "in_memory"], indirect=True)
def test_burying_takes_the_job_out_of_queue_and_schedule(doorbell: Doorbell, after: int) -> None:
    """A dead activity does not ring."""
    doorbell.ring("a-1", timedelta(seconds=after))
    doorbell.queue.bury("a-1", "first")
    doorbell.queue.bury("a-1", "last")
    doorbell.clock.advance(timedelta(minutes=2))
    assert doorbell.queue.advance(NOTHING) == 0
    assert doorbell.is_silent()
    assert doorbell.dead_letters() == {"a-1": "last"}


def test_unburying_removes_the_mirror_and_nothing_else(doorbell: Doorbell) -> None:
    """Other dead letters stay; an activity that was never buried is no error."""
    doorbell.queue.bury("a-1", "one")
    doorbell.queue.bury("a-2", "two")
    doorbell.queue.unbury("a-1")
    doorbell.queue.unbury("never-buried")
    assert doorbell.dead_letters() == {"a-2": "two"}


def test_requeueing_works_in_either_order(doorbell: Doorbell) -> None:
    """Ring then unbury, or unbury then ring: one job that rings, no mirror left."""
    doorbell.queue.bury("ring-first", "dead")
    doorbell.ring("ring-first")
    doorbell.queue.unbury("ring-first")
    doorbell.queue.bury("unbury-first", "dead")
    doorbell.queue.unbury("unbury-first")
    doorbell.ring("unbury-first")
    assert doorbell.dead_letters() == {}
    assert [doorbell.receive().activity_id for _ in range(2)] == ["ring-first", "unbury-first"]


def test_several_jobs_are_received_and_settled_at_once(doorbell: Doorbell) -> None:
    """No more than were asked for, in the order in which they rang; each has its own settlement."""
    for name in ("done", "later", "dead", "left"):
        doorbell.ring(name)
    received = [each for each in doorbell.queue.receive(NOTHING, at_most=3) if isinstance(each, WakeUp)]
    assert [each.activity_id for each in received] == ["done", "later", "dead"]
    settlements = (Done(), Later(at=doorbell.clock.now()), DeadLettered(reason="gone"))
    doorbell.queue.settle(list(zip(received, settlements, strict=True)))
    assert {doorbell.receive().activity_id for _ in range(2)} == {"left", "later"}
    assert doorbell.is_silent()
    assert doorbell.dead_letters() == {"dead": "gone"}


def test_settling_nothing_is_allowed(doorbell: Doorbell) -> None:
    """Whoever hands back what it holds may hold nothing."""
    doorbell.queue.settle([])
    assert doorbell.is_silent()


def test_an_interruption_while_nobody_waits_is_forgotten(doorbell: Doorbell) -> None:
    """The next one who listens hears."""
    doorbell.queue.interrupt()
    doorbell.ring("a-1")
    doorbell.queue.interrupt()
    assert [each.receipt for each in doorbell.queue.receive(SECOND, at_most=1)]


def test_an_old_depth_will_do_for_whoever_says_so(doorbell: Doorbell) -> None:
    """Everybody else gets the present one."""
    doorbell.ring("a-1")
    assert doorbell.queue.depth() == 1
    assert doorbell.queue.depth(at_most_old=timedelta(minutes=1)) == 1
    doorbell.receive()
    assert doorbell.queue.depth() == 0


def test_no_queue_takes_everything_and_never_rings() -> None:
    """It is a queue that loses every job at once, which any queue may do. Nothing is an error, however often."""
    queue: Queue = NoQueue()
    now = InMemoryClock().now()
    for _ in range(2):
        queue.ring("a-1", now)
        assert queue.receive(NOTHING, at_most=1) == ()
        queue.interrupt()
        queue.settle([(WakeUp(activity_id="a-1", receipt="a-1"), Later(at=now))])
        queue.bury("a-1", "gone")
        queue.unbury("a-1")
        assert queue.advance(timedelta(hours=1)) == 0
        assert queue.depth() == 0


def test_no_queue_is_listened_to_without_spinning() -> None:
    """None comes after the time-out, as with every queue that has nothing to say."""
    before = time.monotonic()
    assert NoQueue().receive(timedelta(milliseconds=50), at_most=1) == ()
    assert time.monotonic() - before >= 0.05
