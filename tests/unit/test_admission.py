"""Admission: what stops an account from acting, until when, and with which reason."""

from __future__ import annotations

from datetime import datetime

import pytest

from engagement_core.decisions.admission import HELD_STATUSES, Admit, Defer, admit
from engagement_core.model.controls import BlockScope, Control, ControlKind
from support.builders import NOW, SECOND, a_snapshot, an_account

ACCOUNT = (BlockScope.ACCOUNT, "account-1")


def a_control(
    kind: ControlKind,
    until: datetime | None,
    where: tuple[BlockScope, str] = ACCOUNT,
    reason: str = "because",
) -> Control:
    return Control(kind=kind, scope=where[0], scope_id=where[1], until=until, reason=reason)


def test_an_account_without_obstacles_may_act() -> None:
    """An account may act unless something forbids it."""
    assert admit(a_snapshot(), an_account()) == Admit()


@pytest.mark.parametrize("status", sorted(HELD_STATUSES))
def test_held_account_waits_for_a_person(status: str) -> None:
    """The contract's five words hold the account, without an end."""
    assert admit(a_snapshot(), an_account(status=status)) == Defer(
        until=None, reason=f"the status of account account-1 is {status}"
    )


@pytest.mark.parametrize("status", [None, "", "ok", "OK", "connecting", "whatever E-01 invents"])
def test_any_other_status_is_usable(status: str | None) -> None:
    """Only the listed words hold an account; every other word is usable."""
    assert admit(a_snapshot(), an_account(status=status)) == Admit()


@pytest.mark.parametrize(("limit", "sent", "admitted"), [(5, 4, True), (5, 5, False), (5, 6, False), (0, 0, False)])
def test_the_cap_is_reached_when_it_is_used_up(limit: int, sent: int, admitted: bool) -> None:
    """With a limit of five, the fifth is admitted and the sixth is not; a limit of zero admits nothing."""
    admission = admit(a_snapshot(sent_in_last_day=sent), an_account(daily_limit=limit))
    assert isinstance(admission, Admit) == admitted


def test_a_used_up_cap_is_looked_at_again_within_a_minute() -> None:
    """The window rolls: room may appear at any time."""
    admission = admit(a_snapshot(sent_in_last_day=5), an_account(daily_limit=5))
    assert isinstance(admission, Defer)
    assert admission.until == NOW + 60 * SECOND
    assert admission.reason == "account account-1 has used its 5 engagements of the last 24 hours"
    assert admission.block is not None
    assert (admission.block.scope_id, admission.block.until) == ("account-1", admission.until)


def test_no_cap_counts_nothing() -> None:
    """Without a limit the number of sends does not matter."""
    assert admit(a_snapshot(sent_in_last_day=10_000), an_account()) == Admit()


def test_of_several_cool_downs_the_longest_decides() -> None:
    """To wait only for the shortest one would be in vain."""
    shorter = a_control(ControlKind.COOL_DOWN, NOW + SECOND)
    longer = a_control(ControlKind.COOL_DOWN, NOW + 60 * SECOND, (BlockScope.POD, "pod-1"), "asked to")
    admission = admit(a_snapshot(controls=(shorter, longer)), an_account())
    assert admission == Defer(until=NOW + 60 * SECOND, reason="cool-down on pod pod-1: asked to")


def test_what_a_person_must_lift_comes_before_any_cool_down() -> None:
    """A control without an end lasts longer than any with an end."""
    cool_down = a_control(ControlKind.COOL_DOWN, NOW + 60 * SECOND)
    hold = a_control(ControlKind.HOLD, None, reason="signed out")
    admission = admit(a_snapshot(controls=(cool_down, hold)), an_account())
    assert admission == Defer(until=None, reason="hold on account account-1: signed out")


def test_a_pause_of_everything_names_no_id() -> None:
    """The reason is a sentence for people."""
    pause = a_control(ControlKind.PAUSE, None, (BlockScope.ALL, ""), "maintenance")
    assert admit(a_snapshot(controls=(pause,)), an_account()) == Defer(until=None, reason="pause on all: maintenance")
