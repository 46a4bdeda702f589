"""An account that may not act: one activity fails, the others wait, people are told once, and it goes on afterwards."""

from __future__ import annotations

import socket

from acceptance.conftest import World


def test_an_expired_login_fails_one_activity_and_holds_the_others(world: World) -> None:
    """A dozen are due when the provider says 401; the other account is not concerned; `resume` and `requeue` end it."""
    world.sandbox.set_faults([{"match": {"account": "token-1"}, "action": "status", "status": 401}])
    for number in range(12):
        world.add(f"held-{number}", post_id=f"post-{number}")
    world.add("other", pod_id="pod-2", post_id="post-other")
    worker = world.start_worker()
    world.wait_for("other", "executed")
    world.until(lambda: world.sql("SELECT 1 FROM engagement_alerts WHERE delivered_at IS NOT NULL") != [])
    assert dict(world.sql("SELECT status, count(*) FROM pod_activities WHERE pod_id = 'pod-1' GROUP BY 1")) == {
        "failed": 1,
        "scheduled": 11,
    }
    ((kind, told),) = world.sql("SELECT kind, message FROM engagement_alerts")
    assert kind == "auth_error"
    assert "held-" in told
    assert world.sql("SELECT sum(failure_count) FROM pod_activities") == [(1,)]

    world.sandbox.set_faults([])
    assert world.engagement("resume", "--account", "account-1").returncode == 0
    assert world.engagement("dead-letters", "requeue", "--error-type", "auth_error").returncode == 0
    world.until(lambda: world.sql("SELECT 1 FROM pod_activities WHERE status <> 'executed'") == [])
    assert len(world.effects()) == 13
    assert world.stop(worker) == 0


def test_nothing_arrives_after_a_pause_has_returned(world: World) -> None:
    """The command returns when nothing of the account is under way; resumed, the rest goes out."""
    world.sandbox.set_faults([{"match": {}, "action": "latency", "ms": 200}])
    for number in range(120):
        world.add(f"paused-{number}", post_id=f"post-{number}")
    worker = world.start_worker()
    world.until(lambda: world.sandbox.ledger()["requests"] >= 5)
    paused = world.engagement("pause", "--account", "account-1", "--reason", "on holiday")
    assert paused.returncode == 0, paused.stderr
    arrived = world.sandbox.ledger()["requests"]
    assert arrived < 120
    world.add("other", pod_id="pod-2", post_id="post-other")
    world.wait_for("other", "executed")
    assert world.sandbox.ledger()["requests"] == arrived + 1
    assert world.engagement("resume", "--account", "account-1").returncode == 0
    world.until(lambda: world.sql("SELECT 1 FROM pod_activities WHERE status <> 'executed'") == [])
    assert len(world.effects()) == 121
    assert world.stop(worker) == 0


def test_a_webhook_that_hangs_delays_and_repeats_nothing(world: World) -> None:
    """It accepts and says nothing: the dead letter's alert waits, and a hundred engagements go out once each."""
    with socket.create_server(("127.0.0.1", 0)) as silent:
        world.add("bad", post_id=" ")
        url = f"http://127.0.0.1:{silent.getsockname()[1]}/hook"
        worker = world.start_worker(POD_ENGAGEMENT_ALERT_WEBHOOK_URL=url)
        world.wait_for("bad", "failed")
        silent.accept()[0].close()
        for number in range(100):
            world.add(f"more-{number}", post_id=f"post-{number}")
        world.until(lambda: world.sql("SELECT 1 FROM pod_activities WHERE status = 'scheduled'") == [])
        assert len(world.effects()) == 100
        assert world.stop(worker) == 0
