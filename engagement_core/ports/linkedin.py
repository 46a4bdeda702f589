"""The provider through which accounts engage: one write, one read-back."""

from __future__ import annotations

from datetime import timedelta
from typing import Protocol

from engagement_core.model.activity import Account
from engagement_core.model.errors import Failure
from engagement_core.model.provider import AccountHealth, Answer, Engagement, NoReadBack, ReadBack
from engagement_core.ports.clock import Deadline

__all__ = ["AccountProbe", "LinkedIn"]


class LinkedIn(Protocol):
    """A provider's gateway. No method raises, whatever the provider, the network or the engagement's row does."""

    def engage(self, engagement: Engagement, deadline: Deadline) -> Answer:
        """Send one request, once: no retry, no redirect; too late to send in time means not sent (`not_sent`).

        What answers yes has done it, unless its body says no in so many words.
        """
        ...

    def read_back(self, engagement: Engagement, deadline: Deadline) -> ReadBack:
        """Which engagements of this account the post shows now. A `Failure` proves nothing."""
        ...

    def available_in(self) -> timedelta:
        """How long calls are held back by the breaker; zero when they are not."""
        ...


class AccountProbe(Protocol):
    """What a provider that knows its accounts' health can be asked. It engages nothing."""

    def health(self, account: Account, deadline: Deadline) -> AccountHealth | NoReadBack | Failure:
        """How the account is connected. `NoReadBack` where nobody can be asked; a `Failure` proves nothing."""
        ...
