"""What we ask the provider, and what it answers."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import ClassVar

from engagement_core.model.activity import Account, EngagementType
from engagement_core.model.errors import Failure

__all__ = [
    "AccountHealth",
    "Answer",
    "Applied",
    "Engagement",
    "Found",
    "NoReadBack",
    "NotSent",
    "ReadBack",
    "Seen",
    "ids_to_credit",
]


@dataclass(frozen=True, kw_only=True, slots=True)
class Engagement:
    """Exactly what is to be sent: `text` is the frozen comment, None for a like."""

    engagement_type: EngagementType
    post_id: str
    account: Account
    text: str | None = None


@dataclass(frozen=True, kw_only=True, slots=True)
class Applied:
    """The provider said yes. Its id and time are kept if it gave them (a like has no id)."""

    kind: ClassVar[str] = "applied"
    engagement_id: str | None
    created_at: datetime | None


@dataclass(frozen=True, kw_only=True, slots=True)
class NotSent:
    """Nothing was sent, because the provider is not called at present. No activity is at fault.

    The breaker is open, or the account is saturated: it already has its share of the threads.
    """

    kind: ClassVar[str] = "not_sent"
    reason: str
    retry_in: timedelta


Answer = Applied | NotSent | Failure


@dataclass(frozen=True, kw_only=True, slots=True)
class Found:
    """One engagement of our account on the post, as the provider's reads show it. A like has neither date nor text."""

    engagement_id: str | None
    text: str | None
    created_at: datetime | None


@dataclass(frozen=True, kw_only=True, slots=True)
class Seen:
    """A complete read (the cursor was followed to its end): all engagements of the asked type by our own account."""

    own: tuple[Found, ...]

    @property
    def ids(self) -> tuple[str, ...]:
        """The provider's ids of these engagements."""
        return tuple(found.engagement_id for found in self.own if found.engagement_id)


@dataclass(frozen=True, slots=True)
class NoReadBack:
    """This dialect of the provider cannot be asked."""


ReadBack = Seen | NoReadBack | Failure


def ids_to_credit(seen: ReadBack) -> tuple[str, ...] | None:
    """The ids that a decision about this read may credit (see `ActivityStore.change`); None if it shows nothing."""
    return seen.ids if isinstance(seen, Seen) and seen.own else None


@dataclass(frozen=True, kw_only=True, slots=True)
class AccountHealth:
    """The state of an account's connection as the provider reports it: one word per source, `OK` or what is wrong."""

    words: tuple[str, ...]

    @property
    def is_good(self) -> bool:
        """Whether the account can act."""
        return bool(self.words) and all(word == "OK" for word in self.words)
