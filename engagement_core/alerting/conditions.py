"""Decides when an incident begins, and what its alert says.

The one rule: a message says what was seen and what to do next.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta

from engagement_core.alerting.policy import View, length
from engagement_core.model.decision import RaiseAlert
from engagement_core.model.incident import IncidentKind

__all__ = ["breaker_open", "error_rate", "lost_workers", "queue_depth", "unknown_outcome"]


def breaker_open(held_back: timedelta) -> RaiseAlert:
    """The breaker makes no call for `held_back`. Raise this each time you see it: that keeps the incident open."""
    return _alert(
        IncidentKind.BREAKER_OPEN,
        f"The provider has failed repeatedly. No call is made for {held_back.total_seconds():.0f} s; then one call"
        " tests it.",
        "Check the provider's status page and UNIPILE_DSN. Due activities wait, uncharged, and are sent automatically.",
    )


def queue_depth(view: View) -> RaiseAlert | None:
    """More activities or jobs wait than the limit allows."""
    if view.waiting <= view.policy.most_waiting:
        return None
    return _alert(
        IncidentKind.QUEUE_DEPTH,
        f"More than {view.policy.most_waiting} activities are due and wait for a worker.",
        "Look at `engagement status`; start more workers, or raise POD_ENGAGEMENT_WORKER_CONCURRENCY.",
    )


def error_rate(view: View) -> RaiseAlert | None:
    """Too many of the latest attempts failed."""
    attempts, failed = view.facts.attempts, view.failed
    if attempts < view.policy.fewest_attempts or failed <= attempts * view.policy.error_rate:
        return None
    most_frequent = max(view.facts.errors, key=lambda error_type: view.facts.errors[error_type])
    minutes = view.policy.attempts_of / timedelta(minutes=1)
    return _alert(
        IncidentKind.ERROR_RATE,
        f"{failed} of {attempts} attempts of the last {minutes:.0f} min failed, most often with {most_frequent}.",
        "Look at `engagement status` and `engagement dead-letters list`; `engagement pause --all` stops all sending.",
    )


def unknown_outcome(view: View) -> RaiseAlert | None:
    """An outcome has been unknown for too long."""
    oldest = view.facts.oldest_unknown
    if oldest is None or view.unknown_for < view.policy.unknown_for:
        return None
    return _alert(
        IncidentKind.UNKNOWN_OUTCOME,
        f"The outcome of activity {oldest.activity_id} has been unknown for {length(view.unknown_for)}.",
        f"Look at the post, and run `engagement explain {oldest.activity_id}`. It is not sent again before its outcome"
        " is known. One day after it was sent, it becomes a dead letter.",
        activity_id=oldest.activity_id,
    )


def lost_workers(view: View) -> Iterator[RaiseAlert]:
    """Workers that stopped beating and did not leave in good order."""
    for worker in view.facts.silent:
        if worker.is_news:
            yield _alert(
                IncidentKind.WORKER_LOST,
                f"Worker {worker.worker_id} stopped without notice; its last heartbeat was at"
                f" {worker.beat_at:%Y-%m-%d %H:%M:%S} UTC. The other workers settle its open attempts.",
                f"Look at its log and at the memory of {worker.host}. Start it again if it does not restart by itself.",
                subject=worker.host,
            )


def _alert(
    kind: IncidentKind, what: str, next_step: str, *, subject: str = "", activity_id: str | None = None
) -> RaiseAlert:
    return RaiseAlert(
        incident=kind.about(subject) if subject else kind.value,
        kind=kind.value,
        message=f"{what} Next: {next_step}",
        activity_id=activity_id,
        next_step=next_step,
    )
