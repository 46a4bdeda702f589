"""What every file of dead letters shows, and that requeue and resolve cannot both win."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import datetime, timedelta, timezone
from functools import partial
from typing import Any

import pytest

from adapters.postgres.connection.pool import PostgresPool
from adapters.postgres.readers.dead_letters import PostgresDeadLetters
from adapters.postgres.store.activities import PostgresActivityStore
from engagement_core.decisions.bury import bury
from engagement_core.decisions.dead_letters import Refused, Requeued, Resolved, decide_requeue, decide_resolve
from engagement_core.model.activity import Account, Activity, EngagementType, Pod
from engagement_core.model.attempt import Attempt
from engagement_core.model.decision import Decision, SaveAttempt
from engagement_core.model.errors import Cause, Effect, ErrorType, Failure
from engagement_core.model.letter_file import LetterFilter
from engagement_core.model.lifecycle import Event, Phase
from engagement_core.model.snapshot import Snapshot
from engagement_core.ports.activities import ActivityStore
from engagement_core.ports.dead_letters import DeadLetters
from fakes.activities import InMemoryActivityStore
from fakes.dead_letters import InMemoryDeadLetters
from support.commands import add_rows, execute

ANY = LetterFilter()
NO_LAG = timedelta(0)


@dataclass(frozen=True, kw_only=True)
class House:
    """A store of scheduled activities a-1 ... a-5 of pod-1 and acc-1, and its file of dead letters."""

    store: ActivityStore
    letters: DeadLetters
    status: Callable[[str], str]

    def bury(self, activity_id: str, cause: Cause) -> None:
        """Make it a dead letter whose one attempt had the effect that the cause says."""
        self.store.change(activity_id, partial(_buried, activity_id=activity_id, cause=cause))

    def open_ids(self, wanted: LetterFilter = ANY) -> list[str]:
        """The ids of the open letters."""
        return [filed.letter.activity_id for filed in self.letters.page(wanted, limit=100)]


def _buried(snapshot: Snapshot, *, activity_id: str, cause: Cause) -> Decision[None]:
    failure = Failure(cause=cause, message="It is over.")
    long_ago = snapshot.now - timedelta(hours=1)
    attempt = Attempt(
        activity_id=activity_id,
        number=len(snapshot.attempts) + 1,
        token=f"{activity_id}/{len(snapshot.attempts)}",
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
    )
    return Decision(None, (SaveAttempt(attempt), *bury(snapshot, activity_id, failure, counts=True).writes))


@pytest.fixture
def postgres_house(database_url: str) -> Iterator[House]:
    """The real ones."""
    add_rows(database_url, *(f"a-{number}" for number in range(1, 6)))
    pool = PostgresPool(database_url, size=2)
    yield House(
        store=PostgresActivityStore(pool),
        letters=PostgresDeadLetters(pool),
        status=lambda key: str(execute(database_url, "SELECT status FROM pod_activities WHERE id = %s", key)[0][0]),
    )
    pool.close()


@pytest.fixture
def in_memory_house() -> House:
    """The fakes."""
    now = datetime.now(timezone.utc)
    store = InMemoryActivityStore(now=lambda: now)
    store.pods["pod-1"] = Pod(id="pod-1", voice_cartridge_id=None, linkedin_account_id="acc-1")
    store.accounts["acc-1"] = Account(
        id="acc-1", profile_id=None, provider_account_id=None, access_token=None, status=None, daily_limit=None
    )
    for number in range(1, 6):
        store.activities[f"a-{number}"] = Activity(
            id=f"a-{number}",
            pod_id="pod-1",
            engagement_type=EngagementType.LIKE,
            post_id="p",
            profile_id=None,
            comment_text=None,
            scheduled_for=now,
            status="scheduled",
        )
    return House(store=store, letters=InMemoryDeadLetters(store), status=lambda key: store.activities[key].status)


@pytest.fixture(params=[pytest.param("postgres", marks=pytest.mark.servers), "in_memory"])
def house(request: pytest.FixtureRequest) -> House:
    """Each in turn."""
    found: House = request.getfixturevalue(f"{request.param}_house")
    return found


def test_letters_are_filed_in_order_and_read_page_by_page(house: House) -> None:
    """A page begins after the number where the last one ended."""
    for activity_id in ("a-3", "a-1", "a-2"):
        house.bury(activity_id, Cause.POST_GONE)
    first = house.letters.page(ANY, limit=2)
    assert [filed.letter.activity_id for filed in first] == ["a-3", "a-1"]
    rest = house.letters.page(ANY, limit=2, after=first[-1].number)
    assert [filed.letter.activity_id for filed in rest] == ["a-2"]
    assert house.letters.page(ANY, limit=2, after=rest[-1].number) == ()


def test_requeueing_while_paging_skips_nobody(house: House) -> None:
    """Those that leave the file make no gap."""
    for number in range(1, 6):
        house.bury(f"a-{number}", Cause.POST_GONE)
    after, seen = 0, []
    while page := house.letters.page(ANY, limit=2, after=after):
        for filed in page:
            seen.append(filed.letter.activity_id)
            house.store.change(filed.letter.activity_id, decide_requeue)
        after = page[-1].number
    assert seen == ["a-1", "a-2", "a-3", "a-4", "a-5"]
    assert house.open_ids() == []


def test_a_letter_says_everything(house: House) -> None:
    """Whose it was, what happened and what to do."""
    house.bury("a-1", Cause.OUTCOME_UNKNOWN)
    filed = house.letters.find("a-1")
    assert filed is not None
    assert (filed.pod_id, filed.account_id) == ("pod-1", "acc-1")
    letter = filed.letter
    assert (letter.error_type, letter.effect, letter.message) == (
        ErrorType.OUTCOME_UNKNOWN,
        Effect.UNKNOWN,
        "It is over.",
    )
    assert "resolve" in letter.next_step
    assert house.letters.find("a-2") is None
    assert house.letters.find("not\x00an id") is None


def test_letters_are_counted_by_cause(house: House) -> None:
    """The most frequent first."""
    house.bury("a-1", Cause.OUTCOME_UNKNOWN)
    house.bury("a-2", Cause.POST_GONE)
    house.bury("a-3", Cause.POST_GONE)
    assert list(house.letters.count(ANY).items()) == [(ErrorType.POST_NOT_FOUND, 2), (ErrorType.OUTCOME_UNKNOWN, 1)]
    assert house.letters.count(LetterFilter(error_type=ErrorType.OUTCOME_UNKNOWN)) == {ErrorType.OUTCOME_UNKNOWN: 1}


@pytest.mark.parametrize(
    ("wanted", "found"),
    [
        (LetterFilter(error_type=ErrorType.POST_NOT_FOUND), ["a-1"]),
        (LetterFilter(error_type=ErrorType.TOO_LATE), []),
        (LetterFilter(pod_id="pod-1"), ["a-1", "a-2"]),
        (LetterFilter(pod_id="pod-2"), []),
        (LetterFilter(account_id="acc-1", error_type=ErrorType.OUTCOME_UNKNOWN), ["a-2"]),
        (LetterFilter(account_id="acc-2"), []),
        (LetterFilter(since=datetime(2020, 1, 1, tzinfo=timezone.utc)), ["a-1", "a-2"]),
        (LetterFilter(since=datetime(2200, 1, 1, tzinfo=timezone.utc)), []),
    ],
)
def test_a_filter_finds_those_that_agree_in_everything(house: House, wanted: LetterFilter, found: list[str]) -> None:
    """What it does not say does not matter."""
    house.bury("a-1", Cause.POST_GONE)
    house.bury("a-2", Cause.OUTCOME_UNKNOWN)
    assert house.open_ids(wanted) == found


def test_a_requeued_letter_is_closed_and_can_be_filed_again(house: House) -> None:
    """With a new number: it is the youngest."""
    house.bury("a-1", Cause.POST_GONE)
    house.bury("a-2", Cause.POST_GONE)
    assert isinstance(house.store.change("a-1", decide_requeue), Requeued)
    assert (house.open_ids(), house.status("a-1")) == (["a-2"], "scheduled")
    house.bury("a-1", Cause.POST_GONE)
    assert house.open_ids() == ["a-2", "a-1"]


def test_resolve_as_not_executed_opens_the_way_to_requeue(house: House) -> None:
    """Unknown is refused, then it is known, then it is requeued."""
    house.bury("a-1", Cause.OUTCOME_UNKNOWN)
    assert isinstance(house.store.change("a-1", decide_requeue), Refused)
    resolve = partial(decide_resolve, executed=False, visibility_lag=NO_LAG)
    assert house.store.change("a-1", resolve) == Resolved(executed=False)
    filed = house.letters.find("a-1")
    assert filed is not None
    assert filed.letter.effect is Effect.NONE
    assert isinstance(house.store.change("a-1", decide_requeue), Requeued)


_DECISIONS: dict[str, Callable[[Snapshot], Decision[Any]]] = {
    "requeue": decide_requeue,
    "executed": partial(decide_resolve, executed=True, visibility_lag=NO_LAG),
    "not-executed": partial(decide_resolve, executed=False, visibility_lag=NO_LAG),
}


def at_once(house: House, activity_id: str, *names: str) -> dict[str, bool]:
    """Two people decide at the same instant, each on a connection of their own; whose decision was taken."""
    together = threading.Barrier(len(names))

    def decide(name: str) -> bool:
        together.wait(10)
        return not isinstance(house.store.change(activity_id, _DECISIONS[name]), Refused)

    with ThreadPoolExecutor(len(names)) as people:
        return dict(zip(names, people.map(decide, names), strict=True))


ALL = tuple(f"a-{number}" for number in range(1, 6))


def test_requeue_never_wins_against_resolve_as_executed(house: House) -> None:
    """Whoever is first, what happened is not sent again."""
    for activity_id in ALL:
        house.bury(activity_id, Cause.OUTCOME_UNKNOWN)
        assert at_once(house, activity_id, "requeue", "executed") == {"requeue": False, "executed": True}
        assert house.status(activity_id) == "executed"
    assert house.open_ids() == []


def test_requeue_against_resolve_as_not_executed_leaves_one_of_two_orders(house: House) -> None:
    """Resolved and then requeued, or refused and then resolved: never requeued while it was unknown."""
    for activity_id in ALL:
        house.bury(activity_id, Cause.OUTCOME_UNKNOWN)
        taken = at_once(house, activity_id, "requeue", "not-executed")
        assert taken["not-executed"]
        assert house.status(activity_id) == ("scheduled" if taken["requeue"] else "failed")
        assert (house.letters.find(activity_id) is None) == taken["requeue"]


def test_two_people_cannot_resolve_it_differently(house: House) -> None:
    """The second one is told that it is known already."""
    for activity_id in ALL:
        house.bury(activity_id, Cause.OUTCOME_UNKNOWN)
        taken = at_once(house, activity_id, "executed", "not-executed")
        assert sorted(taken.values()) == [False, True]
        assert house.status(activity_id) == ("executed" if taken["executed"] else "failed")


def test_two_people_requeue_it_once(house: House) -> None:
    """The second one finds it scheduled."""
    house.bury("a-1", Cause.POST_GONE)
    together = threading.Barrier(2)

    def requeue(_: int) -> object:
        together.wait(10)
        return house.store.change("a-1", decide_requeue)

    with ThreadPoolExecutor(2) as people:
        results = list(people.map(requeue, range(2)))
    assert sorted(type(result).__name__ for result in results) == ["Refused", "Requeued"]
