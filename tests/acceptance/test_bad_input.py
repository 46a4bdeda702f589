"""Rows that cannot be executed: each is a clear error on that activity alone, and the others go on."""

from __future__ import annotations

import json

from acceptance.conftest import World

_BAD = {
    "empty-comment": ({"engagement_type": "comment", "comment_text": "  "}, "empty"),
    "no-comment": ({"engagement_type": "comment", "comment_text": None}, "empty"),
    "long-comment": ({"engagement_type": "comment", "comment_text": "x" * 1251}, "1250"),
    "unknown-type": ({"engagement_type": "share"}, "share"),
    "no-post": ({"post_id": " "}, "post_id"),
    "pod-without-account": ({"pod_id": "pod-poor"}, "linkedin_account_id"),
    "pod-with-unknown-account": ({"pod_id": "pod-lost"}, "account-lost"),
    "unknown-pod": ({"pod_id": "pod-none"}, "pod-none"),
    "profile-without-account": ({"profile_id": "profile-none"}, "profile-none"),
}


def test_each_bad_row_fails_by_itself_and_the_good_ones_go_on(world: World) -> None:
    """One burst over nine kinds of bad rows between good ones."""
    world.sql("INSERT INTO pods VALUES ('pod-poor', NULL, NULL), ('pod-lost', NULL, 'account-lost')")
    for number, (activity_id, (columns, _)) in enumerate(_BAD.items()):
        world.add(activity_id, **columns)
        world.add(f"good-{number}", post_id=f"good-post-{number}")
    done = world.engagement("run", "--burst")
    assert done.returncode == 0, done.stderr
    assert len(world.effects()) == len(_BAD)
    for activity_id, (_, says) in _BAD.items():
        row = world.activity(activity_id)
        assert (row["status"], row["last_error"]["error_type"]) == ("failed", "invalid_activity"), activity_id
        assert says in row["last_error"]["message"], row["last_error"]
        assert row["last_error"]["will_retry"] is False
    letters = {row[0] for row in world.sql("SELECT activity_id FROM engagement_dead_letters WHERE closed_at IS NULL")}
    assert letters == set(_BAD)


def test_an_activity_that_is_executed_already_is_not_sent_again(world: World) -> None:
    """A wake-up for an executed row changes nothing; nor does one for a row that is cancelled or does not exist."""
    world.add("done", status="executed")
    world.add("cancelled", status="cancelled")
    for activity_id in ("done", "cancelled", "none"):
        from adapters.rq.queue import RqQueue  # noqa: PLC0415 - the producer's side

        queue = RqQueue(world.redis_url)
        queue.ring(activity_id, world.sql("SELECT now()")[0][0])
        queue.close()
    done = world.engagement("run", "--burst")
    assert done.returncode == 0, done.stderr
    assert world.effects() == []
    assert world.activity("cancelled")["status"] == "cancelled"


def test_explain_says_why_and_what_to_do(world: World) -> None:
    """For people and for programs; an id that does not exist is an error."""
    world.add("bad", post_id=" ")
    world.add("future", due_in=3600)
    assert world.engagement("run", "--burst").returncode == 0
    told = world.engagement("explain", "bad").stdout
    assert "post_id is empty" in told
    assert "requeue" in told
    described = json.loads(world.engagement("explain", "future", "--json").stdout)
    assert (described["version"], described["phase"], described["attempts"]) == (1, "scheduled", [])
    assert described["next_at"] is not None
    missing = world.engagement("explain", "none")
    assert missing.returncode == 1
    assert "there is no activity none" in missing.stderr
