"""Decides when an incident is over, and says why.

The one rule: it ends with a margin, so that it does not begin again at once.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import MappingProxyType

from engagement_core.alerting.policy import View, length
from engagement_core.model.incident import IncidentKind, OpenIncident

__all__ = ["why_over"]


def why_over(view: View, incident: OpenIncident) -> str | None:
    """Why the incident is over, for people; None if it is not over."""
    ends = _ENDS.get(incident.kind)
    why = ends(view, incident) if ends is not None else None
    if why is None:
        return None
    lasted = length(view.facts.seen_at - incident.raised_at)
    often = f", {incident.times} times" if incident.kind in _COUNTED and incident.times > 1 else ""
    return f"Resolved after {lasted}{often}: {incident.incident}. {why}"


def _depth_is_over(view: View, _: OpenIncident) -> str | None:
    return "The backlog has fallen to half of the limit." if view.waiting <= view.policy.most_waiting / 2 else None


def _rate_is_over(view: View, _: OpenIncident) -> str | None:
    is_over = view.failed <= view.facts.attempts * view.policy.error_rate / 2
    return f"{view.failed} of the latest {view.facts.attempts} attempts failed." if is_over else None


def _unknown_is_over(view: View, _: OpenIncident) -> str | None:
    if view.facts.oldest_unknown is not None and view.unknown_for >= view.policy.unknown_for:
        return None
    return f"No outcome has been unknown for {length(view.policy.unknown_for)}."


def _loss_is_over(view: View, incident: OpenIncident) -> str | None:
    lost = [worker for worker in view.facts.silent if worker.host == incident.subject]
    if view.quiet(incident) < view.policy.stable_after or any(worker.replaced_by is None for worker in lost):
        return None
    return f"Worker {lost[0].replaced_by} has replaced it." if lost else "It is back, or has been gone for over a day."


def _breaker_is_over(view: View, incident: OpenIncident) -> str | None:
    return "The provider is being called again." if view.quiet(incident) > view.policy.breaker_for else None


def _refusal_is_over(view: View, incident: OpenIncident) -> str | None:
    is_over = view.quiet(incident) > view.policy.refused_for
    return f"The database has refused nothing for {length(view.policy.refused_for)}." if is_over else None


def _hold_is_over(view: View, incident: OpenIncident) -> str | None:
    return None if incident.subject in view.facts.held else f"Account {incident.subject} is not held any more."


def _limit_is_over(view: View, incident: OpenIncident) -> str | None:
    if incident.subject in view.facts.recovered:
        return f"Account {incident.subject} has executed something since."
    if view.quiet(incident) > view.policy.limit_for:
        return f"Account {incident.subject} has met no limit for {length(view.policy.limit_for)}."
    return None


def _letters_are_over(view: View, incident: OpenIncident) -> str | None:
    if incident.subject not in view.facts.buried:
        return f"No dead letter of type {incident.subject} is open."
    return _is_forgotten(view, incident)


def _is_forgotten(view: View, incident: OpenIncident) -> str | None:
    is_old = view.quiet(incident) > view.policy.at_most
    return f"It has not happened for {length(view.policy.at_most)}." if is_old else None


_ENDS: Mapping[str, Callable[[View, OpenIncident], str | None]] = MappingProxyType(
    {
        IncidentKind.AUTH_ERROR: _hold_is_over,
        IncidentKind.RATE_LIMIT: _limit_is_over,
        IncidentKind.DEAD_LETTER: _letters_are_over,
        IncidentKind.UNREADABLE_PAYLOAD: _is_forgotten,
        IncidentKind.QUEUE_DEPTH: _depth_is_over,
        IncidentKind.ERROR_RATE: _rate_is_over,
        IncidentKind.WORKER_LOST: _loss_is_over,
        IncidentKind.BREAKER_OPEN: _breaker_is_over,
        IncidentKind.UNKNOWN_OUTCOME: _unknown_is_over,
        IncidentKind.DATABASE_REFUSES: _refusal_is_over,
    }
)
# For the other kinds, the number of raises only says how often somebody looked: the message leaves it out.
_COUNTED = frozenset(
    {
        IncidentKind.AUTH_ERROR,
        IncidentKind.RATE_LIMIT,
        IncidentKind.DEAD_LETTER,
        IncidentKind.UNREADABLE_PAYLOAD,
        IncidentKind.WORKER_LOST,
        IncidentKind.DATABASE_REFUSES,
    }
)
