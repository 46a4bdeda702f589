"""An account that is held, or that keeps failing."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from engagement_core.model.activity import Account

__all__ = ["Failing", "Hold"]


@dataclass(frozen=True, kw_only=True, slots=True)
class Hold:
    """An account that is held because the provider refused it, at `held_at` for the last time.

    `probe_at` is when it is asked for next; None when nobody has decided that yet. `probes` counts how often it was
    asked for. A hold that follows soon upon one that a probe has lifted begins with that one's count.
    """

    account: Account
    held_at: datetime
    probe_at: datetime | None
    probes: int
    seen_at: datetime


@dataclass(frozen=True, kw_only=True, slots=True)
class Failing:
    """An account whose latest sends the provider answered with an error of its own, all of them, and none of which is
    known to have happened. `began_at` of each, in the order of time."""

    account_id: str
    began_at: tuple[datetime, ...]
    seen_at: datetime
