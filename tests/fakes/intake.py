"""The intake in memory: the same refusals without a server."""

from __future__ import annotations

from collections.abc import Iterable

from engagement_core.model.activity import Activity, PublicStatus
from engagement_core.model.new_activity import NewActivity
from engagement_core.ports.intake import IntakeRefused
from fakes.activities import InMemoryActivityStore

__all__ = ["InMemoryIntake"]


class InMemoryIntake:
    """Fills `engagement_core.ports.intake.Intake`; the activities go into `store`."""

    def __init__(self, store: InMemoryActivityStore) -> None:
        self._store = store

    def add(self, activities: Iterable[NewActivity]) -> int:
        """See the port."""
        added: dict[str, Activity] = {}
        for position, new in enumerate(activities, start=1):
            for there, where in ((added, "comes twice"), (self._store.activities, "is in pod_activities already")):
                if new.id in there:
                    raise IntakeRefused(f"{new.id} {where}", activity_id=new.id, position=position, column="id")
            added[new.id] = _as_scheduled(new)
        self._store.activities.update(added)
        return len(added)


def _as_scheduled(new: NewActivity) -> Activity:
    return Activity(
        id=new.id,
        pod_id=new.pod_id,
        engagement_type=new.engagement_type,
        post_id=new.post_id,
        profile_id=new.profile_id,
        comment_text=new.comment_text,
        scheduled_for=new.scheduled_for,
        status=PublicStatus.SCHEDULED.value,
    )
