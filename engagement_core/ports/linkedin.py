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
        """Send one request, once: no retry, no redirect. If it is too late to send it in time, it is `not_sent`.

        If the provider answers yes, it has done it, unless the body of its answer clearly says no.
        """
        ...

    def read_back(self, engagement: Engagement, deadline: Deadline) -> ReadBack:
        """The engagements of this account that the post shows now. A `Failure` proves nothing."""
        ...

    def available_in(self) -> timedelta:
        """How long the breaker will make no call; zero if it lets calls through."""
        ...


class AccountProbe(Protocol):
    """Asks a provider that knows the health of its accounts. It engages nothing."""

    def health(self, account: Account, deadline: Deadline) -> AccountHealth | NoReadBack | Failure:
        """How the account is connected. `NoReadBack` if the provider cannot be asked; a `Failure` proves nothing."""
        ...
