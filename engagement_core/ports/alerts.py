"""Telling people: alerts leave through an outbox, so that they can neither delay nor repeat an engagement.

The one rule: what is told is an *incident*, not an event. It is raised once, counts on while it is open, and is told
once more when it is over.
"""

from __future__ import annotations

from typing import Protocol

from engagement_core.model.decision import RaiseAlert
from engagement_core.model.incident import Alert, OpenIncident

__all__ = ["AlertOutbox", "Alerts", "AlertsUndelivered"]


class AlertsUndelivered(Exception):
    """The alert did not reach its destination; it stays in the outbox. The message says why, without an address."""


class Alerts(Protocol):
    """Where alerts go."""

    def send(self, alert: Alert) -> None:
        """Deliver one alert.

        Raises:
            AlertsUndelivered: for whatever reason.
        """
        ...


class AlertOutbox(Protocol):
    """Where alerts wait. Every method raises `StoreUnavailable` like the activity store."""

    def put(self, alert: RaiseAlert) -> None:
        """Queue an alert that belongs to no change of an activity; while its incident is open, it only counts."""
        ...

    def resolve(self, incident: OpenIncident, message: str) -> bool:
        """End the incident and queue the notice that says so; False if it was over, or raised again meanwhile."""
        ...

    def take(self, *, limit: int) -> tuple[Alert, ...]:
        """The oldest undelivered alerts whose pause is over, each for this caller alone for the next minute.

        What is said of one incident is handed out in the order in which it was said: the next only after the one
        before has been delivered.
        """
        ...

    def delivered(self, alert: Alert) -> None:
        """It has arrived; it is not taken again."""
        ...

    def failed(self, alert: Alert) -> None:
        """It has not arrived: it is taken again after a pause that doubles each time, 5 s at first, 10 min at most."""
        ...

    def give_back(self, alerts: tuple[Alert, ...]) -> None:
        """Nobody tried to deliver them: they may be taken at once."""
        ...
