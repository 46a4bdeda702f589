"""The register of accounts that are held or keep failing, so that workers can probe and recover them.

The one rule: several workers recover the same accounts at once. Every change is a compare-and-set: it happens only if
nothing has changed since the account was read, and only one worker makes it.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Protocol

from engagement_core.model.account_state import Failing, Hold

__all__ = ["AccountRegister"]


class AccountRegister(Protocol):
    """Every method raises `StoreUnavailable` like the activity store. All times are the database's."""

    def held(self, *, limit: int) -> tuple[Hold, ...]:
        """Holds whose probe is not planned yet, then those whose `probe_at` has come, longest waiting first; at most
        `limit`. An account whose row was deleted is left out."""
        ...

    def plan(self, hold: Hold, *, probe_at: datetime, probes: int) -> bool:
        """Plan the next probe. False if another worker has planned it, or the account is no longer held."""
        ...

    def release(self, hold: Hold) -> bool:
        """Lift the hold, because the provider says that the account can act. False if the account is no longer held, or
        was refused again since it was read."""
        ...

    def failing(self, *, within: timedelta, at_least: int, limit: int) -> tuple[Failing, ...]:
        """Accounts whose latest sends all met a server error: at least `at_least` sends, begun no longer ago than
        `within`. The outcome of at least one of them is still unknown. An account in cool-down is left out."""
        ...

    def cool_down(self, account_id: str, *, until: datetime, reason: str) -> None:
        """Let the account send nothing before `until`. A cool-down that already lasts longer stays."""
        ...
