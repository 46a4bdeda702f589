"""Telling people: alerts leave through an outbox, so that they can neither delay nor repeat an engagement."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

from engagement_core.ports.activities import RaiseAlert

__all__ = ["Alert", "AlertOutbox", "Alerts", "AlertsUndelivered"]


class AlertsUndelivered(Exception):
    """The alert did not reach its destination; it stays in the outbox. The message says why."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Alert:
    """One row of `engagement_alerts`: what happened, to which activity, and what to do next."""

    id: int
    kind: str
    message: str
    activity_id: str | None
    raised_at: datetime


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
        """Queue an alert that belongs to no change of an activity; nothing happens while its incident is open."""
        ...

    def take(self, *, limit: int) -> tuple[Alert, ...]:
        """The oldest undelivered alerts, each for this caller alone for the next minute."""
        ...

    def delivered(self, alert: Alert) -> None:
        """It has arrived; it is not taken again."""
        ...
