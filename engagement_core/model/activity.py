"""What is to be done and on whose behalf: plain values, each as E-02, E-03 and E-04 describe it.

The one rule: a value that exists is well formed. Whatever a table may hold beyond that arrives as `Malformed`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import Enum

from engagement_core.model.vocabulary import OpenWord

__all__ = ["Account", "Activity", "EngagementType", "Malformed", "Pod", "PublicStatus", "VoiceCartridge"]


class EngagementType(OpenWord):
    """The two engagements that exist."""

    LIKE = "like"
    COMMENT = "comment"


class PublicStatus(str, Enum):
    """`pod_activities.status` as every other service reads it; we never write another word."""

    SCHEDULED = "scheduled"
    EXECUTED = "executed"
    FAILED = "failed"


@dataclass(frozen=True, kw_only=True, slots=True)
class Activity:
    """One scheduled engagement, a row of `pod_activities`.

    `status` is the word in the table, which may be another service's (`cancelled`). `next_retry_at` is ours.
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
        """The earliest instant at which it may be sent: its time, or its retry's when that is later."""
        return self.scheduled_for if self.next_retry_at is None else max(self.scheduled_for, self.next_retry_at)


@dataclass(frozen=True, kw_only=True, slots=True)
class Malformed:
    """A row that exists but describes no activity; `problems` says why, one sentence each."""

    id: str
    status: str
    problems: tuple[str, ...]


@dataclass(frozen=True, kw_only=True, slots=True)
class Pod:
    """The group on whose behalf an activity happens."""

    id: str
    voice_cartridge_id: str | None
    linkedin_account_id: str | None


@dataclass(frozen=True, kw_only=True, slots=True)
class Account:
    """The LinkedIn account that acts. `provider_account_id` is the provider's name for it (v1 and later)."""

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
