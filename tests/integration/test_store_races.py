"""Two at once, on real connections: whoever comes second sees what the first has left."""

from __future__ import annotations

import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import timedelta
from functools import partial
from itertools import count
from typing import Any

import pytest

from adapters.postgres.connection.pool import PostgresPool
from adapters.postgres.inspection.catalog import read_catalog
from adapters.postgres.store.activities import PostgresActivityStore
from adapters.postgres.store.statements import render
from engagement_core.decisions.begin import decide_begin
from engagement_core.decisions.claim import Claimed, ClaimPolicy, ClaimResult, Holder, decide_claim
from engagement_core.decisions.judge_read_back import ReconcilePolicy, decide_reconcile
from engagement_core.decisions.orphans import decide_orphan
from engagement_core.decisions.retry import RetryPolicy
from engagement_core.decisions.verdict import decide_verdict
from engagement_core.model.activity import Activity
from engagement_core.model.decision import Decision
from engagement_core.model.errors import Cause, Failure
from engagement_core.model.lifecycle import Event, Phase
from engagement_core.model.orphan import Orphan
from engagement_core.model.outcome import Dropped, Executed, Outcome
from engagement_core.model.provider import Answer, Applied, Found, Seen
from engagement_core.model.snapshot import Snapshot
from support.builders import CARTRIDGE, POD, a_comment, a_like, an_account
from support.tables import PostgresTables, show

YES = Applied(engagement_id="c-1", created_at=None)
LIMITED = Failure(cause=Cause.RATE_LIMITED, message="Too many requests.")


@pytest.fixture(scope="module")
def database(database: PostgresTables) -> PostgresTables:
    """One database for all tests on this page, where the store locks and reads in a function of the server."""
    with database.pool.connection() as connection:
        assert render(read_catalog(connection)).show.function.is_usable(connection)
    return database


@pytest.fixture
def tables(database: PostgresTables) -> PostgresTables:
    """Empty tables but for the surroundings of an activity."""
    database.empty()
    database.put(CARTRIDGE, POD, an_account())
    return database


def claim(tables: PostgresTables, worker: str, activity_id: str = "activity-1") -> ClaimResult:
    """One worker's claim."""
    holder = Holder(worker_id=worker, token=f"{worker}/{activity_id}")
    decide = partial(decide_claim, holder=holder, policy=ClaimPolicy())
    return tables.store.change(activity_id, decide)


def deciding(claimed: Claimed, answer: Answer) -> Callable[[Snapshot], Decision[Outcome]]:
    """The verdict on what was claimed."""
    return partial(decide_verdict, attempt=claimed.attempt, answer=answer, policy=RetryPolicy())


def at_once(*actions: Callable[[], Any]) -> list[Any]:
    """What each action returned, all of them having begun at the same instant."""
    barrier = threading.Barrier(len(actions))

    def run(action: Callable[[], Any]) -> Any:
        barrier.wait(10)
        return action()

    with ThreadPoolExecutor(len(actions)) as threads:
        return [future.result(30) for future in [threads.submit(run, action) for action in actions]]


def first_then(
    tables: PostgresTables, decide: Callable[[Snapshot], Decision[Any]], then: Callable[[], Any]
) -> tuple[Any, Any]:
    """Two actions of which the first has the lock while the second comes: both results."""
    shown, may_decide = threading.Event(), threading.Event()

    def held(snapshot: Snapshot) -> Decision[Any]:
        shown.set()
        assert may_decide.wait(10)
        return decide(snapshot)

    with ThreadPoolExecutor(2) as threads:
        first = threads.submit(tables.store.change, "activity-1", held)
        assert shown.wait(10)
        second = threads.submit(then)
        _until_somebody_waits(tables)
        may_decide.set()
        return first.result(30), second.result(30)


def _until_somebody_waits(tables: PostgresTables) -> None:
    """Block until the server says that a session waits for a lock."""
    waiting = (
        "SELECT count(*) AS n FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'"
    )
    for _ in range(2000):
        if tables.sql(waiting)[0]["n"]:
            return
        threading.Event().wait(0.005)
    raise AssertionError("nobody waited for the lock")


def test_of_two_claims_exactly_one_succeeds(tables: PostgresTables) -> None:
    """Fifty times."""
    for number in range(50):
        key = f"activity-{number}"
        tables.put(a_like(id=key) if number % 2 else a_comment(id=key))
        results = at_once(partial(claim, tables, "worker-1", key), partial(claim, tables, "worker-2", key))
        assert sorted(type(result).__name__ for result in results) == ["Claimed", "Dropped"]
        assert len(show(tables, key).attempts) == 1


@pytest.mark.parametrize(("answer", "second"), [(YES, Dropped), (LIMITED, Claimed)], ids=["executed", "refused"])
def test_claim_waits_for_the_verdict_before_it(tables: PostgresTables, answer: Answer, second: type) -> None:
    """It sees what the verdict has left, and never the moment before."""
    tables.put(a_like())
    mine = claim(tables, "worker-1")
    assert isinstance(mine, Claimed)
    without_pause = RetryPolicy(backoff=())
    decide = partial(decide_verdict, attempt=mine.attempt, answer=answer, policy=without_pause)
    _, result = first_then(tables, decide, partial(claim, tables, "worker-2"))
    assert isinstance(result, second)


def test_verdict_after_adoption_still_counts(tables: PostgresTables) -> None:
    """The rescuer was faster: the attempt is unknown, and its own answer settles it."""
    tables.put(a_like())
    mine = claim(tables, "worker-1")
    assert isinstance(mine, Claimed)
    adopt = partial(decide_orphan, orphan=Orphan(activity_id="activity-1", number=1, reason="silent"))
    adopted, verdict = first_then(tables, adopt, lambda: tables.store.change("activity-1", deciding(mine, YES)))
    assert adopted is Phase.UNKNOWN
    assert isinstance(verdict, Executed)
    assert tables.activity()["status"] == "executed"


def test_adoption_after_the_verdict_changes_nothing(tables: PostgresTables) -> None:
    """The finisher was faster: there is no orphan any more."""
    tables.put(a_like())
    mine = claim(tables, "worker-1")
    assert isinstance(mine, Claimed)
    orphan = Orphan(activity_id="activity-1", number=1, reason="silent")
    verdict, adopted = first_then(
        tables,
        deciding(mine, YES),
        lambda: tables.store.change("activity-1", partial(decide_orphan, orphan=orphan)),
    )
    assert isinstance(verdict, Executed)
    assert adopted is None
    assert [attempt.event for attempt in show(tables).attempts] == [Event.CONFIRM]


def test_begin_of_a_claim_that_was_taken_away_is_fenced_off(tables: PostgresTables) -> None:
    """Rescued, claimed anew by another worker, and only then does the first one wake up."""
    tables.put(a_comment())
    stale = claim(tables, "worker-1")
    assert isinstance(stale, Claimed)
    orphan = Orphan(activity_id="activity-1", number=1, reason="silent")
    tables.store.change("activity-1", partial(decide_orphan, orphan=orphan))
    fresh = claim(tables, "worker-2")
    assert isinstance(fresh, Claimed)
    begins = [
        partial(tables.store.change, "activity-1", partial(decide_begin, claimed=each, text="Hello!"))
        for each in (stale, fresh)
    ]
    results = at_once(*begins)
    assert [type(result) for result in results] == [Dropped, Claimed]


@pytest.mark.parametrize("kind", ["like", "comment"])
def test_cap_is_never_exceeded(tables: PostgresTables, kind: str) -> None:
    """Eight threads, forty due, five allowed: exactly five begin."""
    tables.put(an_account(daily_limit=5))
    for number in range(40):
        key = f"activity-{number}"
        tables.put(a_like(id=key) if kind == "like" else a_comment(id=key))
    pool = PostgresPool(tables.url, size=8)
    store = PostgresActivityStore(pool)

    def work(worker: int) -> int:
        begun = 0
        for number in range(worker, 40, 8):
            key = f"activity-{number}"
            holder = Holder(worker_id=f"worker-{worker}", token=f"{worker}/{number}")
            result = store.change(key, partial(decide_claim, holder=holder, policy=ClaimPolicy()))
            if isinstance(result, Claimed) and kind == "comment":
                result = store.change(key, partial(decide_begin, claimed=result, text="Hello!"))
            begun += isinstance(result, Claimed)
        return begun

    assert sum(at_once(*(partial(work, worker) for worker in range(8)))) == 5
    pool.close()
    assert tables.sql("SELECT count(*) AS n FROM engagement_attempts WHERE phase = 'sending'")[0]["n"] == 5


def test_two_read_backs_never_credit_one_comment_twice(tables: PostgresTables) -> None:
    """Two activities with the same text on the same post, looked for at once."""

    claims = []
    for number in (1, 2):
        tables.put(a_comment(id=f"activity-{number}"))
        mine = claim(tables, "worker-1", f"activity-{number}")
        assert isinstance(mine, Claimed)
        begun = tables.store.change(mine.activity.id, partial(decide_begin, claimed=mine, text="Hello!"))
        assert isinstance(begun, Claimed)
        lost = Failure(cause=Cause.NO_ANSWER, message="No answer came.")
        tables.store.change(mine.activity.id, deciding(begun, lost))
        claims.append(begun)
    tables.sql("UPDATE engagement_attempts SET deadline_at = clock_timestamp()")
    read_at = tables.now()
    seen = Seen(own=(Found(engagement_id="c-1", text="Hello!", created_at=None),))

    def look(each: Claimed) -> Any:
        decide = partial(
            decide_reconcile,
            token=each.attempt.token,
            seen=seen,
            read_at=read_at,
            policy=ReconcilePolicy(visibility_lag=timedelta(0)),
        )
        return tables.store.change(each.activity.id, decide, crediting=seen.ids)

    results = at_once(*(partial(look, each) for each in claims))
    assert sorted(result.kind.value for result in results) == ["executed", "waits"]


def test_row_of_another_service_may_refer_to_a_locked_activity(tables: PostgresTables) -> None:
    """A foreign key of theirs does not wait for our decision."""
    tables.put(a_like())
    tables.sql("CREATE TABLE theirs (activity_id text REFERENCES pod_activities (id))")
    shown, may_decide = threading.Event(), threading.Event()

    def held(_: Snapshot) -> Decision[None]:
        shown.set()
        assert may_decide.wait(10)
        return Decision(None)

    holder = threading.Thread(target=tables.store.change, args=("activity-1", held))
    holder.start()
    try:
        assert shown.wait(10)
        tables.sql("SET lock_timeout = '2s'; INSERT INTO theirs VALUES ('activity-1')")
    finally:
        may_decide.set()
        holder.join(10)
        tables.sql("RESET lock_timeout; DROP TABLE theirs")


def test_retry_that_another_service_moved_is_claimed_when_it_is_due(tables: PostgresTables) -> None:
    """What the claim believes is what is in the row, not what the sweep has read."""
    tables.put(a_like())
    assert [due.activity_id for due in tables.store.due(look_ahead=timedelta(0), limit=1)] == ["activity-1"]
    moved: Activity = replace(a_like(), scheduled_for=tables.now() + timedelta(hours=1))
    tables.put(moved)
    assert not isinstance(claim(tables, "worker-1"), Claimed)


def test_of_two_refusals_of_one_account_at_a_time_one_is_the_first(tables: PostgresTables) -> None:
    """Different activities, different rows: both have decided before either has written, and one decides again."""
    names = ("activity-1", "activity-2")
    tables.put(*(a_like(id=name, post_id=name) for name in names))
    refused = Failure(cause=Cause.ACCOUNT_SIGNED_OUT, message="The login has expired.")
    both_have_decided = threading.Barrier(2)

    def conclude(claimed: ClaimResult) -> Outcome:
        assert isinstance(claimed, Claimed)
        looks = count(1)

        def decide(snapshot: Snapshot) -> Decision[Outcome]:
            if next(looks) == 1:
                both_have_decided.wait(5)
            return deciding(claimed, refused)(snapshot)

        return tables.store.change(claimed.activity.id, decide)

    claims = [claim(tables, "worker-1", name) for name in names]
    outcomes = at_once(*(partial(conclude, claimed) for claimed in claims))
    assert sorted(type(outcome).__name__ for outcome in outcomes) == ["Buried", "Deferred"]
