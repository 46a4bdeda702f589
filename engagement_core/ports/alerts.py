"""Telling people: alerts leave through an outbox, so that they can neither delay nor repeat an engagement.

The one rule: what is told is an *incident*, not an event. It is raised once, counts on while it is open, and is told
once more when it is over.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from enum import Enum
from typing import Protocol

from engagement_core.ports.activities import RaiseAlert
from engagement_core.vocabulary import OpenWord

__all__ = ["Alert", "AlertOutbox", "AlertState", "Alerts", "AlertsUndelivered", "IncidentKind", "OpenIncident"]


class IncidentKind(str, Enum):
    """The closed list of what people are alerted of; `docs/reference/alerts.md` has a section for each."""

    AUTH_ERROR = "auth_error"
    RATE_LIMIT = "rate_limit"
    DEAD_LETTER = "dead_letter"
    UNREADABLE_PAYLOAD = "unreadable_payload"
    QUEUE_DEPTH = "queue_depth"
    ERROR_RATE = "error_rate"
    WORKER_LOST = "worker_lost"
    BREAKER_OPEN = "breaker_open"
    UNKNOWN_OUTCOME = "unknown_outcome"
    DATABASE_REFUSES = "database_refuses"

    def about(self, subject: str) -> str:
        """The name of an incident of this kind that concerns one account, error type or host."""
        return f"{self.value}:{subject}"


class AlertState(OpenWord):
    """Which of the two things that are said of an incident."""

    RAISED = "raised"
    RESOLVED = "resolved"


class AlertsUndelivered(Exception):
    """The alert did not reach its destination; it stays in the outbox. The message says why, without an address."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Alert:
    """One row of `engagement_alerts`: what happened, to which activity, and what to do next (or that it is over).

    `raised_at` is when the incident began, in both states. `is_new` says that nobody has taken this row before.
    """

    id: int
    incident: str
    kind: str
    message: str
    activity_id: str | None
    raised_at: datetime
    next_step: str | None = None
    state: AlertState = AlertState.RAISED
    is_new: bool = True


@dataclass(frozen=True, kw_only=True, slots=True)
class OpenIncident:
    """An incident that is not over. `times` says how often it was raised since it began, `last_at` when last."""

    incident: str
    kind: str
    activity_id: str | None
    times: int
    raised_at: datetime
    last_at: datetime

    @property
    def subject(self) -> str:
        """The account, error type or host that it concerns; empty when it concerns everything."""
        return self.incident.partition(":")[2]


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
