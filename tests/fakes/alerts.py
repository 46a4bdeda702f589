"""The alert outbox in memory: it hands out what the activity store's writes have raised."""

from __future__ import annotations

import threading
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta

from engagement_core.model.decision import Decision, RaiseAlert
from engagement_core.model.incident import Alert, AlertState, OpenIncident
from fakes.activities import InMemoryActivityStore

__all__ = ["InMemoryAlertOutbox"]

_ALONE_FOR = timedelta(minutes=1)
_SHORTEST_PAUSE, _LONGEST_PAUSE = timedelta(seconds=5), timedelta(minutes=10)


@dataclass
class _Row:
    alert: Alert
    next_try_at: datetime | None = None
    tries: int = 0
    is_delivered: bool = False


@dataclass
class InMemoryAlertOutbox:
    """Fills `engagement_core.ports.alerts.AlertOutbox` from `InMemoryActivityStore.alerts`."""

    store: InMemoryActivityStore
    _rows: list[_Row] = field(default_factory=list, init=False, repr=False)
    _lock: threading.RLock = field(default_factory=threading.RLock, init=False, repr=False)

    def put(self, alert: RaiseAlert) -> None:
        """See the port."""
        self.store.change("", lambda _: Decision(None, (alert,)))

    def resolve(self, incident: OpenIncident, message: str) -> bool:
        """See the port."""
        with self._lock:
            self._collect()
            if not self.store.end_incident(incident.incident, times=incident.times):
                return False
            self._add(
                RaiseAlert(
                    incident=incident.incident,
                    kind=incident.kind,
                    message=message,
                    activity_id=incident.activity_id,
                ),
                raised_at=incident.raised_at,
                state=AlertState.RESOLVED,
            )
            return True

    def waits(self) -> bool:
        """Whether there is something to take."""
        with self._lock:
            self._collect()
            return bool(self._deliverable())

    def take(self, *, limit: int) -> tuple[Alert, ...]:
        """See the port."""
        with self._lock:
            self._collect()
            now = self.store.now()
            taken = self._deliverable()
            alerts = tuple(row.alert for row in taken[:limit])
            for row in taken[:limit]:
                row.next_try_at = now + _ALONE_FOR
                row.alert = replace(row.alert, is_new=False)
            return alerts

    def delivered(self, alert: Alert) -> None:
        """See the port."""
        with self._lock:
            self._rows[alert.id - 1].is_delivered = True

    def failed(self, alert: Alert) -> None:
        """See the port."""
        with self._lock:
            row = self._rows[alert.id - 1]
            row.next_try_at = self.store.now() + min(_SHORTEST_PAUSE * 2 ** min(row.tries, 20), _LONGEST_PAUSE)
            row.tries += 1

    def give_back(self, alerts: tuple[Alert, ...]) -> None:
        """See the port."""
        with self._lock:
            for alert in alerts:
                self._rows[alert.id - 1].next_try_at = None

    def _collect(self) -> None:
        """What the store has raised since the last time becomes rows."""
        known = {(row.alert.incident, row.alert.raised_at) for row in self._rows}
        for incident, raised in list(self.store.alerts.items()):
            raised_at = self.store.raised[incident][0]
            if (incident, raised_at) not in known:
                self._add(raised, raised_at=raised_at, state=AlertState.RAISED)

    def _add(self, raised: RaiseAlert, *, raised_at: datetime, state: AlertState) -> None:
        alert = Alert(
            id=len(self._rows) + 1,
            incident=raised.incident,
            kind=raised.kind,
            message=raised.message,
            activity_id=raised.activity_id,
            raised_at=raised_at,
            next_step=raised.next_step,
            state=state,
        )
        self._rows.append(_Row(alert))

    def _deliverable(self) -> list[_Row]:
        now = self.store.now()
        return [row for row in self._first_of_each_incident() if row.next_try_at is None or row.next_try_at <= now]

    def _first_of_each_incident(self) -> list[_Row]:
        waiting: dict[str, _Row] = {}
        for row in self._rows:
            if not row.is_delivered:
                waiting.setdefault(row.alert.incident, row)
        return list(waiting.values())
