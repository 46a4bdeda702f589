"""The facts by which incidents begin and end."""

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
    """A worker that stopped to beat without leaving, within the last day.

    `replaced_by` is a living worker that started after that. `is_news` says that no alert of its host was raised since.
    """

    worker_id: str
    host: str
    beat_at: datetime
    replaced_by: str | None
    is_news: bool


@dataclass(frozen=True, kw_only=True, slots=True)
class IncidentFacts:
    """One look. `seen_at` is the database's time.

    `attempts` were begun within the last minutes that were asked for, and have been judged or lost track of; `errors`
    counts those of them that are not known to have happened, by error type. Of the subjects of `open_incidents`,
    `held` are the accounts whose hold is in force, `recovered` those that have executed something that began after
    their incident was last raised, and `buried` the error types of which there are open dead letters.
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
