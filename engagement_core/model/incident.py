"""An incident, and the alerts that tell people when it begins and when it is over."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from enum import Enum

from engagement_core.model.vocabulary import OpenWord

__all__ = ["Alert", "AlertState", "IncidentKind", "OpenIncident"]


class IncidentKind(str, Enum):
    """The closed list of what raises an alert; `docs/reference/alerts.md` has a section for each."""

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
        """The name of an incident of this kind about one account, error type, host or SQLSTATE."""
        return f"{self.value}:{subject}"


class AlertState(OpenWord):
    """Whether the alert says that the incident began, or that it is over."""

    RAISED = "raised"
    RESOLVED = "resolved"


@dataclass(frozen=True, kw_only=True, slots=True)
class Alert:
    """One row of `engagement_alerts`: what happened, to which activity, and what to do next (or that it is over).

    `raised_at` is when the incident began, in both states. `is_new` says that no worker has taken this row before.
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
    """An incident that is not over. `times` counts how often it was raised; `last_at` is when it was last raised."""

    incident: str
    kind: str
    activity_id: str | None
    times: int
    raised_at: datetime
    last_at: datetime

    @property
    def subject(self) -> str:
        """The account, error type, host or SQLSTATE that it is about; empty if it is about everything."""
        return self.incident.partition(":")[2]
