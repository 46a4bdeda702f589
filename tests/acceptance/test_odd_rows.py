"""Rows as other people's services leave them: gone and back, twice, or guarded by triggers of their own."""

from __future__ import annotations

import json
from collections import Counter
from contextlib import closing

import psycopg2
import pytest

from acceptance.conftest import World

_V1 = {
    "UNIPILE_API_VERSION": "v1",
    "POD_ENGAGEMENT_JOB_TIMEOUT": "1500",
    "POD_ENGAGEMENT_VISIBILITY_LAG_MS": "500",
}
_LIKES = 10


def _executed(world: World, *, at_least: int) -> bool:
    ((count,),) = world.sql("SELECT count(*) FROM pod_activities WHERE status = 'executed'")
    return int(count) >= at_least


def _most_effects(world: World) -> int:
    """How often the engagement was applied that was applied most often; each test gives each activity its own post."""
    return max(Counter(effect["post_id"] for effect in world.effects()).values(), default=0)


@pytest.mark.parametrize("with_function", [True, False])
def test_row_that_is_replaced_while_two_workers_claim_it_is_sent_once(world: World, *, with_function: bool) -> None:
    """Both wait for the row that is deleted, and neither has locked the one that is inserted in its place."""
    if not with_function:
        ((name,),) = world.sql("SELECT oid::regprocedure::text FROM pg_proc WHERE proname LIKE 'engagement_show_%'")
        world.sql(f"DROP FUNCTION {name}")
    for _ in range(2):
        world.start_worker(**_V1)
    ids = [f"like-{number}" for number in range(_LIKES)]
    with closing(psycopg2.connect(world.database_url)) as producer, producer.cursor() as cursor:
        for key in ids:
            world.add(key, post_id=key, due_in=1.0)
        cursor.execute("UPDATE pod_activities SET comment_text = NULL")  # holds the rows until both workers want them
        cursor.execute("DELETE FROM pod_activities")
        cursor.executemany(
            "INSERT INTO pod_activities (id, pod_id, engagement_type, post_id, scheduled_for)"
            " VALUES (%s, 'pod-1', 'like', %s, clock_timestamp())",
            [(key, key) for key in ids],
        )
        waiting = (
            "SELECT count(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND datname = current_database()"
        )
        world.until(lambda: world.sql(waiting)[0][0] >= 8)
        producer.commit()
    world.until(lambda: _executed(world, at_least=_LIKES))
    assert _most_effects(world) == 1


def test_attempts_of_a_newer_release_end_no_loop(world: World) -> None:
    """They lie before everything else that is to be adopted and settled, and are left alone."""
    for phase in ("sending", "unknown"):
        world.add(f"newer-{phase}", post_id=f"newer-{phase}")
        world.sql(
            "INSERT INTO engagement_attempts (activity_id, number, token, worker_id, phase, event, effect, account_id,"
            " engagement_type, post_id, claimed_at, deadline_at, began_at, look_at) VALUES (%s, 1, %s, 'gone', %s,"
            " 'handed_over', 'unknown', 'account-1', 'like', %s, now() - interval '2 h', now() - interval '1 h',"
            " now() - interval '2 h', now() - interval '1 h')",
            *(f"newer-{phase}", f"token-{phase}", phase, f"newer-{phase}"),
        )
    world.sandbox.set_faults([{"match": {"nth": 1}, "action": "apply_then_drop"}])
    world.add("healthy", post_id="healthy")
    world.start_worker(**_V1)
    assert world.wait_for("healthy", "executed")["execution_result"]["provenance"] == "reconciled"
    words = world.sql("SELECT phase, event FROM engagement_attempts WHERE activity_id LIKE 'newer-%' ORDER BY phase")
    assert words == [("sending", "handed_over"), ("unknown", "handed_over")]
    assert [effect["post_id"] for effect in world.effects()] == ["healthy"]
    explained = world.engagement("explain", "newer-unknown", "--json", **_V1)
    assert "newer release" in json.loads(explained.stdout)["why"]


def test_row_that_comes_back_after_its_outcome_was_given_up_is_left_to_a_person(world: World) -> None:
    """It is not sent, it is not forgotten, and it can be resolved."""
    world.sandbox.set_faults([{"match": {"nth": 1}, "action": "apply_then_drop"}])
    world.add("comment", engagement_type="comment", comment_text="Great post!", pod_id="pod-2")
    world.start_worker(**_V1)
    world.until(lambda: bool(world.sql("SELECT 1 FROM engagement_attempts WHERE phase = 'unknown'")))
    world.sql("DELETE FROM pod_activities")
    world.until(lambda: bool(world.sql("SELECT 1 FROM engagement_dead_letters WHERE activity_id = 'comment'")))
    world.add("comment", engagement_type="comment", comment_text="Great post!", pod_id="pod-2")
    assert world.wait_for("comment", "failed")["last_error"]["error_type"] == "outcome_unknown"
    assert world.sql("SELECT count(*) FROM engagement_alerts WHERE kind = 'dead_letter'")[0][0] >= 1
    assert len(world.effects()) == 1
    resolved = world.engagement("dead-letters", "resolve", "comment", "--as", "executed", **_V1)
    assert resolved.returncode == 0, resolved.stderr
    assert world.activity("comment")["status"] == "executed"
    assert world.sql("SELECT count(*) FROM engagement_dead_letters WHERE closed_at IS NULL") == [(0,)]


def test_row_that_was_set_back_after_it_was_executed_is_executed_again_on_paper_only(world: World) -> None:
    """Its attempt is on record; nothing is sent."""
    world.add("like")
    world.start_worker(**_V1)
    world.wait_for("like", "executed")
    world.sql("UPDATE pod_activities SET status = 'scheduled', execution_result = NULL")
    assert world.wait_for("like", "executed")["execution_result"]["provenance"] == "response"
    assert len(world.effects()) == 1


@pytest.mark.parametrize("integer", ["smallint", "integer", "bigint"])
def test_count_of_failures_that_is_full_fails_no_verdict(world: World, integer: str) -> None:
    """It stays where it is."""
    most = {"smallint": 2**15, "integer": 2**31, "bigint": 2**63}[integer] - 1
    world.sql(f"ALTER TABLE pod_activities ALTER failure_count TYPE {integer}")
    world.sandbox.set_faults([{"action": "status", "status": 403}])
    world.add("like", failure_count=most)
    assert world.engagement("run", "--burst", **_V1).returncode == 0
    row = world.activity("like")
    assert (row["status"], row["failure_count"]) == ("failed", most)


def test_rows_that_share_one_id_are_malformed_and_never_sent(world: World) -> None:
    """Which of them is meant cannot be told."""
    world.sql("ALTER TABLE pod_activities DROP CONSTRAINT pod_activities_pkey")
    for post_id in ("one", "other"):
        world.add("twin", post_id=post_id)
    world.add("healthy", post_id="healthy")
    assert world.engagement("run", "--burst", **_V1).returncode == 0
    assert world.sql("SELECT status FROM pod_activities WHERE id = 'twin'") == [("failed",), ("failed",)]
    assert "not unique" in world.sql("SELECT message FROM engagement_dead_letters")[0][0]
    assert [effect["post_id"] for effect in world.effects()] == ["healthy"]


_FORBIDS = "RAISE EXCEPTION 'nobody may execute %', NEW.id"
_SWALLOWS = "RETURN NULL"


def _add_trigger(world: World, body: str, when: str) -> None:
    world.sql(
        f"CREATE FUNCTION guard() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN IF {when} THEN {body}; END IF;"
        " RETURN NEW; END $$;"
        "CREATE TRIGGER guard BEFORE UPDATE ON pod_activities FOR EACH ROW EXECUTE FUNCTION guard()"
    )


@pytest.mark.parametrize(("body", "words"), [(_FORBIDS, "nobody may execute"), (_SWALLOWS, "changed no row")])
def test_table_that_takes_no_verdict_stops_all_sending_until_it_takes_one(world: World, body: str, words: str) -> None:
    """The outcomes are kept, people are told in the database's words, and the rest goes out when the way is free."""
    _add_trigger(world, body, "NEW.status = 'executed'")
    for number in range(30):
        world.add(f"like-{number}", post_id=f"post-{number}", due_in=0.02 * number)
    world.start_worker(POD_ENGAGEMENT_WORKER_CONCURRENCY="3", **_V1)
    stopped = "SELECT message FROM engagement_alerts WHERE incident = 'database_refuses'"
    world.until(lambda: bool(world.sql(stopped)))
    assert words in world.sql(stopped)[0][0]
    sent = len(world.effects())
    assert sent <= 2 + 3
    # A deadline later it is still known what became of them, and nobody was lost.
    world.until(lambda: not world.sql("SELECT 1 FROM engagement_attempts WHERE phase = 'sending'"))
    evidence = world.sql(
        "SELECT evidence->>'effect', error->>'message' FROM engagement_attempts WHERE phase = 'unknown'"
    )
    assert {effect for effect, _ in evidence} == {"applied"}
    assert all(words in message for _, message in evidence)
    assert len(world.effects()) == sent
    world.sql("DROP TRIGGER guard ON pod_activities")
    world.until(lambda: _executed(world, at_least=30))
    assert _most_effects(world) == 1
    assert len(world.effects()) == 30


def test_row_that_the_table_refuses_stops_no_other(world: World) -> None:
    """Its notification is too long; the others' are not."""
    _add_trigger(
        world, "PERFORM pg_notify('done', repeat('x', 9000))", "NEW.post_id = 'long' AND NEW.status = 'executed'"
    )
    for number in range(10):
        world.add(f"like-{number}", post_id="long" if number == 2 else f"post-{number}")
    world.start_worker(**_V1)
    world.until(lambda: _executed(world, at_least=9))
    alert = "SELECT message FROM engagement_alerts WHERE kind = 'database_refuses' AND activity_id = 'like-2'"
    world.until(lambda: bool(world.sql(alert)))
    assert "payload string too long" in world.sql(alert)[0][0]
    assert _most_effects(world) == 1
    world.sql("DROP TRIGGER guard ON pod_activities")
    world.wait_for("like-2", "executed")
    assert _most_effects(world) == 1


def test_verdict_that_was_refused_outlives_its_worker(world: World) -> None:
    """It is kept beside its attempt, so the next worker need not even read it back."""
    _add_trigger(world, _FORBIDS, "NEW.status = 'executed'")
    world.add("like", pod_id="pod-2")
    worker = world.start_worker(**_V1)
    world.until(lambda: bool(world.sql("SELECT 1 FROM engagement_attempts WHERE evidence->>'effect' = 'applied'")))
    worker.kill()
    worker.wait()
    world.sql("DROP TRIGGER guard ON pod_activities")
    world.sandbox.set_faults([{"match": {"request": "any"}, "action": "status", "status": 500}])
    world.start_worker(POD_ENGAGEMENT_ORPHAN_AFTER_MS="1000", **_V1)
    world.wait_for("like", "executed")
    assert len(world.effects()) == 1


def test_trigger_that_hangs_is_a_refusal_and_a_burst_says_so(world: World) -> None:
    """The answer is on record beside the attempt, people are told, and the exit code is no success."""
    world.sql(
        "CREATE FUNCTION hang() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN"
        " IF NEW.status = 'executed' THEN PERFORM pg_sleep(60); END IF; RETURN NEW; END $$;"
        " CREATE TRIGGER hang BEFORE UPDATE ON pod_activities FOR EACH ROW EXECUTE FUNCTION hang()"
    )
    world.add("like")
    done = world.engagement("run", "--burst", **_V1)
    assert done.returncode == 1
    assert "has not taken what became of these activities, 1 in all: like. Nothing is sent twice" in done.stderr
    ((message,),) = world.sql("SELECT message FROM engagement_alerts WHERE kind = 'database_refuses'")
    assert "did not end within 10 s" in message
    ((effect,),) = world.sql("SELECT evidence->>'effect' FROM engagement_attempts")
    assert effect == "applied"
    world.sql("DROP TRIGGER hang ON pod_activities")
    world.start_worker(**_V1)
    world.wait_for("like", "executed")
    assert _most_effects(world) == 1
