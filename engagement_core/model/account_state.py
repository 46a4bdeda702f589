"""Accounts that need recovery: those that are held, and those that keep failing."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from engagement_core.model.activity import Account

__all__ = ["Failing", "Hold"]


@dataclass(frozen=True, kw_only=True, slots=True)
class Hold:
    """An account that is held because the provider refused it; `held_at` is the latest refusal.

    `probe_at` is the time of the next probe; None if no worker has planned it yet. `probes` counts the probes so far.
    If an account is held again soon after a probe lifted its hold, the new hold continues the old count.
    """

    account: Account
    held_at: datetime
    probe_at: datetime | None
    probes: int
    seen_at: datetime


@dataclass(frozen=True, kw_only=True, slots=True)
class Failing:
    """An account whose latest sends all met a server error of the provider; none of them is known to have happened.

    `began_at` is when each of them began, earliest first.
    """

    account_id: str
    began_at: tuple[datetime, ...]
    seen_at: datetime
