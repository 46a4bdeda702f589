"""The register of accounts that may not act, or had better not, so that they can be asked for and looked after.

The one rule: several workers look after the same accounts at once. Every change is a compare-and-set: it happens if
nothing has happened since the account was read, and only one of them makes it.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Protocol

from engagement_core.model.account_state import Failing, Hold

__all__ = ["AccountRegister"]


class AccountRegister(Protocol):
    """Every method raises `StoreUnavailable` like the activity store. All times are the database's."""

    def held(self, *, limit: int) -> tuple[Hold, ...]:
        """Holds whose `probe_at` has come or is not decided yet, these first, then the longest waiting. An account that
        is not on record any more is not among them."""
        ...

    def plan(self, hold: Hold, *, probe_at: datetime, probes: int) -> bool:
        """Decide when it is asked for next; False if somebody else has, or it is held no longer."""
        ...

    def release(self, hold: Hold) -> bool:
        """Lift it, because the provider says that the account can act; False if it is held no longer, or was refused
        again since it was read."""
        ...

    def failing(self, *, within: timedelta, at_least: int, limit: int) -> tuple[Failing, ...]:
        """Accounts whose latest sends, `at_least` so many and begun no longer ago than `within`, met a server error;
        the outcome of one of them is still unknown. An account that cools down already is left out."""
        ...

    def cool_down(self, account_id: str, *, until: datetime, reason: str) -> None:
        """Let it send nothing until then, or for longer if it does so already."""
        ...
