"""Changes that share a transaction end as if each had been made alone, with the server's functions and without them."""

from __future__ import annotations

import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import closing, contextmanager
from dataclasses import replace
from datetime import timedelta
from functools import partial
from typing import Any
from unittest.mock import patch

import psycopg2
import psycopg2.extensions
import pytest

from adapters.postgres.connection import pool as connections
from adapters.postgres.connection.pool import PostgresPool
from adapters.postgres.store.activities import PostgresActivityStore
from adapters.postgres.store.controls import PostgresControls
from engagement_core.decisions.begin import decide_begin
from engagement_core.decisions.claim import Claimed
from engagement_core.decisions.release import give_back
from engagement_core.decisions.retry import RetryPolicy
from engagement_core.decisions.verdict import decide_verdict
from engagement_core.model.activity import Activity
from engagement_core.model.attempt import Provenance
from engagement_core.model.controls import BlockScope
from engagement_core.model.decision import Decision, MarkExecuted, SaveAttempt
from engagement_core.model.errors import Cause, Failure
from engagement_core.model.lifecycle import Phase
from engagement_core.model.outcome import Dropped, Executed
from engagement_core.model.provider import Answer, Applied
from engagement_core.model.snapshot import Snapshot
from support.builders import CARTRIDGE, POD, a_comment, a_like, an_account
from support.servers import ServerUrls
from support.tables import PostgresTables, postgres_tables, show
from support.together import Change, claim_of, together

SECOND = timedelta(seconds=1)
YES = Applied(engagement_id="c-1", created_at=None)
SIGNED_OUT = Failure(cause=Cause.ACCOUNT_SIGNED_OUT, message="The login has expired.")


@pytest.fixture(scope="module", params=["functions", "statements"])
def database(request: pytest.FixtureRequest, servers: ServerUrls, template_database: str) -> Iterator[PostgresTables]:
    """One database for all tests on this page; without functions the store sends the statements themselves."""
    with postgres_tables(servers.database_url, template_database) as tables:
        if request.param == "statements":
            for row in tables.sql("SELECT oid::regprocedure::text AS f FROM pg_proc WHERE proname ~ '^engagement_'"):
                tables.sql(f"DROP FUNCTION {row['f']}")
            tables.store = PostgresActivityStore(tables.pool)
        yield tables


@pytest.fixture
def tables(database: PostgresTables) -> Iterator[PostgresTables]:
    """Empty tables but for the surroundings of an activity, and no object of a test before."""
    database.empty()
    database.put(CARTRIDGE, POD, an_account())
    yield database
    database.sql("DROP FUNCTION IF EXISTS theirs() CASCADE; DROP TABLE IF EXISTS their_table")


@pytest.fixture
def store(tables: PostgresTables) -> Iterator[PostgresActivityStore]:
    """With as many connections as there are threads in a test."""
    with closing(PostgresPool(tables.url, size=20)) as pool:
        yield PostgresActivityStore(pool)


@contextmanager
def store_with(tables: PostgresTables, cursor: type[psycopg2.extensions.cursor]) -> Iterator[PostgresActivityStore]:
    """A store whose statements go through such cursors."""
    options = {"cursor_factory": cursor}
    with (
        patch.dict(connections._CONNECT_OPTIONS, options),
        closing(PostgresPool(tables.url, size=20)) as pool,
    ):
        yield PostgresActivityStore(pool)


def put_likes(tables: PostgresTables, count: int, **changes: Any) -> list[str]:
    """Likes of the one account; their ids."""
    keys = [f"activity-{number}" for number in range(1, count + 1)]
    tables.put(*(a_like(id=key, post_id=f"post of {key}", **changes) for key in keys))
    return keys


def verdict_on(claimed: Claimed, answer: Answer) -> Change:
    """What is decided about an answer."""
    policy = RetryPolicy()
    return claimed.activity.id, partial(decide_verdict, attempt=claimed.attempt, answer=answer, policy=policy)


def kinds(outcomes: list[Any]) -> list[str]:
    """The names of their types."""
    return [type(outcome).__name__ for outcome in outcomes]


def transactions(tables: PostgresTables) -> list[int]:
    """How many attempts each transaction has written."""
    return [row["n"] for row in tables.sql("SELECT count(*) AS n FROM engagement_attempts GROUP BY xmin ORDER BY 1")]


def statuses(tables: PostgresTables) -> dict[str, str]:
    """The public status of each activity."""
    return {row["id"]: row["status"] for row in tables.sql("SELECT id, status FROM pod_activities")}


def add_trigger(tables: PostgresTables, body: str, when: str = "BEFORE UPDATE", kind: str = "TRIGGER") -> None:
    """Somebody else's trigger. It does what `body` says to activity-2 when that is executed."""
    deferred = "DEFERRABLE INITIALLY DEFERRED" if kind != "TRIGGER" else ""
    tables.sql(
        "CREATE FUNCTION theirs() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN"
        f" IF NEW.id = 'activity-2' AND NEW.status = 'executed' THEN {body} END IF; RETURN NEW; END $$;"
        f"CREATE {kind} theirs {when} ON pod_activities {deferred} FOR EACH ROW EXECUTE FUNCTION theirs()"
    )


@contextmanager
def somebody_else(tables: PostgresTables, statement: str) -> Iterator[None]:
    """Another session, in a transaction in which it has executed the statement."""
    with closing(psycopg2.connect(tables.url)) as other, other.cursor() as cursor:
        cursor.execute(statement)
        yield


def test_a_change_that_was_submitted_goes_together_with_the_next_one(
    tables: PostgresTables, store: PostgresActivityStore
) -> None:
    """So a thread waits once for its last verdict and its next claim. Before that, nothing is done for nobody."""
    first, second = put_likes(tables, 2)
    wait = store.submit(*claim_of(first))
    assert show(tables, first).attempts == ()
    assert isinstance(store.change(*claim_of(second)), Claimed)
    assert [attempt.phase for attempt in show(tables, first).attempts] == [Phase.SENDING]
    assert isinstance(wait(), Claimed)


def test_claims_and_verdicts_that_are_ready_together_are_committed_together(
    tables: PostgresTables, store: PostgresActivityStore
) -> None:
    """Each is told what became of its own activity."""
    keys = put_likes(tables, 6)
    claims = together(store, *map(claim_of, keys))
    assert [claimed.activity.id for claimed in claims if isinstance(claimed, Claimed)] == keys
    assert transactions(tables) == [6]
    verdicts = together(store, *(verdict_on(claimed, YES) for claimed in claims))
    assert kinds(verdicts) == ["Executed"] * 6
    assert transactions(tables) == [6]
    assert tables.sql("SELECT count(DISTINCT xmin::text) AS n FROM pod_activities")[0]["n"] == 1
    assert statuses(tables) == dict.fromkeys(keys, "executed")


def test_one_activity_twice_in_a_group_is_claimed_once(tables: PostgresTables, store: PostgresActivityStore) -> None:
    """The other claim sees the first."""
    put_likes(tables, 3)
    pair = [claim_of("activity-1", "worker-1"), claim_of("activity-1", "worker-2")]
    outcomes = together(store, pair[0], claim_of("activity-2"), pair[1], claim_of("activity-3"))
    assert sorted(kinds(outcomes)) == ["Claimed", "Claimed", "Claimed", "Dropped"]
    assert len(show(tables).attempts) == 1
    assert transactions(tables) == [3]  # the pair cost the others nothing


def test_what_somebody_else_has_locked_is_waited_for_by_nobody_but_its_own_change(
    tables: PostgresTables, store: PostgresActivityStore
) -> None:
    """The group has committed while the row is still locked. The row's own change then sees what was left."""
    put_likes(tables, 4)
    with ThreadPoolExecutor(1) as threads:
        with somebody_else(tables, "UPDATE pod_activities SET status = 'cancelled' WHERE id = 'activity-2'"):
            group = threads.submit(together, store, *map(claim_of, statuses(tables)))
            _until(lambda: transactions(tables) == [3])
            assert not group.done()
        outcomes = group.result(30)
    assert sorted(kinds(outcomes)) == ["Claimed"] * 4  # its update was rolled back
    assert transactions(tables) == [1, 3]


def test_what_was_deleted_meanwhile_does_not_exist_and_costs_the_others_nothing(
    tables: PostgresTables, store: PostgresActivityStore
) -> None:
    """Nor does what never was there, or cannot be."""
    keys = put_likes(tables, 3)
    changes = [claim_of(key) for key in (*keys, "no-such-activity", "a\x00b")]
    outcomes = together(
        store, *changes[:-1], meanwhile=lambda: tables.sql("DELETE FROM pod_activities WHERE id = 'activity-2'")
    )
    assert kinds(outcomes) == ["Claimed", "Dropped", "Claimed", "Dropped"]
    assert store.change(*changes[-1]) == Dropped(reason="there is no such activity", status="missing")


def test_a_row_that_comes_back_while_the_group_reads_was_not_locked_and_is_not_decided_on(
    tables: PostgresTables, store: PostgresActivityStore
) -> None:
    """Its claim is made alone, once the row that is there now is locked."""
    put_likes(tables, 2)
    shown: list[Snapshot] = []

    def look(snapshot: Snapshot) -> Decision[None]:
        shown.append(snapshot)
        return Decision(None)

    with somebody_else(tables, "SELECT 1 FROM pod_activities WHERE id = 'activity-2' FOR UPDATE"):
        group = threading.Thread(target=together, args=(store, claim_of("activity-1"), ("activity-2", look)))
        group.start()
        _until(lambda: transactions(tables) == [1])
        assert shown == []
    group.join(30)
    assert [type(snapshot.activity) for snapshot in shown] == [Activity]


@pytest.mark.parametrize("kind", ["like", "comment"])
def test_a_group_begins_no_more_than_the_account_s_limit(
    tables: PostgresTables, store: PostgresActivityStore, kind: str
) -> None:
    """Each decision counts the sends that the group has begun before it."""
    tables.put(an_account(daily_limit=5))
    keys = put_likes(tables, 12)
    if kind == "comment":
        tables.put(*(a_comment(id=key) for key in keys))
    outcomes = together(store, *map(claim_of, keys))
    if kind == "comment":
        assert kinds(outcomes) == ["Claimed"] * 12
        begins = [(each.activity.id, partial(decide_begin, claimed=each, text="Hello!")) for each in outcomes]
        outcomes = together(store, *begins)
    assert Counter(kinds(outcomes)) == {"Claimed": 5, "Deferred": 7}
    assert Counter(row["phase"] for row in tables.sql("SELECT phase FROM engagement_attempts"))["sending"] == 5


def test_groups_of_several_workers_keep_the_limits_of_several_accounts(tables: PostgresTables) -> None:
    """All of them trying everything at once, in groups and alone."""
    accounts = {f"account-{number}": number * 3 for number in (1, 2, 3)}
    for name, limit in accounts.items():
        tables.put(an_account(id=name, profile_id=name, daily_limit=limit))
    keys = [f"{name}/{number}" for number in range(15) for name in accounts]
    tables.put(*(a_like(id=key, profile_id=key.partition("/")[0]) for key in keys))
    with ThreadPoolExecutor(3) as workers:
        list(workers.map(partial(_claim_all, tables.url, keys), ("worker-1", "worker-2", "worker-3")))
    began = tables.sql("SELECT account_id, count(*) AS n FROM engagement_attempts GROUP BY 1")
    assert {row["account_id"]: row["n"] for row in began} == accounts


def _claim_all(url: str, keys: list[str], worker: str) -> None:
    """With threads and a store of its own."""
    with closing(PostgresPool(url, size=10)) as pool, ThreadPoolExecutor(10) as threads:
        store = PostgresActivityStore(pool)
        list(threads.map(lambda key: store.change(*claim_of(key, worker)), keys))


def test_an_account_that_somebody_else_has_locked_is_waited_for_by_its_own_changes_alone(
    tables: PostgresTables, store: PostgresActivityStore
) -> None:
    """The group commits what concerns other accounts."""
    tables.put(an_account(daily_limit=1), an_account(id="account-2", profile_id="profile-2", daily_limit=9))
    keys = put_likes(tables, 3)
    tables.put(a_like(id="other", profile_id="profile-2"))
    lock = "SELECT pg_advisory_xact_lock(hashtextextended('pod-engagement:account:account-1', 0))"
    with ThreadPoolExecutor(1) as threads:
        with somebody_else(tables, lock):
            group = threads.submit(together, store, *map(claim_of, (*keys, "other")))
            _until(lambda: transactions(tables) == [1])
            assert not group.done()
        outcomes = group.result(30)
    assert sorted(kinds(outcomes[:3])) == ["Claimed", "Deferred", "Deferred"]
    assert isinstance(outcomes[3], Claimed)


def test_an_account_in_slow_start_begins_one_whatever_is_ready_together(
    tables: PostgresTables, store: PostgresActivityStore
) -> None:
    """Its pace is kept by its own lock, one change after the other."""
    keys = put_likes(tables, 5)
    tables.sql(
        "INSERT INTO engagement_controls (kind, scope, scope_id, reason, created_at, lifted_at)"
        " VALUES ('hold', 'account', 'account-1', 'r', now() - interval '1 hour', now())"
    )
    assert Counter(kinds(together(store, *map(claim_of, keys)))) == {"Claimed": 1, "Deferred": 4}


@pytest.mark.parametrize("limit", [None, 50])
@pytest.mark.parametrize("kind", ["cool_down", "cap"])
def test_a_block_that_ends_while_a_group_reads_releases_no_burst(
    tables: PostgresTables, limit: int | None, kind: str
) -> None:
    """The group has read that the account is blocked. The block is over when it counts the account's sends: no longer
    blocked, the account returns slowly."""
    tables.put(an_account(daily_limit=limit))
    keys = put_likes(tables, 5)
    if kind == "cap":  # of a slow start
        tables.sql(
            "INSERT INTO engagement_controls (kind, scope, scope_id, reason, created_at, lifted_at)"
            " VALUES ('hold', 'account', 'account-1', 'r', now() - interval '1 hour', now())"
        )

    class SlowCursor(psycopg2.extensions.cursor):
        """Reads what accounts have sent when their blocks are over."""

        def execute(self, query: Any, parameters: Any = None) -> None:
            if isinstance(parameters, dict) and "accounts" in parameters:
                _until(
                    lambda: tables.sql("SELECT bool_and(until < clock_timestamp()) AS is_over" + blocks)[0]["is_over"]
                )
            super().execute(query, parameters)

    blocks = f" FROM engagement_controls WHERE kind = '{kind}'"
    tables.sql(
        "INSERT INTO engagement_controls (kind, scope, scope_id, reason, created_at, until)"
        f" VALUES ('{kind}', 'account', 'account-1', 'r', now() - interval '1 hour', now() + interval '0.4 s')"
    )
    with store_with(tables, SlowCursor) as store:
        assert kinds(together(store, *map(claim_of, keys))).count("Claimed") <= 1


_REFUSALS: dict[str, dict[str, str]] = {
    "raises": {"body": "RAISE 'not this one';"},
    "swallows": {"body": "RETURN NULL;"},
    "refuses at the commit": {
        "body": "RAISE 'not this one';",
        "when": "AFTER UPDATE",
        "kind": "CONSTRAINT TRIGGER",
    },
}


@pytest.mark.parametrize("trigger", _REFUSALS.values(), ids=_REFUSALS.keys())
def test_a_row_that_the_database_refuses_costs_the_others_nothing(
    tables: PostgresTables, store: PostgresActivityStore, trigger: dict[str, str]
) -> None:
    """They are executed. The refusal is told to its own change, and nothing of that is applied."""
    claims = together(store, *map(claim_of, put_likes(tables, 4)))
    add_trigger(tables, **trigger)
    outcomes = together(store, *(verdict_on(claimed, YES) for claimed in claims))
    assert kinds(outcomes) == ["Executed", "StoreRefused", "Executed", "Executed"]
    assert Counter(statuses(tables).values()) == {"executed": 3, "scheduled": 1}
    assert [attempt.phase for attempt in show(tables, "activity-2").attempts] == [Phase.SENDING]


@pytest.mark.parametrize("code", ["lock_not_available", "serialization_failure", "deadlock_detected"])
def test_a_row_whose_trigger_fails_for_now_costs_the_others_nothing(
    tables: PostgresTables, store: PostgresActivityStore, code: str
) -> None:
    """A trigger of theirs waits for somebody in vain. That is an outage for its own row alone."""
    claims = together(store, *map(claim_of, put_likes(tables, 4)))
    add_trigger(tables, f"RAISE 'not now' USING ERRCODE = '{code}';")
    outcomes = together(store, *(verdict_on(claimed, YES) for claimed in claims))
    own = "StoreBusy" if code == "lock_not_available" else "StoreUnavailable"
    assert kinds(outcomes) == ["Executed", own, "Executed", "Executed"]


def test_a_decision_that_raises_costs_the_others_nothing(tables: PostgresTables, store: PostgresActivityStore) -> None:
    """The exception is told to its own caller."""

    def defect(_: Snapshot) -> Decision[None]:
        raise ZeroDivisionError

    put_likes(tables, 4)
    outcomes = together(
        store, claim_of("activity-1"), claim_of("activity-2"), ("activity-3", defect), claim_of("activity-4")
    )
    assert kinds(outcomes) == ["Claimed", "Claimed", "ZeroDivisionError", "Claimed"]
    assert len(tables.sql("SELECT 1 FROM engagement_attempts")) == 3


def test_an_attempt_of_another_token_is_not_overwritten_by_a_group(
    tables: PostgresTables, store: PostgresActivityStore
) -> None:
    """That write is refused; those that share its transaction are not."""
    claims = together(store, *map(claim_of, put_likes(tables, 3)))
    stale = replace(claims[1].attempt, token="another", phase=Phase.UNKNOWN)
    outcomes = together(
        store,
        verdict_on(claims[0], YES),
        ("activity-2", lambda _: Decision(None, (SaveAttempt(stale),))),
        verdict_on(claims[2], YES),
    )
    assert kinds(outcomes) == ["Executed", "StoreRefused", "Executed"]
    assert [attempt.phase for attempt in show(tables, "activity-2").attempts] == [Phase.SENDING]


@pytest.mark.parametrize("is_applied", [True, False], ids=["after the commit", "before the commit"])
def test_a_group_whose_commit_was_not_answered_is_believed_by_nobody(tables: PostgresTables, is_applied: bool) -> None:
    """Each gives its own token back, and then the activity can be claimed: nothing was sent, and nothing is lost."""
    keys = put_likes(tables, 4)
    lost = threading.Event()

    class LossyCursor(psycopg2.extensions.cursor):
        """Loses the connection once, at the first commit."""

        def execute(self, query: Any, parameters: Any = None) -> None:
            is_commit = isinstance(query, bytes) and query.endswith(b"COMMIT") and not lost.is_set()
            if is_applied or not is_commit:
                super().execute(query, parameters)
            if is_commit:
                lost.set()
                raise psycopg2.OperationalError("server closed the connection unexpectedly")

    with store_with(tables, LossyCursor) as store:
        outcomes = together(store, *map(claim_of, keys))
        assert kinds(outcomes) == ["StoreUnavailable"] * 4
        assert transactions(tables) == ([4] if is_applied else [])
        together(store, *((key, partial(give_back, token=f"worker-1/{key}")) for key in keys))
        assert kinds(together(store, *(claim_of(key, "worker-2") for key in keys))) == ["Claimed"] * 4


def test_an_interrupted_thread_takes_nobody_s_claim_with_it(
    tables: PostgresTables,
) -> None:
    """It is interrupted after the commit was sent. Those it worked for do not know whether it was applied."""
    keys = put_likes(tables, 3)
    interrupted = threading.Event()

    class InterruptedCursor(psycopg2.extensions.cursor):
        """Is interrupted once, after the first commit."""

        def execute(self, query: Any, parameters: Any = None) -> None:
            super().execute(query, parameters)
            if isinstance(query, bytes) and query.endswith(b"COMMIT") and not interrupted.is_set():
                interrupted.set()
                raise KeyboardInterrupt

    with store_with(tables, InterruptedCursor) as store:
        outcomes = together(store, *map(claim_of, keys))
        assert sorted(kinds(outcomes)) == ["KeyboardInterrupt", "StoreUnavailable", "StoreUnavailable"]
        together(store, *((key, partial(give_back, token=f"worker-1/{key}")) for key in keys))
        assert kinds(together(store, *(claim_of(key, "worker-2") for key in keys))) == ["Claimed"] * 3


def test_of_several_refusals_of_one_account_in_a_group_one_is_the_first(
    tables: PostgresTables, store: PostgresActivityStore
) -> None:
    """What puts an account on hold is made alone; the others see the hold. A success beside them is not held up."""
    claims = together(store, *map(claim_of, put_likes(tables, 4)))
    answers = (SIGNED_OUT, YES, SIGNED_OUT, SIGNED_OUT)
    outcomes = together(store, *map(verdict_on, claims, answers))
    assert isinstance(outcomes[1], Executed)
    assert Counter(kinds(outcomes)) == {"Executed": 1, "Buried": 1, "Deferred": 2}
    assert len(tables.sql("SELECT 1 FROM engagement_controls WHERE kind = 'hold'")) == 1


def test_a_pause_that_a_group_waits_for_is_seen_by_all_of_it(
    tables: PostgresTables, store: PostgresActivityStore
) -> None:
    """Once it is in force, nothing of its scope begins."""
    keys = put_likes(tables, 4)
    controls = PostgresControls(tables.pool)
    waits = "SELECT 1 FROM pg_locks WHERE NOT granted AND locktype = 'advisory'"
    with ThreadPoolExecutor(1) as threads:

        def pause() -> None:
            pauses.append(threads.submit(controls.pause, BlockScope.POD, "pod-1", "because"))
            _until(lambda: bool(tables.sql(waits)))  # for the change that is at work

        pauses: list[Future[None]] = []
        outcomes = together(store, *map(claim_of, keys), meanwhile=pause)
        pauses[0].result(30)
    assert kinds(outcomes) == ["Deferred"] * 4
    assert transactions(tables) == []


def test_rows_that_share_an_id_are_made_alone(tables: PostgresTables, store: PostgresActivityStore) -> None:
    """Counted together with others, the second row would stand for one that a trigger has swallowed."""
    put_likes(tables, 3)
    add_trigger(tables, "RETURN NULL;")
    tables.sql(
        "ALTER TABLE pod_activities DROP CONSTRAINT pod_activities_pkey;"
        "INSERT INTO pod_activities SELECT * FROM pod_activities WHERE id = 'activity-1'"
    )
    try:
        outcomes = together(store, *((key, partial(_execute, key)) for key in sorted(set(statuses(tables)))))
    finally:
        tables.sql(
            "DELETE FROM pod_activities WHERE id = 'activity-1'; ALTER TABLE pod_activities ADD PRIMARY KEY (id)"
        )
    assert kinds(outcomes) == ["NoneType", "StoreRefused", "NoneType"]


def _execute(activity_id: str, snapshot: Snapshot) -> Decision[None]:
    executed = MarkExecuted(
        activity_id=activity_id,
        executed_at=snapshot.now,
        post_id="post-1",
        engagement_id=None,
        created_at=None,
        provenance=Provenance.RESPONSE,
        comment_generated=None,
    )
    return Decision(None, (executed,))


ODD_IDS = (
    *(
        "{",
        "}",
        "{}",
        "{a,b}",
        ",",
        '"',
        '""',
        "'",
        "''",
        "\\",
        "\\\\",
        '\\"',
        "NULL",
        "null",
        "{NULL}",
        " ",
        "  ",
        "\n",
    ),
    *("a b", "%s", "%(id)s", "%", "$1", ":x", "👩‍👩‍👧", "É", "E'\\n'", "A", "a", "x" * 500),
)


def test_ids_of_any_form_are_claimed_together(tables: PostgresTables, store: PostgresActivityStore) -> None:
    """Whatever an array's text or a driver's parameters make of such characters."""
    tables.put(*(a_like(id=key) for key in ODD_IDS))
    outcomes = together(store, *(claim_of(key, key=f"n{number}") for number, key in enumerate(ODD_IDS)))
    assert [each.activity.id for each in outcomes if isinstance(each, Claimed)] == list(ODD_IDS)
    assert transactions(tables) == [len(ODD_IDS)]
    verdicts = together(store, *(verdict_on(each, YES) for each in outcomes))
    assert kinds(verdicts) == ["Executed"] * len(ODD_IDS)
    assert set(statuses(tables).values()) == {"executed"}


def _until(is_true: Callable[[], bool]) -> None:
    """Within a time in which no lock is given up, so that a group that waits for one is found."""
    give_up_at = time.monotonic() + 4
    while time.monotonic() < give_up_at:
        if is_true():
            return
        threading.Event().wait(0.005)
    raise AssertionError("it did not come to that")
