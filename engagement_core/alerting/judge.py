"""Decides which incidents begin and which are over.

The one rule: it is pure. Any number of workers may judge the same facts at once: they decide the same, and to raise an
open incident, or to resolve one that is over, changes nothing.
"""

from __future__ import annotations

from dataclasses import dataclass

from engagement_core.alerting.conditions import error_rate, lost_workers, queue_depth, unknown_outcome
from engagement_core.alerting.policy import IncidentPolicy, View
from engagement_core.alerting.resolutions import why_over
from engagement_core.model.decision import RaiseAlert
from engagement_core.model.incident import OpenIncident
from engagement_core.model.incident_facts import IncidentFacts

__all__ = ["Judgement", "Over", "judge"]


@dataclass(frozen=True, kw_only=True, slots=True)
class Over:
    """An incident that has ended; `message` says why, for people."""

    incident: OpenIncident
    message: str


@dataclass(frozen=True, kw_only=True, slots=True)
class Judgement:
    """The alerts to raise, and the incidents that are over."""

    raised: tuple[RaiseAlert, ...] = ()
    over: tuple[Over, ...] = ()


def judge(facts: IncidentFacts, *, waiting: int, policy: IncidentPolicy) -> Judgement:
    """Decide what has begun and what has ended.

    Args:
        facts: what the database says. A silent worker is news only if it has been silent long enough to be lost.
        waiting: how many activities or jobs could be executed now but are not; exact up to `most_waiting` + 1 at least.
        policy: the limits above which something is an incident.
    """
    view = View(facts=facts, waiting=waiting, policy=policy)
    is_open = {incident.incident for incident in facts.open_incidents}
    conditions = (queue_depth(view), error_rate(view), unknown_outcome(view))
    begun = (alert for alert in conditions if alert is not None and alert.incident not in is_open)
    endings = ((incident, why_over(view, incident)) for incident in facts.open_incidents)
    over = (Over(incident=incident, message=message) for incident, message in endings if message is not None)
    return Judgement(raised=(*begun, *lost_workers(view)), over=tuple(over))
