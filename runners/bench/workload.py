"""Creates the activities: spread over pods, each on its own post, by which the ledger identifies it."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime

from engagement_core.model.activity import EngagementType
from engagement_core.model.new_activity import NewActivity

__all__ = ["PODS", "comments_in_turn", "likes", "post_of"]

PODS = 25
"""How many pods share the work. Each has its own account."""


def likes(instants: Iterable[datetime]) -> tuple[NewActivity, ...]:
    """A like at each instant."""
    return tuple(_activity(number, at, EngagementType.LIKE) for number, at in enumerate(instants))


def comments_in_turn(instants: Iterable[datetime]) -> tuple[NewActivity, ...]:
    """A like or a comment at each instant, in turn."""
    kinds = (EngagementType.LIKE, EngagementType.COMMENT)
    return tuple(_activity(number, at, kinds[number % 2]) for number, at in enumerate(instants))


def post_of(activity_id: str) -> str:
    """The post of this activity. No other activity has it."""
    return f"urn:li:activity:{activity_id}"


def _activity(number: int, at: datetime, engagement_type: EngagementType) -> NewActivity:
    activity_id = f"7{number:018d}"
    return NewActivity(
        id=activity_id,
        pod_id=f"pod-{number % PODS}",
        engagement_type=engagement_type,
        post_id=post_of(activity_id),
        profile_id=None,
        comment_text=f"Well said, number {number}." if engagement_type is EngagementType.COMMENT else None,
        scheduled_for=at,
    )
