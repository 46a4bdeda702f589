"""What decides about an incident: the facts, and the limits above which something is an incident."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta

from engagement_core.model.incident import OpenIncident
from engagement_core.model.incident_facts import IncidentFacts

__all__ = ["IncidentPolicy", "View", "length"]


@dataclass(frozen=True, kw_only=True, slots=True)
class IncidentPolicy:
    """The limits above which something is an incident, and when each incident is over.

    An incident begins when more than `most_waiting` activities or jobs wait; when more than `error_rate` of at least
    `fewest_attempts` attempts of the last `attempts_of` failed; when an outcome has been unknown for `unknown_for`. The
    first two are over at half of their limit.
    Other incidents are over after a quiet time: an account's rate limit after `limit_for` without another one; an open
    breaker when no worker has found it open for `breaker_for`; a refusing database when it has refused nothing for
    `refused_for`; a lost worker when its host has lost none for `stable_after`. An incident that only a person can end
    is over when it was not raised again for `at_most`.
    """

    most_waiting: int = 1_000
    error_rate: float = 0.10
    fewest_attempts: int = 20
    attempts_of: timedelta = timedelta(minutes=5)
    unknown_for: timedelta = timedelta(hours=1)
    limit_for: timedelta = timedelta(hours=1)
    breaker_for: timedelta = timedelta(minutes=1)
    refused_for: timedelta = timedelta(minutes=1)
    stable_after: timedelta = timedelta(minutes=5)
    at_most: timedelta = timedelta(days=1)


@dataclass(frozen=True, kw_only=True, slots=True)
class View:
    """The facts, while they are judged. `waiting` activities or jobs could be executed now but are not."""

    facts: IncidentFacts
    waiting: int
    policy: IncidentPolicy

    @property
    def failed(self) -> int:
        """How many of the latest attempts failed."""
        return sum(self.facts.errors.values())

    @property
    def unknown_for(self) -> timedelta:
        """How long the oldest unknown outcome has been unknown; zero if there is none."""
        oldest = self.facts.oldest_unknown
        return self.facts.seen_at - oldest.since if oldest else timedelta(0)

    def quiet(self, incident: OpenIncident) -> timedelta:
        """The time since the incident was last raised."""
        return self.facts.seen_at - incident.last_at


def length(duration: timedelta) -> str:
    """The duration for people, in the largest unit that it fills."""
    seconds = duration.total_seconds()
    for unit, length in (("d", 86_400), ("h", 3_600), ("min", 60)):
        if seconds >= length:
            return f"{seconds / length:.0f} {unit}"
    return f"{max(seconds, 0):.0f} s"
