"""The levels of the in-memory store.

The one rule: like the real reader it decides nothing; it says what the dictionaries hold.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta

from engagement_core.model.activity import Activity, PublicStatus
from engagement_core.model.gauges import MOST_COUNTED, Gauges
from engagement_core.model.lifecycle import Phase
from fakes.activities import InMemoryActivityStore

__all__ = ["InMemoryGauges"]


@dataclass(frozen=True, kw_only=True)
class InMemoryGauges:
    """Fills `engagement_core.ports.gauges.GaugesReader`."""

    store: InMemoryActivityStore
    silent_for: timedelta = timedelta(seconds=6)

    def read(self) -> Gauges:
        """See the port."""
        now = self.store.now()
        activities = [each for each in self.store.activities.values() if isinstance(each, Activity)]
        waiting = [activity for activity in activities if self._waits(activity)]
        due = [now - activity.due_at for activity in waiting]
        attempts = [attempt for by_number in self.store.attempts.values() for attempt in by_number.values()]
        unknown = [now - (each.began_at or each.claimed_at) for each in attempts if each.phase is Phase.UNKNOWN]
        return Gauges(
            due=min(len(due), MOST_COUNTED),
            runnable=sum(not self.store.is_blocked(activity) for activity in waiting),
            oldest_due=max(due, default=None),
            unknown=min(len(unknown), MOST_COUNTED),
            oldest_unknown=max(unknown, default=None),
            dead_letters=min(len(self.store.dead_letters), MOST_COUNTED),
            workers_alive=sum(at > now - self.silent_for for at in self.store.beats.values()),
        )

    def _waits(self, activity: Activity) -> bool:
        attempts = self.store.attempts.get(activity.id, {}).values()
        is_due = activity.status == PublicStatus.SCHEDULED.value and activity.due_at <= self.store.now()
        return is_due and not any(attempt.may_have_had_effect for attempt in attempts)
