"""The facts that decide when incidents begin and end."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime

from engagement_core.model.incident import OpenIncident

__all__ = ["IncidentFacts", "OldestUnknown", "SilentWorker"]


@dataclass(frozen=True, kw_only=True, slots=True)
class OldestUnknown:
    """The attempt whose outcome has been unknown for the longest; `since` is when it was sent."""

    activity_id: str
    since: datetime


@dataclass(frozen=True, kw_only=True, slots=True)
class SilentWorker:
    """A worker that stopped beating within the last day and did not leave in good order.

    `replaced_by` is a living worker that started after that. `is_news` says that no alert about its host was raised
    since.
    """

    worker_id: str
    host: str
    beat_at: datetime
    replaced_by: str | None
    is_news: bool


@dataclass(frozen=True, kw_only=True, slots=True)
class IncidentFacts:
    """One reading of the facts. `seen_at` is the database's time.

    `attempts` counts the attempts that began within the requested minutes and have a verdict or an unknown outcome.
    `errors` counts, by error type, those of them that are not known to have happened. The other fields name subjects
    of `open_incidents`: `held` are the accounts whose hold is in force, `recovered` the accounts that executed
    something that began after their incident was last raised, `buried` the error types with open dead letters.
    """

    seen_at: datetime
    open_incidents: tuple[OpenIncident, ...] = ()
    attempts: int = 0
    errors: Mapping[str, int] = field(default_factory=dict)
    oldest_unknown: OldestUnknown | None = None
    silent: tuple[SilentWorker, ...] = ()
    held: frozenset[str] = frozenset()
    recovered: frozenset[str] = frozenset()
    buried: frozenset[str] = frozenset()
