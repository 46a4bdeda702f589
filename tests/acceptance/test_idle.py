"""A worker that has nothing to do asks the database little, and still sees at once that there is something to do."""

from __future__ import annotations

import time
from contextlib import closing

import psycopg2
import pytest

from acceptance.conftest import World

_TRANSACTIONS = """
SELECT sum(xact_commit + xact_rollback) FROM pg_stat_database WHERE datname = current_database()
"""
_MOST_A_MINUTE = 100
_WARM_UP_SECONDS = 12.0
"""Each task makes its first turn at once, and a session's transactions are counted up to ten seconds late."""
_WATCHED_SECONDS = 20.0
"""Two turns of the tasks that come every ten seconds."""

_ABANDONED = """
INSERT INTO engagement_attempts (activity_id, number, token, worker_id, phase, event, effect, account_id,
                                 engagement_type, post_id, claimed_at, deadline_at, began_at, look_at, error)
VALUES (%s, 1, %s, 'gone', %s, %s, 'unknown', 'account-1', 'like', 'post-1', now(), now(), now(), now(),
        '{"cause": "connection_lost", "message": "m"}')
"""


@pytest.mark.direct
def test_an_idle_worker_makes_a_hundred_transactions_a_minute_at_most(world: World) -> None:
    """Counted by the server, with metrics on, as by default."""
    world.start_worker()
    with closing(psycopg2.connect(world.database_url)) as connection, connection.cursor() as cursor:
        connection.autocommit = True

        def transactions() -> int:
            cursor.execute(_TRANSACTIONS)
            ((count,),) = cursor.fetchall()
            return int(count)

        time.sleep(_WARM_UP_SECONDS)
        before, began = transactions(), time.monotonic()
        time.sleep(_WATCHED_SECONDS)
        minutes = (time.monotonic() - began) / 60
        assert (transactions() - before) / minutes <= _MOST_A_MINUTE


@pytest.mark.parametrize(
    ("phase", "event", "is_done"),
    [
        pytest.param("claimed", "claim", "event = 'release'", id="orphan"),
        pytest.param("sending", "begin_sending", "phase <> 'sending'", id="orphan that was sending"),
        pytest.param("unknown", "lose_track", "phase <> 'unknown'", id="unknown outcome"),
    ],
)
def test_what_a_dead_worker_left_is_taken_up_at_the_next_heartbeat(
    world: World, phase: str, event: str, is_done: str
) -> None:
    """A worker that has been idle does not wait until it looks by itself."""
    world.start_worker(UNIPILE_API_VERSION="v1", POD_ENGAGEMENT_VISIBILITY_LAG_MS="0")
    time.sleep(1)  # the first turn of every task is over
    world.add("left", due_in=3600)
    world.sql(_ABANDONED, "left", "left", phase, event)
    began = time.monotonic()
    world.until(lambda: bool(world.sql(f"SELECT 1 FROM engagement_attempts WHERE activity_id = 'left' AND {is_done}")))
    assert time.monotonic() - began < 4


def test_an_alert_is_delivered_at_the_next_heartbeat(world: World) -> None:
    """Whoever raised it."""
    world.start_worker()
    time.sleep(1)  # as above
    world.sql("INSERT INTO engagement_alerts (incident, kind, message) VALUES ('x', 'dead_letter', 'Look!')")
    began = time.monotonic()
    world.until(lambda: bool(world.sql("SELECT 1 FROM engagement_alerts WHERE delivered_at IS NOT NULL")))
    assert time.monotonic() - began < 4
