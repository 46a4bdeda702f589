"""A held account is probed less and less often until a clear yes; one that keeps failing cools down."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

import pytest

from engagement_core.decisions.account_recovery import HealthPolicy, can_act, cools_down_until, next_probe
from engagement_core.model.account_state import Failing, Hold
from engagement_core.model.activity import Account
from engagement_core.model.controls import BlockScope, Control, ControlKind
from engagement_core.model.decision import Block, Decision
from engagement_core.model.errors import Cause, Failure
from engagement_core.model.lifecycle import Phase
from engagement_core.model.provider import AccountHealth, NoReadBack
from engagement_core.model.signal import Signal
from engagement_core.ports.clock import Deadline
from engagement_core.use_cases.recover_accounts import AccountRecovery
from fakes.accounts import InMemoryAccountRegister
from fakes.activities import InMemoryActivityStore
from fakes.clock import InMemoryClock
from fakes.telemetry import InMemoryTelemetry
from support.builders import NOW, SECOND, an_account, earlier

MINUTE = timedelta(minutes=1)
HOUR = timedelta(hours=1)
WELL = AccountHealth(words=("OK",))
ILL = AccountHealth(words=("OK", "CREDENTIALS"))
POLICY = HealthPolicy(server_errors=3, first_cool_down=30 * SECOND)


@dataclass
class Provider:
    """Gives the answers that the test sets, and remembers when it was probed."""

    clock: InMemoryClock
    answer: AccountHealth | NoReadBack | Failure = ILL
    asked: list[datetime] = field(default_factory=list)
    meanwhile: Callable[[], None] = lambda: None

    def health(self, account: Account, deadline: Deadline) -> AccountHealth | NoReadBack | Failure:
        """See `AccountProbe`."""
        assert account.id == "account-1"
        assert deadline.remaining() == 10
        self.asked.append(self.clock.now())
        self.meanwhile()
        return self.answer


class World:
    """One account, one clock, and a worker that runs its periodic tasks."""

    def __init__(self) -> None:
        self.clock = InMemoryClock(origin=NOW)
        self.store = InMemoryActivityStore(now=self.clock.now)
        self.store.accounts["account-1"] = an_account()
        self.register = InMemoryAccountRegister(self.store)
        self.provider = Provider(self.clock)
        self.telemetry = InMemoryTelemetry()
        self.care = AccountRecovery(
            register=self.register, probe=self.provider, clock=self.clock, telemetry=self.telemetry, policy=POLICY
        )

    def refuse(self) -> None:
        """The provider says 401: the account is held."""
        hold = Control(kind=ControlKind.HOLD, scope=BlockScope.ACCOUNT, scope_id="account-1", until=None, reason="401")
        self.store.change("", lambda _: Decision(None, (Block(hold),)))

    def pass_time(self, duration: timedelta) -> list[timedelta]:
        """Run every five seconds; returns after how long the provider was probed, each time."""
        since = self.clock.now()
        already = len(self.provider.asked)
        for _ in range(int(duration / (5 * SECOND))):
            self.care.run_once()
            self.clock.advance(5 * SECOND)
        return [at - since for at in self.provider.asked[already:]]

    def is_held(self) -> bool:
        """Whether the hold is in force."""
        return any(control.kind is ControlKind.HOLD for control in self.store.controls)


@pytest.fixture
def world() -> World:
    """A fresh one."""
    return World()


def test_held_account_is_asked_for_at_doubling_intervals(world: World) -> None:
    """Probes come after one minute, two more, four more, and hourly in the end."""
    world.refuse()
    asked = world.pass_time(6 * HOUR)
    pauses = [later - sooner for sooner, later in zip([timedelta(0), *asked], asked, strict=False)]
    assert pauses == [n * MINUTE for n in (1, 2, 4, 8, 16, 32, 60, 60, 60, 60)]
    assert world.is_held()


def test_clear_yes_lifts_the_hold_and_the_account_is_paced(world: World) -> None:
    """The first healthy answer is enough, and the store records when it came."""
    world.refuse()
    world.provider.answer = WELL
    assert world.pass_time(HOUR) == [MINUTE]
    assert not world.is_held()
    assert world.store.released["account-1"] == (NOW, NOW + MINUTE)
    assert world.telemetry.fields_of(Signal.ACCOUNT_RELEASED) == [{"account_id": "account-1", "probes": 1}]


@pytest.mark.parametrize(
    "answer",
    [ILL, AccountHealth(words=()), NoReadBack(), Failure(cause=Cause.NO_ANSWER, message="No answer came.")],
    ids=["ill", "no word", "cannot be asked", "failure"],
)
def test_any_other_answer_proves_nothing(world: World, answer: AccountHealth | NoReadBack | Failure) -> None:
    """The account stays held, and is probed at the next interval."""
    world.refuse()
    world.provider.answer = answer
    assert world.pass_time(5 * MINUTE) == [MINUTE, 3 * MINUTE]
    assert world.is_held()
    assert not can_act(answer)


def test_healthy_answer_followed_by_another_refusal_does_not_loop(world: World) -> None:
    """Each new refusal continues the doubling, up to one probe an hour."""
    world.provider.answer = WELL
    pauses = []
    for _ in range(9):
        world.refuse()
        pauses += world.pass_time(2 * HOUR)
        assert not world.is_held()
    assert pauses == [n * MINUTE for n in (1, 2, 4, 8, 16, 32, 60, 60, 60)]


def test_doubling_starts_anew_after_a_person_or_a_day(world: World) -> None:
    """A person who resumes knows better than a probe; and a day of work is proof enough."""
    world.provider.answer = WELL
    for _ in range(3):
        world.refuse()
        world.pass_time(HOUR)
    world.refuse()
    world.register.lift("account-1")
    world.refuse()
    assert world.pass_time(HOUR) == [MINUTE]
    world.clock.advance(timedelta(days=1))
    world.refuse()
    assert world.pass_time(HOUR) == [MINUTE]


def test_account_that_is_refused_while_it_is_asked_for_stays_held(world: World) -> None:
    """The refusal is later than the probe, so the yes is about the time before."""
    world.refuse()
    world.provider.answer = WELL

    def refuse_a_moment_later() -> None:
        world.clock.advance(SECOND)
        world.refuse()

    world.provider.meanwhile = refuse_a_moment_later
    world.pass_time(2 * MINUTE)
    assert len(world.provider.asked) == 1
    assert world.is_held()


def test_two_workers_ask_once(world: World) -> None:
    """Both have read the hold; only one of them probes."""
    world.refuse()
    world.pass_time(MINUTE)
    (seen,) = world.register.held(limit=5)
    at, probes = next_probe(seen, POLICY)
    assert world.register.plan(seen, probe_at=at, probes=probes)
    assert not world.register.plan(seen, probe_at=at, probes=probes)
    world.care.run_once()
    assert world.provider.asked == []


def test_worker_that_comes_second_does_not_ask(world: World) -> None:
    """The other worker has planned the next probe between the reading and the planning of this one."""

    class OftenLate(InMemoryAccountRegister):
        def held(self, *, limit: int) -> tuple[Hold, ...]:
            seen = super().held(limit=limit)
            for hold in seen:
                if hold.probe_at is not None:
                    self.plan(hold, probe_at=hold.seen_at + HOUR, probes=hold.probes + 1)
            return seen

    world.care = AccountRecovery(
        register=OftenLate(world.store), probe=world.provider, clock=world.clock, telemetry=world.telemetry
    )
    world.refuse()
    assert world.pass_time(10 * MINUTE) == []


def test_where_nobody_can_be_asked_only_a_person_lifts_a_hold(world: World) -> None:
    """With v0 no probe is even planned."""
    world.refuse()
    world.care = AccountRecovery(
        register=world.register, probe=None, clock=world.clock, telemetry=world.telemetry, policy=POLICY
    )
    world.pass_time(2 * HOUR)
    assert world.is_held()
    assert [hold.probe_at for hold in world.register.held(limit=5)] == [None]


def test_interval_never_overflows() -> None:
    """This holds for any number of probes."""
    hold = Hold(account=an_account(), held_at=NOW, probe_at=NOW, probes=10_000, seen_at=NOW)
    assert next_probe(hold, POLICY) == (NOW + HOUR, 10_001)


def failing(*seconds: float) -> Failing:
    """Sends that failed, so many seconds after now."""
    return Failing(account_id="account-1", began_at=tuple(NOW + s * SECOND for s in seconds), seen_at=NOW)


@pytest.mark.parametrize(
    ("seconds", "until"),
    [
        ((0, 1), None),
        ((0, 1, 2), 32),
        ((0, 1, 2, 3, 32), 32),
        ((0, 1, 2, 33), 93),
        ((0, 1, 2, 33, 34, 93), 93),
        ((0, 1, 2, 33, 94), 214),
        ((0, 1, 2, 33, 94, 215, 456, 937, 1838, 2739), 3639),
    ],
    ids=["two", "three", "under way", "one after", "two after", "again", "in the end"],
)
def test_cool_down_grows_with_every_failure_after_it(seconds: tuple[float, ...], until: float | None) -> None:
    """30 s, 60 s, 120 s, and 15 min at most. A call that was running when it began does not make it longer."""
    ends = cools_down_until(failing(*seconds), POLICY)
    assert ends == (None if until is None else NOW + until * SECOND)


def sent(world: World, number: int, phase: Phase = Phase.UNKNOWN, **changes: Any) -> None:
    """The account has sent something, so many seconds past the origin; a server error unless the test says else."""
    key = f"activity-{number}"
    told = {"activity_id": key, "began_at": NOW + number * SECOND, "error": {"cause": "server_error"}, **changes}
    world.store.attempts[key] = {1: earlier(1, phase, **told)}


def cool_downs(world: World) -> list[datetime | None]:
    """Until when the account cools down."""
    return [control.until for control in world.store.controls if control.kind is ControlKind.COOL_DOWN]


def test_account_that_fails_three_times_in_a_row_cools_down(world: World) -> None:
    """Reading the facts again does not make it longer."""
    for number in range(3):
        assert cool_downs(world) == []
        sent(world, number)
        world.clock.advance(SECOND)
        world.care.run_once()
    assert cool_downs(world) == [NOW + 32 * SECOND]
    world.pass_time(MINUTE)
    assert cool_downs(world) == [NOW + 32 * SECOND]
    (told,) = world.telemetry.fields_of(Signal.ACCOUNT_COOLED_DOWN)
    assert (told["account_id"], told["until"]) == ("account-1", (NOW + 32 * SECOND).isoformat())


def test_cool_down_that_would_be_over_is_not_put_in_force(world: World) -> None:
    """No worker looked in time. The cool-down would only cause a slow start."""
    for number in range(3):
        sent(world, number)
    world.clock.advance(5 * MINUTE)
    world.care.run_once()
    assert cool_downs(world) == []


@pytest.mark.parametrize(
    ("phase", "error"),
    [
        (Phase.EXECUTED, None),
        (Phase.EXECUTED, {"cause": "server_error"}),
        (Phase.SCHEDULED, {"cause": "post_gone"}),
        (Phase.UNKNOWN, {"cause": "no_answer"}),
    ],
    ids=["executed", "found", "refused", "no answer"],
)
def test_anything_else_in_between_ends_the_row(world: World, phase: Phase, error: dict[str, str] | None) -> None:
    """Three errors, but not in a row."""
    for number in (0, 1, 3):
        sent(world, number)
    sent(world, 2, phase, error=error)
    world.clock.advance(5 * SECOND)
    world.care.run_once()
    assert cool_downs(world) == []
