"""Alerts to people. They leave through an outbox, so that they can neither delay nor repeat an engagement.

The one rule: an alert is about an *incident*, not an event. The first alert says that the incident began. While it is
open, further raises only count up. A last alert says that it is over.
"""

from __future__ import annotations

from typing import Protocol

from engagement_core.model.decision import RaiseAlert
from engagement_core.model.incident import Alert, OpenIncident

__all__ = ["AlertOutbox", "Alerts", "AlertsUndelivered"]


class AlertsUndelivered(Exception):
    """The alert was not delivered; it stays in the outbox. The message says why, without an address."""


class Alerts(Protocol):
    """Where alerts go."""

    def send(self, alert: Alert) -> None:
        """Deliver one alert.

        Raises:
            AlertsUndelivered: it was not delivered, for any reason.
        """
        ...


class AlertOutbox(Protocol):
    """Where alerts wait. Every method raises `StoreUnavailable` like the activity store."""

    def put(self, alert: RaiseAlert) -> None:
        """Queue an alert that belongs to no change of an activity. While its incident is open, it only counts up."""
        ...

    def resolve(self, incident: OpenIncident, message: str) -> bool:
        """End the incident and queue the alert that says so. False if it was over already, or was raised again."""
        ...

    def take(self, *, limit: int) -> tuple[Alert, ...]:
        """The oldest undelivered alerts whose pause is over. Each is this caller's alone for the next minute.

        Alerts about one incident are returned in the order in which they were queued: the next one only after the one
        before was delivered.
        """
        ...

    def delivered(self, alert: Alert) -> None:
        """The alert was delivered; it is not taken again."""
        ...

    def failed(self, alert: Alert) -> None:
        """The alert was not delivered. It is taken again after a pause that doubles each time, from 5 s to 10 min."""
        ...

    def give_back(self, alerts: tuple[Alert, ...]) -> None:
        """Nobody tried to deliver these alerts: they may be taken again at once."""
        ...
