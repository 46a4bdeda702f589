"""An activity that is to be scheduled."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from engagement_core.model.activity import EngagementType

__all__ = ["NewActivity"]


@dataclass(frozen=True, kw_only=True, slots=True)
class NewActivity:
    """An activity that is to be scheduled: the columns that its creator fills."""

    id: str
    pod_id: str
    engagement_type: EngagementType
    post_id: str
    profile_id: str | None
    comment_text: str | None
    scheduled_for: datetime
