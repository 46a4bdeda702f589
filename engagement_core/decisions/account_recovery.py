"""When a held account is asked for again, and when a failing one cools down."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta

from engagement_core.model.account_state import Failing, Hold
from engagement_core.model.errors import Failure
from engagement_core.model.provider import AccountHealth, NoReadBack

__all__ = ["HealthPolicy", "can_act", "cools_down_until", "next_probe"]


@dataclass(frozen=True, kw_only=True, slots=True)
class HealthPolicy:
    """A held account is asked for after `first_probe`, then after twice as long each time, `longest_probe` at most.

    After `server_errors` in a row, begun within `in_a_row`, an account cools down for `first_cool_down`, and for
    twice as long each time that it meets another one afterwards, `longest_cool_down` at most.
    """

    first_probe: timedelta = timedelta(minutes=1)
    longest_probe: timedelta = timedelta(hours=1)
    server_errors: int = 5
    in_a_row: timedelta = timedelta(hours=1)
    first_cool_down: timedelta = timedelta(seconds=10)
    longest_cool_down: timedelta = timedelta(minutes=15)


def next_probe(hold: Hold, policy: HealthPolicy) -> tuple[datetime, int]:
    """When the account is asked for next, and how often it will have been by then.

    The count grows if it is to be asked now; for one that has just been held, only its first question is planned.
    """
    if hold.probe_at is None:
        return hold.held_at + _doubled(policy.first_probe, hold.probes, policy.longest_probe), hold.probes
    asked = hold.probes + 1
    return hold.seen_at + _doubled(policy.first_probe, asked, policy.longest_probe), asked


def can_act(answer: AccountHealth | NoReadBack | Failure) -> bool:
    """What an answer means: the account is well, or nothing is known."""
    return isinstance(answer, AccountHealth) and answer.is_good


def cools_down_until(failing: Failing, policy: HealthPolicy) -> datetime | None:
    """Until when an account cools down; None if it has not failed often enough.

    What began before a cool-down was over belongs to it; only a failure after it makes the next one longer.
    """
    times, until = 0, None
    for began_at in failing.began_at[policy.server_errors - 1 :]:
        if until is None or began_at > until:
            until = began_at + _doubled(policy.first_cool_down, times, policy.longest_cool_down)
            times += 1
    return until


def _doubled(first: timedelta, times: int, longest: timedelta) -> timedelta:
    # More doublings overflow, and none of them matters.
    return min(first * (1 << min(times, 32)), longest)
