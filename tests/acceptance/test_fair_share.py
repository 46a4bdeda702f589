"""An account's backlog costs the others nothing, whatever keeps it: `engagement run` as a user starts it."""

from __future__ import annotations

import subprocess
import sys
import time

import pytest

from acceptance.conftest import World

pytestmark = pytest.mark.alone

_ENQUEUE = """
import sys
from redis import Redis
from rq import Queue
from rq.serializers import JSONSerializer
with Redis.from_url(sys.argv[1]) as connection:
    queue = Queue("pod-engagement", connection=connection, serializer=JSONSerializer)
    queue.enqueue_many([
        Queue.prepare_data("runners.tasks.execute_engagement", kwargs={"activity_id": key}, job_id=key)
        for key in (*(f"backlog-{n}" for n in range(1, int(sys.argv[2]) + 1)), *(f"other-{n}" for n in range(1, 6)))
    ])
"""


def add_backlog(world: World, count: int) -> None:
    """Overdue likes of pod-1's account."""
    world.sql(
        "INSERT INTO pod_activities (id, pod_id, engagement_type, post_id, scheduled_for)"
        " SELECT 'backlog-' || n, 'pod-1', 'like', 'backlog-' || n, now() - interval '1 hour'"
        " FROM generate_series(1, %s) n",
        count,
    )


def add_others(world: World) -> None:
    """Five likes of pod-2's account, due now."""
    world.sql(
        "INSERT INTO pod_activities (id, pod_id, engagement_type, post_id, scheduled_for)"
        " SELECT 'other-' || n, 'pod-2', 'like', 'other-' || n, now() FROM generate_series(1, 5) n"
    )


def seconds_for_the_others(world: World) -> float:
    """From now until the provider has applied all five."""
    began = time.monotonic()
    world.until(lambda: sum(each["post_id"].startswith("other-") for each in world.effects()) == 5)
    seconds = time.monotonic() - began
    print(f"five of five in {seconds:.2f} s")  # noqa: T201 - with -rP
    return seconds


@pytest.mark.parametrize("has_jobs", [True, False], ids=["jobs", "rows"])
def test_calls_that_hang_delay_no_other_account(world: World, has_jobs: bool) -> None:
    """3,000 overdue activities of one account, whose calls are never answered, come before five of another one."""
    world.sandbox.set_faults([{"match": {"account": "unipile-1"}, "action": "hang"}])
    add_backlog(world, 3_000)
    add_others(world)
    if has_jobs:
        subprocess.run([sys.executable, "-c", _ENQUEUE, world.redis_url, "3000"], check=True)
    world.start_worker()
    assert seconds_for_the_others(world) < 5


def test_calls_that_hang_in_every_thread_delay_no_other_account(world: World) -> None:
    """Nobody else had work when they began."""
    world.sandbox.set_faults([{"match": {"account": "unipile-1"}, "action": "hang"}])
    add_backlog(world, 3_000)
    world.start_worker()
    world.until(lambda: world.sandbox.ledger()["requests"] >= 5)
    add_others(world)
    assert seconds_for_the_others(world) < 5


def test_backlog_of_a_held_account_delays_no_other_account(world: World) -> None:
    """A hundred thousand."""
    world.sql("UPDATE linkedin_accounts SET status = 'expired' WHERE id = 'account-1'")
    add_backlog(world, 100_000)
    add_others(world)
    world.start_worker()
    assert seconds_for_the_others(world) < 5
