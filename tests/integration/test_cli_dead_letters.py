"""`engagement dead-letters`: a person reviews what failed for good, and requeues or resolves it."""

from __future__ import annotations

from datetime import timedelta
from functools import partial

import pytest
from redis import Redis

from adapters.postgres.connection.pool import PostgresPool
from adapters.postgres.store.activities import PostgresActivityStore
from adapters.rq.queue import RqQueue
from engagement_core.decisions.bury import bury
from engagement_core.model.activity import EngagementType
from engagement_core.model.attempt import Attempt
from engagement_core.model.decision import Decision, SaveAttempt
from engagement_core.model.errors import Cause, Failure
from engagement_core.model.job import WakeUp
from engagement_core.model.lifecycle import Event, Phase
from engagement_core.model.snapshot import Snapshot
from support.commands import Commands, add_rows, execute
from support.queues import receive_one

GONE = Failure(cause=Cause.POST_GONE, message="The post is [gone].")
UNKNOWN = Failure(cause=Cause.OUTCOME_UNKNOWN, message="Nobody knows.")


@pytest.fixture
def engagement(database_url: str, redis_url: str) -> Commands:
    """The commands, with both servers; a person may resolve at once."""
    return Commands(
        environ={"DATABASE_URL": database_url, "REDIS_URL": redis_url, "POD_ENGAGEMENT_VISIBILITY_LAG_MS": "0"}
    )


def file_letters(database_url: str, failure: Failure, *activity_ids: str) -> None:
    """Letters with one attempt each, which failed an hour ago."""
    add_rows(database_url, *activity_ids)
    pool = PostgresPool(database_url, size=1)
    store = PostgresActivityStore(pool)
    for activity_id in activity_ids:
        store.change(activity_id, partial(_buried, activity_id=activity_id, failure=failure))
    pool.close()


def _buried(snapshot: Snapshot, *, activity_id: str, failure: Failure) -> Decision[None]:
    long_ago = snapshot.now - timedelta(hours=1)
    attempt = Attempt(
        activity_id=activity_id,
        number=1,
        token=activity_id,
        worker_id="w",
        phase=Phase.FAILED,
        event=Event.BURY,
        effect=failure.effect,
        account_id="acc-1",
        engagement_type=EngagementType.LIKE,
        post_id="post-1",
        claimed_at=long_ago,
        deadline_at=long_ago,
        began_at=long_ago,
        ended_at=snapshot.now,
        error={"message": failure.message},
    )
    return Decision(
        None, (SaveAttempt(attempt), *bury(snapshot, activity_id, failure, counts=True, account_id="acc-1").writes)
    )


def statuses(database_url: str) -> dict[str, str]:
    """By id."""
    return dict(execute(database_url, "SELECT id, status FROM pod_activities"))


def test_nothing_has_failed(engagement: Commands) -> None:
    """An empty list is not an error, for any of the commands."""
    assert engagement("dead-letters", "list").stdout == "No dead letters.\n"
    assert engagement.json("dead-letters", "list") == {"version": 1, "counts": {}, "dead_letters": []}
    assert engagement("dead-letters", "requeue", "--all").stdout == "No dead letters.\n"


def test_list_counts_by_cause_and_shows_each(engagement: Commands, database_url: str) -> None:
    """Oldest first, with the message as it was recorded."""
    file_letters(database_url, GONE, "a-1", "a-2")
    file_letters(database_url, UNKNOWN, "a-3")
    told = engagement.json("dead-letters", "list")
    assert told["counts"] == {"post_not_found": 2, "outcome_unknown": 1}
    assert [each["activity_id"] for each in told["dead_letters"]] == ["a-1", "a-2", "a-3"]
    assert told["dead_letters"][2]["effect"] == "unknown"
    screen = engagement("dead-letters", "list").stdout
    assert "The post is [gone]." in screen
    assert screen.index("By cause") < screen.index("a-1")
    limited = engagement("dead-letters", "list", "--limit", "1")
    assert "a-2" not in limited.stdout
    assert "the first 1 of 3" in limited.stderr


@pytest.mark.parametrize(
    ("wanted", "found"),
    [
        (("--error-type", "outcome_unknown"), ["a-2"]),
        (("--pod", "pod-1"), ["a-1", "a-2"]),
        (("--pod", "pod-2"), []),
        (("--account", "acc-1"), ["a-1", "a-2"]),
        (("--since", "1h"), ["a-1", "a-2"]),
        (("--since", "2100-01-01T00:00:00Z"), []),
    ],
)
def test_list_can_be_filtered(
    engagement: Commands, database_url: str, wanted: tuple[str, ...], found: list[str]
) -> None:
    """Filters are cause, pod, account and time."""
    file_letters(database_url, GONE, "a-1")
    file_letters(database_url, UNKNOWN, "a-2")
    told = engagement.json("dead-letters", "list", *wanted)
    assert [each["activity_id"] for each in told["dead_letters"]] == found


def test_show_tells_the_whole_story(engagement: Commands, database_url: str) -> None:
    """It shows the activity, every attempt and the next step."""
    file_letters(database_url, UNKNOWN, "a-1")
    told = engagement.json("dead-letters", "show", "a-1")
    assert told["activity"]["post_id"] == "urn:li:activity:1"
    assert [(each["number"], each["event"], each["effect"]) for each in told["attempts"]] == [(1, "bury", "unknown")]
    screen = engagement("dead-letters", "show", "a-1").stdout
    assert all(word in screen for word in ("Nobody knows.", "dead-letters resolve", "like on urn:li:activity:1"))
    assert engagement.refused("dead-letters", "show", "a-2", code=1) == "a-2 is not an open dead letter"


def test_requeue_schedules_rings_and_leaves_the_mirror(engagement: Commands, database_url: str, redis_url: str) -> None:
    """PostgreSQL first, then Redis."""
    file_letters(database_url, GONE, "a-1", "a-2")
    queue = RqQueue(redis_url)
    queue.bury("a-1", "gone")
    assert engagement("dead-letters", "requeue", "a-1").stdout.startswith("a-1: requeued for ")
    assert statuses(database_url) == {"a-1": "scheduled", "a-2": "failed"}
    received = receive_one(queue, timedelta(seconds=1))
    assert isinstance(received, WakeUp)
    assert received.activity_id == "a-1"
    with Redis.from_url(redis_url) as client:
        assert client.llen("rq:queue:pod-engagement-dead-letter") == 0
    queue.close()


def test_one_that_is_refused_does_not_stop_the_others(engagement: Commands, database_url: str) -> None:
    """Every letter is reported, and the exit code is 1."""
    file_letters(database_url, GONE, "a-1", "a-3")
    file_letters(database_url, UNKNOWN, "a-2")
    result = engagement("dead-letters", "requeue", "a-1", "a-2", "nobody", "a-3", "a-1")
    assert result.exit_code == 1
    assert [line.partition(" for ")[0] for line in result.stdout.splitlines()] == [
        "a-1: requeued",
        "a-2: refused: it may have happened: look at the post, then resolve it as executed or not-executed",
        "nobody: refused: there is no such activity",
        "a-3: requeued",
    ]
    assert "2 of 4 dead letters were refused" in result.stderr
    assert statuses(database_url) == {"a-1": "scheduled", "a-2": "failed", "a-3": "scheduled"}


def test_requeue_by_filter_takes_those_that_agree(engagement: Commands, database_url: str) -> None:
    """A dry run prints the same and does nothing."""
    file_letters(database_url, GONE, "a-1", "a-2")
    file_letters(database_url, UNKNOWN, "a-3")
    chosen = ("dead-letters", "requeue", "--error-type", "post_not_found")
    dry = engagement.json(*chosen, "--dry-run")
    assert dry["dry_run"] is True
    assert [(each["activity_id"], each["requeued"]) for each in dry["results"]] == [("a-1", True), ("a-2", True)]
    assert set(statuses(database_url).values()) == {"failed"}
    assert len(engagement.json(*chosen)["results"]) == 2
    assert statuses(database_url) == {"a-1": "scheduled", "a-2": "scheduled", "a-3": "failed"}


@pytest.mark.parametrize("which", [(), ("a-1", "--all"), ("a-1", "--pod", "p"), ("--all", "--pod", "p")])
def test_requeue_must_be_told_which(which: tuple[str, ...]) -> None:
    """Ids, a filter or all of them."""
    assert "say which" in Commands().refused("dead-letters", "requeue", *which)


def test_an_invalid_activity_is_requeued_once_its_row_is_corrected(engagement: Commands, database_url: str) -> None:
    """It has never been attempted."""
    add_rows(database_url, "a-1", status="failed")
    execute(database_url, "UPDATE pod_activities SET engagement_type = 'share'")
    assert "correct its row first" in engagement("dead-letters", "requeue", "a-1").stdout
    execute(database_url, "UPDATE pod_activities SET engagement_type = 'like'")
    assert engagement("dead-letters", "requeue", "a-1").exit_code == 0


def test_what_waits_for_its_account_says_so(engagement: Commands, database_url: str) -> None:
    """It is requeued, but nothing happens until the account is resumed."""
    signed_out = Failure(cause=Cause.ACCOUNT_SIGNED_OUT, message="Signed out.")
    file_letters(database_url, signed_out, "a-1")
    assert "but waits: hold on account acc-1" in engagement("dead-letters", "requeue", "a-1").stdout


def test_resolved_as_executed_it_is_closed(engagement: Commands, database_url: str) -> None:
    """A person states it. A dry run changes nothing."""
    file_letters(database_url, UNKNOWN, "a-1")
    resolve = ("dead-letters", "resolve", "a-1", "--as", "executed")
    assert engagement(*resolve, "--dry-run").stdout == "a-1: would be resolved as executed\n"
    assert statuses(database_url) == {"a-1": "failed"}
    assert engagement.json(*resolve)["resolved_as"] == "executed"
    assert execute(database_url, "SELECT status, execution_result ->> 'provenance' FROM pod_activities") == [
        ("executed", "person")
    ]
    assert engagement("dead-letters", "list").stdout == "No dead letters.\n"
    assert "'executed'" in engagement.refused(*resolve, code=1)


def test_resolved_as_not_executed_it_can_be_requeued(engagement: Commands, database_url: str) -> None:
    """It stays on the list until then."""
    file_letters(database_url, UNKNOWN, "a-1")
    assert engagement("dead-letters", "resolve", "a-1", "--as", "not-executed").exit_code == 0
    (letter,) = engagement.json("dead-letters", "list")["dead_letters"]
    assert (letter["effect"], letter["next_step"]) == ("none", "Requeue it if it is still wanted.")
    assert engagement("dead-letters", "requeue", "a-1").exit_code == 0
    assert statuses(database_url) == {"a-1": "scheduled"}


def test_nobody_resolves_before_the_provider_can_have_shown_it(database_url: str) -> None:
    """A setting says how long a person must wait."""
    file_letters(database_url, UNKNOWN, "a-1")
    cautious = {"DATABASE_URL": database_url, "POD_ENGAGEMENT_VISIBILITY_LAG_MS": "7200000"}
    told = Commands(environ=cautious).refused("dead-letters", "resolve", "a-1", "--as", "not-executed", code=1)
    assert "the provider may not show it before" in told


def test_without_redis_it_is_requeued_with_a_warning(database_url: str) -> None:
    """The sweep finds the activity."""
    file_letters(database_url, GONE, "a-1", "a-2")
    result = Commands(environ={"DATABASE_URL": database_url})("dead-letters", "requeue", "--all")
    assert (result.exit_code, result.stderr.count("Warning: ")) == (0, 1)
    assert set(statuses(database_url).values()) == {"scheduled"}
