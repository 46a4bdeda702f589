"""The alert outbox in memory: it hands out what the activity store's writes have raised."""

from __future__ import annotations

import threading
from collections.abc import Callable, MutableMapping
from datetime import datetime, timedelta

from engagement_core.ports.activities import RaiseAlert
from engagement_core.ports.alerts import Alert

__all__ = ["InMemoryAlertOutbox"]

_ALONE_FOR = timedelta(minutes=1)


class InMemoryAlertOutbox:
    """Fills `engagement_core.ports.alerts.AlertOutbox` from `InMemoryActivityStore.alerts`.

    An alert counts as raised when it is first looked at, and its incident stays open for ever.
    """

    def __init__(self, raised: MutableMapping[str, RaiseAlert], *, now: Callable[[], datetime]) -> None:
        """
        Args:
            raised: the store's alerts by incident, in the order in which they were raised.
            now: the "database's" time, aware UTC.
        """
        self._raised = raised
        self._now = now
        self._lock = threading.Lock()
        self._seen: dict[str, Alert] = {}
        self._taken: dict[int, datetime] = {}
        self._delivered: set[int] = set()

    def put(self, alert: RaiseAlert) -> None:
        """See the port."""
        with self._lock:
            self._raised.setdefault(alert.incident, alert)

    def take(self, *, limit: int) -> tuple[Alert, ...]:
        """See the port."""
        with self._lock:
            now = self._now()
            waiting = [alert for alert in self._all(now) if self._may_be_taken(alert, now)][:limit]
            self._taken.update({alert.id: now for alert in waiting})
            return tuple(waiting)

    def delivered(self, alert: Alert) -> None:
        """See the port."""
        with self._lock:
            self._delivered.add(alert.id)

    def _all(self, now: datetime) -> list[Alert]:
        for incident, raised in list(self._raised.items()):
            if incident not in self._seen:
                self._seen[incident] = Alert(
                    id=len(self._seen) + 1,
                    kind=raised.kind,
                    message=raised.message,
                    activity_id=raised.activity_id,
                    raised_at=now,
                )
        return list(self._seen.values())

    def _may_be_taken(self, alert: Alert, now: datetime) -> bool:
        taken_at = self._taken.get(alert.id)
        return alert.id not in self._delivered and (taken_at is None or taken_at < now - _ALONE_FOR)
