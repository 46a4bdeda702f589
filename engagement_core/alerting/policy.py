"""What an incident is judged by: the signs, and from where on something is an incident."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta

from engagement_core.model.incident import OpenIncident
from engagement_core.model.incident_facts import IncidentFacts

__all__ = ["IncidentPolicy", "View", "length"]


@dataclass(frozen=True, kw_only=True, slots=True)
class IncidentPolicy:
    """From where on something is an incident.

    More than `most_waiting` activities or jobs wait; more than `error_rate` of at least `fewest_attempts` attempts of
    the last `attempts_of` failed; an outcome is unknown for `unknown_for`. A backlog and an error rate are over at half
    of that. An account that met its limit is believed to be well again after `limit_for`, a breaker to be closed when
    nobody has found it open for `breaker_for`, a database to take everything when it has refused nothing for
    `refused_for`, a host to be stable when it has lost no worker for `stable_after`.
    Whatever only a person can end is not waited for any longer than `at_most`.
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
    """The signs, while they are judged. `waiting` activities or jobs could be executed now and are not."""

    facts: IncidentFacts
    waiting: int
    policy: IncidentPolicy

    @property
    def failed(self) -> int:
        """How many of the latest attempts failed."""
        return sum(self.facts.errors.values())

    @property
    def unknown_for(self) -> timedelta:
        """How long the oldest unknown outcome has been one; zero when there is none."""
        oldest = self.facts.oldest_unknown
        return self.facts.seen_at - oldest.since if oldest else timedelta(0)

    def quiet(self, incident: OpenIncident) -> timedelta:
        """How long it has not been raised."""
        return self.facts.seen_at - incident.last_at


def length(duration: timedelta) -> str:
    """For people, in the largest unit that it fills."""
    seconds = duration.total_seconds()
    for unit, length in (("d", 86_400), ("h", 3_600), ("min", 60)):
        if seconds >= length:
            return f"{seconds / length:.0f} {unit}"
    return f"{max(seconds, 0):.0f} s"
