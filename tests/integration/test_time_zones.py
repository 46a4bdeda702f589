"""What people and programs read is in UTC, wherever the server is at home."""

from __future__ import annotations

import re
from datetime import datetime, timedelta, timezone
from urllib.parse import urlsplit

import pytest

from adapters.postgres.connection.pool import PostgresPool
from adapters.postgres.store.activities import PostgresActivityStore
from engagement_core.model.activity import Activity
from engagement_core.model.decision import Decision
from engagement_core.model.snapshot import Snapshot
from support.commands import Commands, add_rows, execute

_ZONES = ["Asia/Kolkata", "America/St_Johns"]
_BURIED = datetime(2030, 1, 31, 20, 15, 30, tzinfo=timezone.utc)


@pytest.fixture(params=_ZONES)
def far_away(database_url: str, request: pytest.FixtureRequest) -> str:
    """A database whose sessions are in another time zone, with a letter, a pause and an attempt."""
    name = urlsplit(database_url).path.lstrip("/")
    execute(database_url, f"ALTER DATABASE \"{name}\" SET timezone TO '{request.param}'")
    add_rows(database_url, "gone", status="failed")
    execute(
        database_url,
        """
        INSERT INTO engagement_dead_letters (activity_id, error_type, message, effect, next_step, buried_at)
            VALUES ('gone', 'post_not_found', 'gone for good', 'none', 'look there', %s);
        INSERT INTO engagement_attempts (activity_id, number, token, worker_id, phase, event, effect, account_id,
                                         engagement_type, post_id, claimed_at, deadline_at, began_at, ended_at)
            VALUES ('gone', 1, 'a', 'w', 'failed', 'bury', 'none', 'acc-1', 'like', 'p', %s, %s, %s, %s);
        INSERT INTO engagement_controls (kind, scope, scope_id, until, reason)
            VALUES ('cool_down', 'account', 'acc-1', '2130-01-31 20:15:30Z', 'a 429');
        """,
        *[_BURIED] * 5,
    )
    return database_url


@pytest.mark.parametrize(
    ("command", "instant"),
    [
        (("status",), "2130-01-31 20:15:30Z"),
        (("dead-letters", "list"), "2030-01-31 20:15:30Z"),
        (("dead-letters", "show", "gone"), "2030-01-31 20:15:30Z"),
        (("explain", "gone"), "2030-01-31 20:15:30Z"),
    ],
)
def test_no_command_tells_the_server_s_time_of_day(
    far_away: str, redis_url: str, command: tuple[str, ...], instant: str
) -> None:
    """With a Z behind it, a local time would be wrong by hours; an offset in JSON is one more form to be read."""
    engagement = Commands(environ={"DATABASE_URL": far_away, "REDIS_URL": redis_url})
    screen = engagement(*command)
    assert instant in " ".join(screen.stdout.split()), screen.output
    told = engagement(*command, "--json").stdout
    offsets = re.findall(r"\d\d:\d\d[^\"]*?([+-]\d\d:\d\d)\"", told)
    assert offsets
    assert set(offsets) == {"+00:00"}


def test_the_store_s_times_are_aware_utc(far_away: str) -> None:
    """Which is what the core was promised."""
    pool = PostgresPool(far_away, size=1)
    seen: Snapshot = PostgresActivityStore(pool).change("gone", Decision)
    pool.close()
    assert isinstance(seen.activity, Activity)
    times = (seen.now, seen.activity.scheduled_for, seen.attempts[0].claimed_at)
    assert {each.tzinfo for each in times} == {timezone.utc}
    assert seen.attempts[0].claimed_at == _BURIED
    assert seen.now.utcoffset() == timedelta(0)
