"""Activities, pods, accounts and voice cartridges as plain values, as E-02, E-03 and E-04 describe them.

The one rule: every value is well formed. A row that is not arrives as `Malformed`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import Enum

from engagement_core.model.vocabulary import OpenWord

__all__ = ["Account", "Activity", "EngagementType", "Malformed", "Pod", "PublicStatus", "VoiceCartridge"]


class EngagementType(OpenWord):
    """The two kinds of engagement."""

    LIKE = "like"
    COMMENT = "comment"


class PublicStatus(str, Enum):
    """The words of `pod_activities.status` that every other service knows; we never write another one."""

    SCHEDULED = "scheduled"
    EXECUTED = "executed"
    FAILED = "failed"


@dataclass(frozen=True, kw_only=True, slots=True)
class Activity:
    """One scheduled engagement, a row of `pod_activities`.

    `status` is the word in the table; it may be a word of another service (`cancelled`). We write `next_retry_at`.
    """

    id: str
    pod_id: str
    engagement_type: EngagementType
    post_id: str
    profile_id: str | None
    comment_text: str | None
    scheduled_for: datetime
    status: str
    failure_count: int = 0
    next_retry_at: datetime | None = None

    @property
    def due_at(self) -> datetime:
        """The earliest time at which it may be sent: `scheduled_for`, or `next_retry_at` if that is later."""
        return self.scheduled_for if self.next_retry_at is None else max(self.scheduled_for, self.next_retry_at)


@dataclass(frozen=True, kw_only=True, slots=True)
class Malformed:
    """A row that exists but describes no valid activity; `problems` says why, one sentence each."""

    id: str
    status: str
    problems: tuple[str, ...]


@dataclass(frozen=True, kw_only=True, slots=True)
class Pod:
    """The group on whose behalf an activity is executed."""

    id: str
    voice_cartridge_id: str | None
    linkedin_account_id: str | None


@dataclass(frozen=True, kw_only=True, slots=True)
class Account:
    """The LinkedIn account that acts. `provider_account_id` is the provider's id for it (v1 and later)."""

    id: str
    profile_id: str | None
    provider_account_id: str | None
    access_token: str | None = field(repr=False)
    status: str | None
    daily_limit: int | None


@dataclass(frozen=True, kw_only=True, slots=True)
class VoiceCartridge:
    """How a pod speaks. `templates` is kept as stored; the voice that uses it validates it."""

    id: str
    personality_style: str | None
    tone: str | None
    templates: Mapping[str, object] | None
