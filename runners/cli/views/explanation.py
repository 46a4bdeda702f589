"""Formats an explanation: tables for people, JSON for programs (docs/reference/json.md has its shape)."""

from __future__ import annotations

from typing import Any

from rich.console import Group, RenderableType

from engagement_core.decisions.explain import Explanation
from engagement_core.model.activity import Activity
from engagement_core.model.snapshot import Snapshot
from runners.cli.views.attempts import attempt_as_json, attempts_table
from runners.cli.views.screen import at, plain, table

__all__ = ["as_json", "as_screen"]


def as_screen(activity_id: str, found: Explanation, snapshot: Snapshot) -> RenderableType:
    """What it is, why, what happens next and what a person can do; then every attempt."""
    facts = (
        ("what", _what(snapshot)),
        ("phase", found.phase.value if found.phase else None),
        ("why", found.why),
        ("next", found.next),
        ("when", at(found.next_at)),
        ("a person can", found.person),
    )
    shown = [table(f"Activity {plain(activity_id)}", ("", ""), facts)]
    if snapshot.attempts:
        shown.append(attempts_table(snapshot.attempts))
    return Group(*shown)


def _what(snapshot: Snapshot) -> str | None:
    activity = snapshot.activity
    if not isinstance(activity, Activity):
        return None
    due = at(activity.scheduled_for)
    return f"{activity.engagement_type.value} of {activity.post_id} by pod {activity.pod_id}, scheduled for {due}"


def as_json(activity_id: str, found: Explanation, snapshot: Snapshot) -> dict[str, Any]:
    """Version 1 of the shape; times in ISO 8601."""
    return {
        "version": 1,
        "activity_id": activity_id,
        "activity": _activity_as_json(snapshot),
        "phase": found.phase.value if found.phase else None,
        "why": found.why,
        "next": found.next,
        "next_at": found.next_at.isoformat() if found.next_at else None,
        "person": found.person,
        "attempts": [attempt_as_json(attempt) for attempt in snapshot.attempts],
    }


def _activity_as_json(snapshot: Snapshot) -> dict[str, Any] | None:
    activity = snapshot.activity
    if not isinstance(activity, Activity):
        return None
    return {
        "pod_id": activity.pod_id,
        "engagement_type": activity.engagement_type.value,
        "post_id": activity.post_id,
        "profile_id": activity.profile_id,
        "account_id": snapshot.account.id if snapshot.account else None,
        "status": activity.status,
        "scheduled_for": activity.scheduled_for.isoformat(),
        "failure_count": activity.failure_count,
    }
