"""`engagement status`: what it counts, and what it looks like."""

from __future__ import annotations

import json
import signal
from datetime import datetime, timedelta, timezone

import pytest

from support.commands import Commands, add_rows, execute, started

NOTHING_LISTENS = "redis://:geheim@127.0.0.1:1/0"
_ATTEMPT = """
INSERT INTO engagement_attempts (activity_id, number, token, worker_id, phase, event, effect, account_id,
                                 engagement_type, post_id, claimed_at, deadline_at, began_at, ended_at, error)
SELECT id, 1, id, 'w', %s, %s, %s, 'acc-1', 'like', 'post-1', now(), now(), %s, now(), %s::jsonb
  FROM unnest(%s::text[]) id
"""


@pytest.fixture
def engagement(database_url: str, redis_url: str) -> Commands:
    """With both servers."""
    return Commands(environ={"DATABASE_URL": database_url, "REDIS_URL": redis_url})


def add_attempts(database_url: str, *ids: str, phase: str, event: str, effect: str, error: str | None = None) -> None:
    """Activities that were due a minute ago, and whose one attempt began ten seconds ago and ended like this."""
    status = {"executed": "executed", "failed": "failed"}.get(phase, "scheduled")
    add_rows(database_url, *ids, status=status)
    told = None if error is None else json.dumps({"error_type": error})
    began_at = None if phase == "claimed" else datetime.now(timezone.utc) - timedelta(seconds=10)
    execute(database_url, _ATTEMPT, phase, event, effect, began_at, told, list(ids))


def test_an_empty_database_has_nothing_to_show(engagement: Commands) -> None:
    """And that is no error."""
    told = engagement.json("status")
    assert set(told["counts"]) == {"scheduled", "due", "claimed", "sending", "unknown", "executed", "failed"}
    assert all(count == {"value": 0, "exact": True} for count in told["counts"].values())
    assert (told["oldest_due_s"], told["lateness"]["p50_s"], told["last_day"]["success_rate"]) == (None, None, None)
    assert (told["workers_alive"], told["controls"], told["held_accounts"]) == (0, [], [])
    screen = engagement("status")
    assert screen.exit_code == 0
    assert "nothing is due" in screen.stdout


def test_without_a_queue_its_depth_is_not_unavailable_but_absent(database_url: str) -> None:
    """Nothing is wrong, and there is nothing to repair."""
    engagement = Commands(environ={"DATABASE_URL": database_url, "POD_ENGAGEMENT_QUEUE": "none"})
    assert engagement.json("status")["queue_depth"] is None
    assert "there is no queue" in engagement("status").stdout


def test_every_state_is_counted(engagement: Commands, database_url: str) -> None:
    """Each activity in one of them."""
    add_rows(database_url, "due-1", "due-2")
    add_rows(database_url, "later")
    execute(database_url, "UPDATE pod_activities SET next_retry_at = now() + interval '1 h' WHERE id = 'later'")
    add_rows(database_url, "cancelled", status="cancelled")
    add_attempts(database_url, "claimed", phase="claimed", event="claim", effect="unknown")
    add_attempts(database_url, "sending", phase="sending", event="begin_sending", effect="unknown")
    add_attempts(database_url, "unknown", phase="unknown", event="lose_track", effect="unknown")
    add_attempts(database_url, "done-1", "done-2", "done-3", phase="executed", event="confirm", effect="applied")
    add_attempts(database_url, "gone", phase="failed", event="bury", effect="none", error="post_not_found")
    execute(
        database_url,
        "INSERT INTO engagement_dead_letters (activity_id, error_type, message, effect, next_step, buried_at)"
        " VALUES ('gone', 'post_not_found', 'gone', 'none', 'look', now())",
    )
    told = engagement.json("status")
    assert {name: count["value"] for name, count in told["counts"].items()} == {
        "scheduled": 1,
        "due": 2,
        "claimed": 1,
        "sending": 1,
        "unknown": 1,
        "executed": 3,
        "failed": 1,
    }
    assert told["dead_letters"] == {"post_not_found": 1}
    assert told["last_day"] == {
        "judged": 4,
        "succeeded": 3,
        "success_rate": 0.75,
        "error_types": {"post_not_found": 1},
    }
    assert 60 <= told["oldest_due_s"] < 120
    # All were due a minute ago, and began ten seconds ago.
    assert told["lateness"]["sends"] == 6
    assert 49 < told["lateness"]["p50_s"] <= told["lateness"]["p99_s"] < 80


def test_what_is_held_is_shown_with_its_reason(engagement: Commands, database_url: str) -> None:
    """Pauses, cool-downs, holds, and accounts whose own status holds them."""
    add_rows(database_url)
    execute(
        database_url,
        """
        INSERT INTO engagement_controls (kind, scope, scope_id, until, reason) VALUES
            ('pause', 'all', '', NULL, 'lunch'), ('cool_down', 'account', 'acc-1', now() + interval '1 h', 'a 429'),
            ('cool_down', 'account', 'acc-2', now() - interval '1 h', 'over'),
            ('hold', 'account', 'acc-3', NULL, 'out');
        INSERT INTO linkedin_accounts (id, status) VALUES ('acc-4', 'expired'), ('acc-5', 'ok')
        """,
    )
    told = engagement.json("status")
    assert [(each["kind"], each["scope_id"], each["reason"]) for each in told["controls"]] == [
        ("pause", None, "lunch"),
        ("cool_down", "acc-1", "a 429"),
        ("hold", "acc-3", "out"),
    ]
    assert datetime.fromisoformat(told["controls"][1]["until"]).tzinfo is not None
    assert told["held_accounts"] == [{"account_id": "acc-4", "status": "expired"}]
    screen = engagement("status").stdout
    assert all(word in screen for word in ("everything", "lunch", "cool-down", "acc-4", "expired"))


def test_workers_and_queue_are_counted(engagement: Commands, database_url: str) -> None:
    """Those who left or are silent do not count."""
    execute(
        database_url,
        """
        INSERT INTO engagement_workers (worker_id, host, pid, concurrency, beat_at, left_at) VALUES
            ('alive', 'h', 1, 5, now(), NULL), ('silent', 'h', 2, 5, now() - interval '1 min', NULL),
            ('left', 'h', 3, 5, now(), now())
        """,
    )
    engagement("schedule", "--pod", "pod-1", "--type", "like", "--post", "p")
    told = engagement.json("status")
    assert (told["workers_alive"], told["queue_depth"]) == (1, 1)


@pytest.mark.parametrize("redis", [NOTHING_LISTENS, None])
def test_without_redis_everything_else_is_shown(database_url: str, redis: str | None) -> None:
    """The depth is unavailable, which is no failure."""
    without = Commands(environ={"DATABASE_URL": database_url} | ({"REDIS_URL": redis} if redis else {}))
    assert without.json("status")["queue_depth"] is None
    assert "unavailable" in without("status").stdout


def test_what_is_too_many_to_count_is_an_estimate(engagement: Commands, database_url: str) -> None:
    """And it says so."""
    execute(
        database_url,
        "INSERT INTO pod_activities (id, pod_id, engagement_type, post_id, scheduled_for)"
        " SELECT i::text, 'pod-1', 'like', 'p', now() + interval '1 day' FROM generate_series(1, 12000) i;"
        " ANALYZE pod_activities",
    )
    count = engagement.json("status")["counts"]["scheduled"]
    assert not count["exact"]
    assert 11_000 < count["value"] < 13_000
    assert f"about {count['value']}" in engagement("status").stdout


def test_a_long_backlog_of_due_work_is_told_as_about_so_many(engagement: Commands, database_url: str) -> None:
    """PostgreSQL has no statistics of when they are due, and would say a third of everything."""
    execute(
        database_url,
        "INSERT INTO pod_activities (id, pod_id, engagement_type, post_id, scheduled_for)"
        " SELECT i::text, 'pod-1', 'like', 'p', now() - interval '1 s' FROM generate_series(1, 11000) i",
    )
    assert engagement.json("status")["counts"]["due"] == {"value": 11_000, "exact": False}


def test_the_screen_shows_outside_words_as_they_are(engagement: Commands, database_url: str) -> None:
    """They are no markup, and move no cursor."""
    execute(
        database_url,
        "INSERT INTO engagement_controls (kind, scope, scope_id, reason)"
        " VALUES ('pause', 'pod', '[red]p[/]', E'a\\x1b[2Jb')",
    )
    screen = engagement("status").stdout
    assert "[red]p[/]" in screen
    assert "\x1b" not in screen


@pytest.mark.parametrize("form", [(), ("--json",)])
def test_watch_looks_again_until_ctrl_c(database_url: str, form: tuple[str, ...]) -> None:
    """And then ends in good order."""
    with started("status", "--watch", *form, environ={"DATABASE_URL": database_url}) as process:
        assert process.stdout is not None
        seen = 0
        while seen < 2:
            seen += "Seen at" in (line := process.stdout.readline()) or '"seen_at"' in line
        process.send_signal(signal.SIGINT)
        _, errors = process.communicate(timeout=30)
    assert (process.returncode, errors) == (0, "")
