"""Decides when a held account is probed again, and when a failing account cools down."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta

from engagement_core.model.account_state import Failing, Hold
from engagement_core.model.errors import Failure
from engagement_core.model.provider import AccountHealth, NoReadBack

__all__ = ["HealthPolicy", "can_act", "cools_down_until", "next_probe"]


@dataclass(frozen=True, kw_only=True, slots=True)
class HealthPolicy:
    """A held account is probed after `first_probe`, then after twice as long each time, `longest_probe` at most.

    After so many `server_errors` in a row, begun within `in_a_row`, an account cools down for `first_cool_down`. Each
    further server error after a cool-down makes the next one twice as long, `longest_cool_down` at most.
    """

    first_probe: timedelta = timedelta(minutes=1)
    longest_probe: timedelta = timedelta(hours=1)
    server_errors: int = 5
    in_a_row: timedelta = timedelta(hours=1)
    first_cool_down: timedelta = timedelta(seconds=10)
    longest_cool_down: timedelta = timedelta(minutes=15)


def next_probe(hold: Hold, policy: HealthPolicy) -> tuple[datetime, int]:
    """When the account is probed next, and how many probes there are by then.

    The count grows if a probe is due now. For an account that has just been held, only the first probe is planned.
    """
    if hold.probe_at is None:
        return hold.held_at + _doubled(policy.first_probe, hold.probes, policy.longest_probe), hold.probes
    asked = hold.probes + 1
    return hold.seen_at + _doubled(policy.first_probe, asked, policy.longest_probe), asked


def can_act(answer: AccountHealth | NoReadBack | Failure) -> bool:
    """Whether the answer says that the account can act. Any other answer proves nothing."""
    return isinstance(answer, AccountHealth) and answer.is_good


def cools_down_until(failing: Failing, policy: HealthPolicy) -> datetime | None:
    """Until when an account cools down; None if it has not failed often enough.

    A send that began before a cool-down ended belongs to it. Only a failure after it makes the next one longer.
    """
    times, until = 0, None
    for began_at in failing.began_at[policy.server_errors - 1 :]:
        if until is None or began_at > until:
            until = began_at + _doubled(policy.first_cool_down, times, policy.longest_cool_down)
            times += 1
    return until


def _doubled(first: timedelta, times: int, longest: timedelta) -> timedelta:
    # More doublings would overflow, and `longest` is reached long before.
    return min(first * (1 << min(times, 32)), longest)
