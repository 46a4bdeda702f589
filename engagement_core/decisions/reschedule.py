"""Lets an activity wait again after an attempt.

The one rule: only an activity that is still scheduled waits. If somebody else cancelled or ended it meanwhile, it stays
so.
"""

from __future__ import annotations

from datetime import datetime

from engagement_core.model.activity import PublicStatus
from engagement_core.model.decision import ErrorNote, MarkScheduled, Write
from engagement_core.model.snapshot import Snapshot

__all__ = ["is_still_scheduled", "wait_again"]


def is_still_scheduled(snapshot: Snapshot) -> bool:
    """Nobody has cancelled, ended or deleted it."""
    return snapshot.activity is not None and snapshot.activity.status == PublicStatus.SCHEDULED.value


def wait_again(
    snapshot: Snapshot,
    activity_id: str,
    *,
    next_retry_at: datetime | None,
    error: ErrorNote | None = None,
    counts: bool = False,
) -> tuple[Write, ...]:
    """The write that lets it wait until `next_retry_at`; none if it is not scheduled any more. See `MarkScheduled`."""
    if not is_still_scheduled(snapshot):
        return ()
    return (MarkScheduled(activity_id=activity_id, next_retry_at=next_retry_at, error=error, counts=counts),)
