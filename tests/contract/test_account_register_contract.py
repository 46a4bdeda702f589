"""One suite for the account register, and for the pace at which the store lets an account come back."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any

import pytest

from adapters.postgres.store.accounts import PostgresAccountRegister
from adapters.postgres.store.controls import PostgresControls
from engagement_core.model.account_state import Hold
from engagement_core.model.activity import Account
from engagement_core.model.attempt import Attempt
from engagement_core.model.controls import BlockScope, Control, ControlKind, SlowStart
from engagement_core.model.decision import Block, SaveAttempt
from engagement_core.model.lifecycle import Event, Phase
from engagement_core.ports.accounts import AccountRegister
from fakes.accounts import InMemoryAccountRegister
from support.builders import CARTRIDGE, POD, a_like, an_account, earlier
from support.tables import InMemoryTables, PostgresTables, Tables, show, write

SECOND = timedelta(seconds=1)
MINUTE = timedelta(minutes=1)
HOUR = timedelta(hours=1)


@dataclass
class Accounts:
    """A register, the tables that it looks at, and a person who lifts holds.

    `backdate` lets every control have begun so much earlier.
    """

    tables: Tables
    register: AccountRegister
    lift: Callable[[str], None]
    backdate: Callable[[timedelta], None]

    def block(
        self, kind: ControlKind = ControlKind.HOLD, until: datetime | None = None, account_id: str = "account-1"
    ) -> None:
        """Put a control of an account in force."""
        control = Control(kind=kind, scope=BlockScope.ACCOUNT, scope_id=account_id, until=until, reason="because")
        write(self.tables, Block(control))

    def blocked_until(self, until: datetime, kind: ControlKind = ControlKind.COOL_DOWN, **of: str) -> None:
        """A control that lasted an hour and is over."""
        self.block(kind, until, **of)
        self.backdate(HOUR)

    def the_hold(self) -> Hold:
        """The one that is waiting."""
        (hold,) = self.register.held(limit=10)
        return hold

    def plan(self, hold: Hold, ahead: timedelta, probes: int) -> bool:
        """Ask next so long after now, which may be before it."""
        return self.register.plan(hold, probe_at=self.tables.now() + ahead, probes=probes)

    def is_held(self) -> bool:
        """Whether the store says so."""
        return any(control.kind is ControlKind.HOLD for control in show(self.tables).controls)

    def failing(self) -> list[tuple[str, tuple[datetime, ...]]]:
        """Accounts that failed three times or more."""
        found = self.register.failing(within=HOUR, at_least=3, limit=10)
        return [(each.account_id, each.began_at) for each in found]


@pytest.fixture
def postgres(database: PostgresTables) -> Accounts:
    """PostgreSQL, empty."""
    database.empty()
    controls = PostgresControls(database.pool)

    def lift(account_id: str) -> None:
        controls.resume(BlockScope.ACCOUNT, account_id)

    def backdate(earlier: timedelta) -> None:
        with database.pool.connection() as connection, connection.cursor() as cursor:
            cursor.execute("UPDATE engagement_controls SET created_at = created_at - %s", (earlier,))

    return Accounts(tables=database, register=PostgresAccountRegister(database.pool), lift=lift, backdate=backdate)


@pytest.fixture(params=["in_memory", pytest.param("postgres", marks=pytest.mark.servers)])
def accounts(request: pytest.FixtureRequest) -> Accounts:
    """The register of each implementation, an activity and its account in its tables."""
    if request.param == "postgres":
        found: Accounts = request.getfixturevalue("postgres")
    else:
        tables = InMemoryTables()
        register = InMemoryAccountRegister(tables.fake)
        blocked_at = tables.fake.blocked_at

        def backdate(earlier: timedelta) -> None:
            blocked_at.update({key: at - earlier for key, at in blocked_at.items()})

        found = Accounts(tables=tables, register=register, lift=register.lift, backdate=backdate)
    found.tables.put(CARTRIDGE, POD, an_account(), a_like())
    return found


def test_account_that_has_just_been_held_waits_for_a_plan(accounts: Accounts) -> None:
    """With everything that is needed to ask for it."""
    before = accounts.tables.now()
    accounts.block()
    hold = accounts.the_hold()
    assert (hold.account, hold.probe_at, hold.probes) == (an_account(), None, 0)
    assert before <= hold.held_at <= hold.seen_at <= accounts.tables.now()


def test_hold_whose_time_has_not_come_is_left_out(accounts: Accounts) -> None:
    """And is there with its count when it has."""
    accounts.block()
    assert accounts.plan(accounts.the_hold(), MINUTE, 0)
    assert accounts.register.held(limit=10) == ()
    accounts.lift("account-1")
    accounts.block()
    assert accounts.plan(accounts.the_hold(), -SECOND, 4)
    assert accounts.the_hold().probes == 4


def test_unplanned_holds_come_first_and_then_the_longest_waiting(accounts: Accounts) -> None:
    """At most so many as are asked for."""
    for number in range(1, 4):
        accounts.tables.put(an_account(id=f"account-{number}"))
        accounts.block(account_id=f"account-{number}")
    for hold in accounts.register.held(limit=10):
        if hold.account.id != "account-3":
            accounts.plan(hold, -SECOND * int(hold.account.id[-1]), 1)
    order = [hold.account.id for hold in accounts.register.held(limit=10)]
    assert order == ["account-3", "account-2", "account-1"]
    assert [hold.account.id for hold in accounts.register.held(limit=2)] == order[:2]


@pytest.mark.parametrize("kind", [ControlKind.PAUSE, ControlKind.COOL_DOWN, ControlKind.CAP])
def test_nothing_but_a_hold_is_asked_for(accounts: Accounts, kind: ControlKind) -> None:
    """What a person paused, and what ends by itself, is nothing that a provider could tell."""
    accounts.block(kind, until=accounts.tables.now() + HOUR)
    assert accounts.register.held(limit=10) == ()


def test_account_that_is_not_on_record_any_more_cannot_be_asked_for(accounts: Accounts) -> None:
    """Its hold stays, and hurts nobody."""
    accounts.block(account_id="account-9")
    assert accounts.register.held(limit=10) == ()


def test_of_two_plans_for_one_hold_one_is_taken(accounts: Accounts) -> None:
    """Whoever comes second is told so."""
    accounts.block()
    seen = accounts.the_hold()
    assert accounts.plan(seen, -SECOND, 1)
    assert not accounts.plan(seen, MINUTE, 1)
    assert accounts.the_hold().probes == 1


def test_probe_that_said_yes_lifts_the_hold(accounts: Accounts) -> None:
    """Once."""
    accounts.block()
    seen = accounts.the_hold()
    accounts.plan(seen, MINUTE, 1)
    assert accounts.register.release(seen)
    assert not accounts.is_held()
    assert not accounts.register.release(seen)


def test_refusal_since_the_question_keeps_the_hold(accounts: Accounts) -> None:
    """Nothing that was read before it counts any more."""
    accounts.block()
    seen = accounts.the_hold()
    if isinstance(accounts.tables, InMemoryTables):
        accounts.tables.clock.advance(SECOND)
    accounts.block()
    assert not accounts.register.release(seen)
    assert not accounts.plan(seen, MINUTE, 1)
    assert accounts.is_held()


def test_hold_that_a_person_has_lifted_is_not_planned(accounts: Accounts) -> None:
    """Nor lifted again."""
    accounts.block()
    seen = accounts.the_hold()
    accounts.lift("account-1")
    assert not accounts.plan(seen, MINUTE, 1)
    assert not accounts.register.release(seen)


def test_next_hold_goes_on_with_the_count_of_one_that_a_probe_has_lifted(accounts: Accounts) -> None:
    """Until a person has lifted one."""
    accounts.block()
    accounts.plan(accounts.the_hold(), -SECOND, 3)
    accounts.register.release(accounts.the_hold())
    accounts.block()
    assert (accounts.the_hold().probe_at, accounts.the_hold().probes) == (None, 3)
    accounts.plan(accounts.the_hold(), -SECOND, 4)
    accounts.lift("account-1")
    accounts.block()
    assert accounts.the_hold().probes == 0


def a_send(accounts: Accounts, number: int, phase: Phase = Phase.UNKNOWN, **changes: Any) -> Attempt:
    """The account's send number so and so, a second after the one before; a server error unless the test says else."""
    told = {"number": 1, "activity_id": f"activity-{number}", "error": {"cause": "server_error"}, **changes}
    began_at = accounts.tables.now() - MINUTE + number * SECOND
    attempt = replace(earlier(1, phase), began_at=began_at, **told)
    write(accounts.tables, SaveAttempt(attempt))
    return attempt


def test_account_whose_latest_sends_all_failed_is_failing(accounts: Accounts) -> None:
    """Two are not enough; what went well before them, and what is under way, does not matter."""
    a_send(accounts, 0, Phase.EXECUTED, error=None)
    begun = [a_send(accounts, number).began_at for number in (1, 2)]
    assert accounts.failing() == []
    begun.append(a_send(accounts, 3, Phase.SCHEDULED, event=Event.FIND_ABSENT).began_at)
    a_send(accounts, 4, Phase.SENDING, error=None)
    a_send(accounts, 5, Phase.SCHEDULED, event=Event.RELEASE, error=None)
    assert accounts.failing() == [("account-1", tuple(begun))]


@pytest.mark.parametrize(
    ("phase", "error"),
    [(Phase.EXECUTED, {"cause": "server_error"}), (Phase.UNKNOWN, {"cause": "no_answer"}), (Phase.UNKNOWN, None)],
    ids=["found", "no answer", "worker lost"],
)
def test_latest_send_that_went_otherwise_ends_the_row(
    accounts: Accounts, phase: Phase, error: dict[str, str] | None
) -> None:
    """Three errors before it are the past."""
    for number in range(3):
        a_send(accounts, number)
    a_send(accounts, 3, phase, error=error)
    assert accounts.failing() == []


def test_settled_or_old_errors_are_no_reason_for_a_cool_down(accounts: Accounts) -> None:
    """One of them must still be unknown, and all of them recent."""
    for number in range(3):
        a_send(accounts, number, Phase.SCHEDULED, event=Event.FIND_ABSENT)
    assert accounts.failing() == []
    a_send(accounts, 3)
    assert accounts.register.failing(within=SECOND, at_least=3, limit=10) == ()
    assert len(accounts.failing()) == 1


def test_account_that_cools_down_is_not_failing(accounts: Accounts) -> None:
    """It cannot fail meanwhile."""
    for number in range(3):
        a_send(accounts, number)
    until = accounts.tables.now() + HOUR
    accounts.register.cool_down("account-1", until=until, reason="3 errors in a row")
    (control,) = show(accounts.tables).controls
    assert (control.kind, control.until, control.reason) == (ControlKind.COOL_DOWN, until, "3 errors in a row")
    assert accounts.failing() == []


# -- the pace


def began(accounts: Accounts) -> datetime | None:
    """The account has just sent something."""
    return a_send(accounts, 1, Phase.EXECUTED, error=None).began_at


def test_ordinary_account_has_no_pace(accounts: Accounts) -> None:
    """Nor has one that is blocked: it does not come back yet."""
    began(accounts)
    assert show(accounts.tables).slow_start is None
    accounts.block(ControlKind.COOL_DOWN, until=accounts.tables.now() + HOUR)
    assert show(accounts.tables).slow_start is None


def test_cool_down_that_has_just_ended_gives_a_pace(accounts: Accounts) -> None:
    """Its end, and the account's latest send, by whichever of its activities."""
    until = accounts.tables.now() - SECOND
    accounts.blocked_until(until)
    assert show(accounts.tables).slow_start == SlowStart(released_at=until, last_began_at=None, spacing=SECOND)
    began_at = began(accounts)
    assert show(accounts.tables).slow_start == SlowStart(released_at=until, last_began_at=began_at, spacing=SECOND)


def test_pace_tells_of_claims_that_have_not_begun(accounts: Accounts) -> None:
    """By whichever of the account's activities; none of those that have ended."""
    accounts.blocked_until(accounts.tables.now() - SECOND)
    claim = replace(earlier(1, Phase.CLAIMED), activity_id="activity-2")
    for write_it in (claim, replace(earlier(1, Phase.SCHEDULED), activity_id="activity-3")):
        write(accounts.tables, SaveAttempt(write_it))
    slow_start = show(accounts.tables).slow_start
    assert slow_start is not None
    assert (slow_start.last_began_at, slow_start.last_claimed_at) == (None, claim.claimed_at)


def test_pace_goes_together_with_a_daily_limit(accounts: Accounts) -> None:
    """Both are read at once."""
    accounts.tables.put(an_account(daily_limit=5))
    began(accounts)
    accounts.blocked_until(accounts.tables.now() - SECOND)
    shown = show(accounts.tables)
    assert shown.slow_start is not None
    assert shown.sent_in_last_day == 1


@pytest.mark.parametrize("by", ["probe", "person"])
def test_hold_that_was_lifted_gives_a_pace(accounts: Accounts, by: str) -> None:
    """Whoever has lifted it."""
    accounts.block()
    accounts.backdate(HOUR)
    before = accounts.tables.now()
    if by == "person":
        accounts.lift("account-1")
    else:
        accounts.register.release(accounts.the_hold())
    slow_start = show(accounts.tables).slow_start
    assert slow_start is not None
    assert before <= slow_start.released_at <= accounts.tables.now()


@pytest.mark.parametrize("kind", [ControlKind.PAUSE, ControlKind.CAP])
def test_nothing_else_that_ended_gives_a_pace(accounts: Accounts, kind: ControlKind) -> None:
    """No provider has complained."""
    accounts.blocked_until(accounts.tables.now() - SECOND, kind)
    assert show(accounts.tables).slow_start is None


def test_pace_is_over_after_ten_minutes(accounts: Accounts) -> None:
    """And so is what concerned another account."""
    accounts.blocked_until(accounts.tables.now() - 11 * MINUTE)
    accounts.blocked_until(accounts.tables.now() - SECOND, account_id="account-2")
    assert show(accounts.tables).slow_start is None


def test_pace_lasts_no_longer_than_what_it_comes_back_from(accounts: Accounts) -> None:
    """Who was asked to wait for ten seconds, half a minute ago, has no backlog that could harm."""
    accounts.block(ControlKind.COOL_DOWN, until=accounts.tables.now() - 30 * SECOND)
    accounts.backdate(40 * SECOND)
    assert show(accounts.tables).slow_start is None
    accounts.backdate(30 * SECOND)
    assert show(accounts.tables).slow_start is not None


def test_sweep_finds_a_few_of_an_account_that_comes_back(accounts: Accounts) -> None:
    """The first ones, and all of everybody else's."""
    accounts.tables.put(an_account(id="account-2", profile_id="profile-2"))
    for number in range(30):
        at = a_like().scheduled_for + number * SECOND
        accounts.tables.put(a_like(id=f"mine-{number:02}", scheduled_for=at))
        accounts.tables.put(a_like(id=f"other-{number:02}", profile_id="profile-2", scheduled_for=at))
    accounts.blocked_until(accounts.tables.now() - SECOND)
    found = [due.activity_id for due in accounts.tables.store.due(look_ahead=timedelta(0), limit=1000)]
    assert [key for key in found if key.startswith("mine")] == [f"mine-{number:02}" for number in range(9)]
    assert len([key for key in found if key.startswith("other")]) == 30
    assert "activity-1" in found


def test_backlog_of_accounts_that_come_back_hides_nobody_elses_work(accounts: Accounts) -> None:
    """However much of it was due before: a sweep is bounded, and theirs alone would fill it for minutes."""
    for number in (2, 3):
        accounts.tables.put(an_account(id=f"account-{number}", profile_id=f"profile-{number}"))
    for number in range(40):
        at = a_like().scheduled_for + number * SECOND
        accounts.tables.put(a_like(id=f"mine-{number:02}", scheduled_for=at))
        accounts.tables.put(a_like(id=f"its-{number:02}", profile_id="profile-2", scheduled_for=at + 60 * SECOND))
    latest = a_like().scheduled_for + 3600 * SECOND
    accounts.tables.put(a_like(id="other", profile_id="profile-3", scheduled_for=latest))
    for number in (1, 2):
        accounts.blocked_until(accounts.tables.now() - SECOND, account_id=f"account-{number}")
    found = [due.activity_id for due in accounts.tables.store.due(look_ahead=timedelta(0), limit=25)]
    assert [len([key for key in found if key.startswith(whose)]) for whose in ("mine", "its")] == [9, 10]
    assert ("activity-1" in found, found[-1], len(found)) == (True, "other", 21)


def test_account_of_the_hold_is_complete(accounts: Accounts) -> None:
    """Whatever its row leaves open."""
    bare = Account(
        id="account-1", profile_id=None, provider_account_id=None, access_token=None, status=None, daily_limit=7
    )
    accounts.tables.put(bare)
    accounts.block()
    assert accounts.the_hold().account == bare
