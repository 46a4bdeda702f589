"""Slow start: after a block an account sends one engagement at a time, whichever worker sends it."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta
from functools import partial

import pytest

from engagement_core.decisions.admission import Admit, Defer, admit
from engagement_core.decisions.begin import decide_begin
from engagement_core.decisions.claim import Claimed, ClaimPolicy, ClaimResult, Holder, decide_claim
from engagement_core.model.controls import SLOW_START_FOR, BlockScope, Control, ControlKind, SlowStart
from engagement_core.model.decision import Block, Decision
from engagement_core.model.lifecycle import Phase
from engagement_core.model.outcome import Deferred
from fakes.accounts import InMemoryAccountRegister
from fakes.activities import InMemoryActivityStore
from fakes.clock import InMemoryClock
from support.builders import NOW, POD, SECOND, a_comment, a_like, a_snapshot, an_account


def a_pace(last_began_at: datetime | None) -> SlowStart:
    """One send a second."""
    return SlowStart(released_at=NOW - 5 * SECOND, last_began_at=last_began_at, spacing=SECOND)


@pytest.mark.parametrize("last_began_at", [None, NOW - SECOND, NOW - 60 * SECOND], ids=["never", "a second", "long"])
def test_whoever_has_kept_its_distance_may_go(last_began_at: datetime | None) -> None:
    """A second after the last one, or when there was none."""
    assert admit(a_snapshot(slow_start=a_pace(last_began_at)), an_account()) == Admit()


def test_whoever_comes_too_soon_waits_until_its_distance_is_kept() -> None:
    """It waits uncharged, for a reason that a person can read, and the account's other work is left out meanwhile."""
    admission = admit(a_snapshot(slow_start=a_pace(NOW - SECOND / 4)), an_account())
    until = NOW + SECOND * 3 / 4
    assert admission == Defer(
        until=until,
        reason="account account-1 is in slow start: one engagement every 1 s",
        block=Control(
            kind=ControlKind.CAP,
            scope=BlockScope.ACCOUNT,
            scope_id="account-1",
            until=until,
            reason="slow start, one engagement every 1 s",
        ),
    )


def test_what_blocks_the_account_comes_before_its_pace() -> None:
    """A hold ends when it is lifted, not when the spacing is over."""
    hold = Control(kind=ControlKind.HOLD, scope=BlockScope.ACCOUNT, scope_id="account-1", until=None, reason="401")
    admission = admit(a_snapshot(controls=(hold,), slow_start=a_pace(NOW)), an_account())
    assert isinstance(admission, Defer)
    assert admission.until is None


def test_a_used_up_cap_comes_before_the_pace() -> None:
    """The longer of the two waits counts."""
    admission = admit(a_snapshot(sent_in_last_day=5, slow_start=a_pace(NOW)), an_account(daily_limit=5))
    assert isinstance(admission, Defer)
    assert admission.until == NOW + 60 * SECOND


class World:
    """A store, a clock, and ten likes and ten comments that are due."""

    def __init__(self) -> None:
        self.clock = InMemoryClock(origin=NOW)
        self.store = InMemoryActivityStore(now=self.clock.now)
        self.register = InMemoryAccountRegister(self.store)
        self.store.pods["pod-1"] = POD
        self.store.accounts["account-1"] = an_account()
        for number in range(10):
            self.store.activities[f"like-{number}"] = a_like(id=f"like-{number}")
            self.store.activities[f"comment-{number}"] = a_comment(id=f"comment-{number}")

    def block(self, kind: ControlKind, lasts: timedelta | None, scope: BlockScope = BlockScope.ACCOUNT) -> None:
        """Put a control in force."""
        scope_id = {BlockScope.ACCOUNT: "account-1", BlockScope.POD: "pod-1", BlockScope.ALL: ""}[scope]
        until = None if lasts is None else self.clock.now() + lasts
        control = Control(kind=kind, scope=scope, scope_id=scope_id, until=until, reason="because")
        self.store.change("", lambda _: Decision(None, (Block(control),)))

    def claim(self, key: str) -> ClaimResult:
        """One worker's claim."""
        holder = Holder(worker_id="worker-1", token=f"{key}/{self.clock.elapsed()}")
        decide = partial(decide_claim, holder=holder, policy=ClaimPolicy())
        return self.store.change(key, decide)

    def begun(self) -> int:
        """How many of ten likes begin at this instant."""
        return sum(isinstance(self.claim(f"like-{number}"), Claimed) for number in range(10))


@pytest.fixture
def world() -> World:
    """A fresh one."""
    return World()


def test_backlog_of_a_cool_down_does_not_burst(world: World) -> None:
    """Ten were due while it lasted: one begins when it is over, and one a second later."""
    world.block(ControlKind.COOL_DOWN, 60 * SECOND)
    assert world.begun() == 0
    world.clock.advance(60 * SECOND)
    assert world.begun() == 1
    world.clock.advance(SECOND / 2)
    assert world.begun() == 0
    world.clock.advance(SECOND / 2)
    assert world.begun() == 1


def test_backlog_of_a_lifted_hold_does_not_burst(world: World) -> None:
    """It does not matter who lifted the hold."""
    world.block(ControlKind.HOLD, None)
    world.clock.advance(60 * SECOND)
    world.register.lift("account-1")
    assert world.begun() == 1


def test_comment_that_was_prepared_meanwhile_keeps_the_distance_too(world: World) -> None:
    """Two were claimed before either began: the second one's claim is given back, uncharged."""
    world.block(ControlKind.COOL_DOWN, 60 * SECOND)
    world.clock.advance(60 * SECOND)
    claims = []
    for number in range(2):
        claims.append(world.claim(f"comment-{number}"))
        world.clock.advance(SECOND)  # each needs longer than a turn to be prepared
    results = []
    for claimed in claims:
        assert isinstance(claimed, Claimed)
        decide = partial(decide_begin, claimed=claimed, text="Hello!")
        results.append(world.store.change(claimed.activity.id, decide))
    assert [type(result) for result in results] == [Claimed, Deferred]
    waits = results[1]
    assert isinstance(waits, Deferred)
    assert waits.again_in == SECOND
    assert [attempt.phase for attempt in world.store.attempts["comment-1"].values()] == [Phase.SCHEDULED]
    assert replace(a_comment(id="comment-1")) == world.store.activities["comment-1"]


@pytest.mark.parametrize(
    ("lasted", "slow_for"), [(SECOND, SECOND), (60 * SECOND, 60 * SECOND), (timedelta(hours=5), SLOW_START_FOR)]
)
def test_account_is_itself_again_after_as_long_as_it_was_kept_back(
    world: World, lasted: timedelta, slow_for: timedelta
) -> None:
    """Slow start lasts as long as the block, ten minutes at most, and not a moment less."""
    world.block(ControlKind.COOL_DOWN, lasted)
    world.clock.advance(lasted + slow_for - SECOND / 10)
    assert world.begun() == 1
    world.clock.advance(SECOND)
    assert world.begun() == 9


@pytest.mark.parametrize(
    ("kind", "scope"),
    [
        (ControlKind.PAUSE, BlockScope.ACCOUNT),
        (ControlKind.CAP, BlockScope.ACCOUNT),
        (ControlKind.COOL_DOWN, BlockScope.POD),
    ],
)
def test_nothing_else_slows_an_account_down(world: World, kind: ControlKind, scope: BlockScope) -> None:
    """A pause by a person, a cap with room again, and a block of a pod are not the fault of the account."""
    world.block(kind, SECOND, scope)
    world.clock.advance(SECOND)
    assert world.begun() == 10


def test_while_one_prepares_for_its_turn_the_others_claim_nothing(world: World) -> None:
    """Each claim would leave an attempt behind at every try. The others block nothing, least of all the first claim."""
    world.block(ControlKind.COOL_DOWN, 60 * SECOND)
    world.clock.advance(60 * SECOND)
    claimed, *others = [world.claim(f"{kind}-{number}") for number in range(5) for kind in ("comment", "like")]
    assert isinstance(claimed, Claimed)
    assert all(isinstance(other, Deferred) and other.again_in == SECOND for other in others)
    assert list(world.store.attempts) == ["comment-0"]
    decide = partial(decide_begin, claimed=claimed, text="Hello!")
    assert isinstance(world.store.change("comment-0", decide), Claimed)


def test_other_account_keeps_its_own_pace(world: World) -> None:
    """The slow start of one account does not affect another."""
    world.store.accounts["account-2"] = an_account(id="account-2", profile_id="profile-2")
    world.store.activities["other"] = a_like(id="other", profile_id="profile-2")
    world.block(ControlKind.COOL_DOWN, SECOND)
    world.clock.advance(SECOND)
    assert world.begun() == 1
    assert isinstance(world.claim("other"), Claimed)
