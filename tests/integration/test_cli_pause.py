"""`engagement pause` and `resume`: when pause has returned, nothing more of its scope reaches the provider."""

from __future__ import annotations

import subprocess
import threading
from collections.abc import Callable
from contextlib import closing
from datetime import timedelta

import psycopg2
import pytest

from adapters.postgres.connection.pool import PostgresPool
from adapters.postgres.store.activities import PostgresActivityStore
from adapters.postgres.store.statements import PAUSE_LOCK
from support.commands import Commands, add_rows, execute, started

_BEGUN = """
INSERT INTO engagement_workers (worker_id, host, pid, concurrency, beat_at)
VALUES ('w', 'h', 1, 5, now() + %s::interval) ON CONFLICT DO NOTHING;
INSERT INTO engagement_attempts (activity_id, number, token, worker_id, phase, event, effect, account_id,
                                 engagement_type, post_id, claimed_at, deadline_at, began_at)
VALUES (%s, 1, 't', 'w', %s, 'begin_sending', 'unknown', 'acc-1', 'like', 'post-1', now(), now() + %s::interval, now())
"""
ALIVE, DEAD = "1 hour", "-1 hour"


@pytest.fixture
def engagement(database_url: str) -> Commands:
    """A database with pod-1, acc-1 and an activity. A short job timeout limits the wait."""
    add_rows(database_url, "a-1")
    return Commands(environ={"DATABASE_URL": database_url, "POD_ENGAGEMENT_JOB_TIMEOUT": "20000"})


def begin(database_url: str, *, worker: str = ALIVE, deadline: str = "1 hour", phase: str = "sending") -> None:
    """The request of a-1 is under way."""
    execute(database_url, _BEGUN, worker, "a-1", phase, deadline)


def in_force(database_url: str) -> list[tuple[object, ...]]:
    """The controls that have not been lifted."""
    return execute(
        database_url,
        "SELECT kind, scope, scope_id, reason FROM engagement_controls WHERE lifted_at IS NULL ORDER BY id",
    )


@pytest.mark.parametrize(
    ("scope", "control"),
    [
        (("--all",), ("all", "")),
        (("--pod", "pod-1"), ("pod", "pod-1")),
        (("--account", "acc-1"), ("account", "acc-1")),
    ],
)
def test_a_pause_is_in_force_until_it_is_lifted(
    engagement: Commands, database_url: str, scope: tuple[str, ...], control: tuple[str, str]
) -> None:
    """During the pause nothing is found due; afterwards it is due again."""
    pool = PostgresPool(database_url, size=1)
    store = PostgresActivityStore(pool)

    def due() -> int:
        return len(store.due(look_ahead=timedelta(0), limit=10))

    assert due() == 1
    assert "Nothing of it is under way" in engagement("pause", *scope, "--reason", "lunch").stdout
    assert in_force(database_url) == [("pause", *control, "lunch")]
    assert due() == 0
    assert "lunch" in engagement("resume", *scope).stdout
    assert (in_force(database_url), due()) == ([], 1)
    pool.close()


def test_pausing_twice_is_one_pause(engagement: Commands, database_url: str) -> None:
    """The later reason counts, and one resume is enough."""
    for reason in ("one", "two"):
        assert engagement("pause", "--all", "--reason", reason).exit_code == 0
    assert in_force(database_url) == [("pause", "all", "", "two")]
    assert len(engagement.json("resume", "--all")["lifted"]) == 1


@pytest.mark.parametrize("scope", [("--pod", "pod-2"), ("--account", "acc-2")])
def test_what_does_not_exist_cannot_be_paused(engagement: Commands, database_url: str, scope: tuple[str, ...]) -> None:
    """After a typing error, nothing would be paused."""
    assert "nothing was paused" in engagement.refused("pause", *scope, code=1)
    assert in_force(database_url) == []


@pytest.mark.parametrize("scope", [(), ("--all", "--pod", "pod-1"), ("--pod", "")])
@pytest.mark.parametrize("command", ["pause", "resume"])
def test_exactly_one_scope_must_be_named(command: str, scope: tuple[str, ...]) -> None:
    """Not none, and not two."""
    assert "exactly one of --all" in Commands().refused(command, *scope)


def test_resume_lifts_a_hold_but_no_cool_down(engagement: Commands, database_url: str) -> None:
    """It prints what it lifted, and what is still in force."""
    execute(
        database_url,
        """
        INSERT INTO engagement_controls (kind, scope, scope_id, until, reason) VALUES
            ('hold', 'account', 'acc-1', NULL, 'signed out'), ('hold', 'account', 'acc-2', NULL, 'signed out'),
            ('cool_down', 'account', 'acc-1', now() + interval '1 h', 'a 429')
        """,
    )
    told = engagement.json("resume", "--account", "acc-1")
    assert [(each["kind"], each["scope_id"]) for each in told["lifted"]] == [("hold", "acc-1")]
    assert {(each["kind"], each["scope_id"]) for each in told["still_in_force"]} == {
        ("hold", "acc-2"),
        ("cool_down", "acc-1"),
    }
    again = engagement("resume", "--account", "acc-1")
    assert again.exit_code == 0
    assert again.stdout.startswith("There was nothing to lift on account acc-1.\nStill in force: ")


@pytest.mark.parametrize("scope", [("--all",), ("--pod", "pod-1"), ("--account", "acc-1")])
def test_pause_waits_for_what_has_begun(database_url: str, engagement: Commands, scope: tuple[str, ...]) -> None:
    """It returns when the verdict is recorded, and not before."""
    begin(database_url)
    with started("pause", *scope, environ=dict(engagement.environ)) as process:
        assert process.stderr is not None
        assert "Waiting for 1 engagements under way" in process.stderr.readline()
        assert in_force(database_url) != []
        with pytest.raises(subprocess.TimeoutExpired):
            process.wait(0.5)
        execute(database_url, "UPDATE engagement_attempts SET phase = 'executed', effect = 'applied'")
        output, _ = process.communicate(timeout=30)
    assert (process.returncode, "Nothing of it is under way" in output) == (0, True)


@pytest.mark.parametrize(
    ("worker", "deadline", "phase"),
    [(DEAD, "-1 second", "sending"), (ALIVE, "-1 second", "unknown"), (ALIVE, "1 hour", "claimed")],
)
def test_pause_does_not_wait_for_what_can_send_no_more(
    *, database_url: str, engagement: Commands, worker: str, deadline: str, phase: str
) -> None:
    """A dead worker and an unknown outcome, both past the deadline; and a claim that will find the pause."""
    begin(database_url, worker=worker, deadline=deadline, phase=phase)
    assert engagement("pause", "--all").stderr == ""


@pytest.mark.parametrize(("worker", "phase"), [(DEAD, "sending"), (ALIVE, "unknown")])
def test_pause_waits_for_the_deadline_of_what_may_still_send(
    database_url: str, engagement: Commands, worker: str, phase: str
) -> None:
    """A worker that seems dead may only be suspended: when it wakes up, it may still send its request."""
    begin(database_url, worker=worker, deadline="1 second", phase=phase)
    told = engagement("pause", "--all")
    assert (told.exit_code, "Waiting for 1" in told.stderr) == (0, True)
    assert execute(database_url, "SELECT deadline_at <= clock_timestamp() FROM engagement_attempts") == [(True,)]


def test_other_scopes_are_not_waited_for(database_url: str, engagement: Commands) -> None:
    """A pause does not wait for the engagements of another pod."""
    begin(database_url)
    execute(database_url, "INSERT INTO pods (id) VALUES ('pod-2'); INSERT INTO linkedin_accounts (id) VALUES ('acc-2')")
    for scope in (("--pod", "pod-2"), ("--account", "acc-2")):
        assert engagement("pause", *scope).stderr == ""


def test_a_pause_that_waits_in_vain_says_so(
    database_url: str, engagement: Commands, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The pause is still in force, and the exit code is 1."""
    begin(database_url)
    monkeypatch.setattr("runners.cli.pause._MARGIN", timedelta(seconds=-19.5))
    told = engagement("pause", "--all")
    assert told.exit_code == 1
    assert "the pause is in force, but 1 engagements are still under way" in told.stderr
    assert in_force(database_url) != []


def test_a_pause_waits_for_changes_that_are_being_made(database_url: str, engagement: Commands) -> None:
    """A claim that has read "not paused" commits before the pause commits, and is then seen in flight."""
    done: list[int] = []

    def pause() -> None:
        done.append(engagement("pause", "--all").exit_code)

    with closing(psycopg2.connect(database_url)) as change, change.cursor() as cursor:
        cursor.execute("SELECT pg_advisory_xact_lock_shared(%s)", (PAUSE_LOCK,))
        waiting = threading.Thread(target=pause)
        waiting.start()
        _wait_until(lambda: _waits_for_lock(database_url))
        assert in_force(database_url) == []
        change.commit()
        waiting.join(30)
    assert done == [0]
    assert len(in_force(database_url)) == 1


def _waits_for_lock(database_url: str) -> bool:
    rows = execute(
        database_url,
        "SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND objid = %s AND NOT granted"
        " AND database = (SELECT oid FROM pg_database WHERE datname = current_database())",
        PAUSE_LOCK,
    )
    return rows != [(0,)]


def _wait_until(condition: Callable[[], bool]) -> None:
    pause = threading.Event()
    for _ in range(500):
        if condition():
            return
        pause.wait(0.02)
    raise AssertionError("it did not happen within ten seconds")
