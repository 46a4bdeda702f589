"""The specification's own examples, through the product as a process and the provider's v0."""

from __future__ import annotations

from datetime import datetime

from acceptance.conftest import World


def test_the_data_flow_example_of_a_like(world: World) -> None:
    """A like is scheduled, its job rings, the provider is called as the specification says, the row is updated."""
    world.start_worker()
    scheduled = world.engagement(
        "schedule", "--id", "activity-1", "--pod", "pod-1", "--type", "like", "--post", "linkedin-post-456",
        "--profile", "profile-1", "--at", "+1s",
    )  # fmt: skip
    assert scheduled.returncode == 0, scheduled.stderr
    row = world.wait_for("activity-1", "executed")
    (effect,) = world.effects()
    assert (effect["engagement_type"], effect["post_id"], effect["account"]) == ("like", "linkedin-post-456", "token-1")
    assert row["executed_at"] >= row["scheduled_for"]
    assert row["execution_result"]["success"] is True
    assert row["execution_result"]["provenance"] == "response"
    assert row["execution_result"]["api_response"]["post_id"] == "linkedin-post-456"
    assert datetime.fromisoformat(row["execution_result"]["timestamp"]) == row["executed_at"]
    assert (row["failure_count"], row["last_error"], row["next_retry_at"]) == (0, None, None)


def test_the_data_flow_example_of_a_comment(world: World) -> None:
    """The pod's voice is applied, the spoken comment is what is sent, and it is stored."""
    world.start_worker()
    world.add("activity-2", engagement_type="comment", post_id="linkedin-post-456", comment_text="Great post!")
    row = world.wait_for("activity-2", "executed")
    (effect,) = world.effects()
    spoken = "This is a fantastic post and I love the insights!"
    assert effect["text"] == spoken
    assert row["comment_generated"] == spoken
    assert row["comment_text"] == "Great post!"
    assert row["execution_id"] == effect["engagement_id"]
    assert row["execution_result"]["api_response"]["engagement_id"] == effect["engagement_id"]


def test_the_rate_limit_example(world: World) -> None:
    """Three rate limits without a usable hint: three attempts, then failed, an alert, and a person can requeue it."""
    world.sandbox.set_faults(
        [{"match": {}, "action": "status", "status": 429, "body": {"error": "rate_limit_exceeded"}}]
    )
    worker = world.start_worker()
    world.add("activity-3")
    row = world.wait_for("activity-3", "failed")
    assert row["failure_count"] == 3
    assert row["last_error"]["error_type"] == "rate_limit"
    assert row["last_error"]["will_retry"] is False
    assert row["next_retry_at"] is None
    assert row["executed_at"] is not None
    gaps = world.sql(
        "SELECT extract(epoch FROM began_at - lag(ended_at) OVER (ORDER BY number)) FROM engagement_attempts"
        " WHERE activity_id = 'activity-3' ORDER BY number"
    )
    assert float(gaps[1][0]) >= 0.5
    assert float(gaps[2][0]) >= 1.5
    world.until(lambda: world.sql("SELECT 1 FROM engagement_alerts WHERE delivered_at IS NOT NULL") != [])
    ((alert,),) = world.sql("SELECT message FROM engagement_alerts")
    assert "activity-3" in alert
    assert "pod-1" in alert

    world.sandbox.set_faults([])
    requeued = world.engagement("dead-letters", "requeue", "activity-3")
    assert requeued.returncode == 0, requeued.stderr
    world.wait_for("activity-3", "executed")
    assert len(world.effects()) == 1
    assert world.stop(worker) == 0


def test_a_retry_after_is_a_floor_and_the_account_waits(world: World) -> None:
    """A 429 with `retry_after` holds the account's other work too, uncharged; another account goes on."""
    world.sandbox.set_faults([{"match": {"account": "token-1", "times": 1}, "action": "rate_limit", "retry_after": 2}])
    world.add("limited")
    worker = world.start_worker()
    world.until(lambda: world.sql("SELECT 1 FROM engagement_controls WHERE kind = 'cool_down'") != [])
    ((until,),) = world.sql("SELECT extract(epoch FROM until) FROM engagement_controls")
    world.add("sibling", post_id="post-2")
    world.add("other", pod_id="pod-2", post_id="post-3")
    world.wait_for("other", "executed")
    for activity_id in ("limited", "sibling"):
        world.wait_for(activity_id, "executed")
    arrivals = {effect["post_id"]: effect["received_at"] for effect in world.effects()}
    assert arrivals["post-1"] >= float(until)
    assert arrivals["post-2"] >= float(until)
    assert arrivals["post-3"] < float(until)
    assert world.activity("sibling")["failure_count"] == 0
    assert world.stop(worker) == 0
