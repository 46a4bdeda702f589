"""The status as a screen for people and as JSON for programs (the shape is in docs/reference/json.md)."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from rich.console import Group, RenderableType
from rich.text import Text

from engagement_core.model.controls import BlockScope, Control
from engagement_core.model.status import Count, Failed, InFlight, Status
from runners.cli.views.screen import at, duration, table

__all__ = ["Page", "as_json", "as_screen", "control_as_json", "scope_of"]

_STATES = {
    "scheduled": "for a later time",
    "due": "due now",
    "claimed": "being prepared",
    "sending": "request under way",
    "unknown": "may or may not have happened; is being read back",
    "executed": "happened, through this software",
    "failed": "open dead letters",
}


@dataclass(frozen=True, kw_only=True, slots=True)
class Page:
    """The status, and how many jobs are ready; None when the queue cannot be asked, or if there is none."""

    status: Status
    depth: int | None
    has_queue: bool = True


def as_json(page: Page) -> dict[str, Any]:
    """Version 1 of the shape; times in ISO 8601, durations in seconds."""
    seen = page.status
    return {
        "version": 1,
        "seen_at": seen.seen_at.isoformat(),
        "counts": {name: {"value": count.value, "exact": count.exact} for name, count in _counts(seen)},
        "queue_depth": page.depth,
        "oldest_due_s": _seconds(seen.oldest_due),
        "lateness": {
            "sends": seen.lateness.sends,
            "p50_s": _seconds(seen.lateness.p50),
            "p99_s": _seconds(seen.lateness.p99),
        },
        "last_day": {
            "judged": seen.recent.judged,
            "succeeded": seen.recent.succeeded,
            "success_rate": seen.recent.success_rate,
            "error_types": dict(seen.recent.error_types),
        },
        "dead_letters": {error_type.value: count for error_type, count in seen.dead_letters.items()},
        "controls": [control_as_json(control) for control in seen.controls],
        "held_accounts": [{"account_id": held.account_id, "status": held.status} for held in seen.held_accounts],
        "workers_alive": seen.workers_alive,
        **_examples_as_json(seen),
    }


def _examples_as_json(seen: Status) -> dict[str, Any]:
    return {
        "under_way": [_in_flight_as_json(each) for each in seen.in_flight_examples],
        "unknown": [_in_flight_as_json(each) for each in seen.unknown_examples],
        "late": [{"activity_id": each.activity_id, "due_at": each.due_at.isoformat()} for each in seen.late_examples],
        "failed": [_failed_as_json(each) for each in seen.failed_examples],
    }


def _in_flight_as_json(attempt: InFlight) -> dict[str, Any]:
    return {
        "activity_id": attempt.activity_id,
        "phase": attempt.phase.value,
        "worker_id": attempt.worker_id,
        "since": attempt.since.isoformat(),
        "next_at": attempt.next_at.isoformat() if attempt.next_at else None,
    }


def _failed_as_json(letter: Failed) -> dict[str, Any]:
    return {
        "activity_id": letter.activity_id,
        "error_type": letter.error_type.value,
        "message": letter.message,
        "next_step": letter.next_step,
        "buried_at": letter.buried_at.isoformat(),
    }


def control_as_json(control: Control) -> dict[str, Any]:
    """One control."""
    return {
        "kind": control.kind.value,
        "scope": control.scope.value,
        "scope_id": control.scope_id or None,
        "until": control.until.isoformat() if control.until else None,
        "reason": control.reason,
    }


def scope_of(scope: BlockScope, scope_id: str) -> str:
    """What is blocked, in words."""
    return "everything" if scope is BlockScope.ALL else f"{scope.value} {scope_id}"


def as_screen(page: Page) -> RenderableType:
    """One screen."""
    return Group(*_parts(page))


def _parts(page: Page) -> Iterator[RenderableType]:
    seen = page.status
    yield Text(f"Seen at {at(seen.seen_at)}", style="dim")
    yield table(
        "Activities",
        ("state", "count", ""),
        ((name, _shown(count), _STATES[name]) for name, count in _counts(seen)),
    )
    yield table("Now", ("", ""), _facts(page))
    if seen.recent.error_types:
        yield table("Errors of the last 24 h", ("type", "attempts"), seen.recent.error_types.items())
    if seen.dead_letters:
        letters = ((error_type.value, count) for error_type, count in seen.dead_letters.items())
        yield table("Dead letters", ("type", "open"), letters)
    if blocked := list(_blocked(seen)):
        yield table("Held back", ("what", "by", "until", "reason"), blocked)
    yield from _examples(seen)


def _examples(seen: Status) -> Iterator[RenderableType]:
    """A table for each kind that has examples."""
    flying = [(each.activity_id, each.phase.value, each.worker_id, at(each.since)) for each in seen.in_flight_examples]
    if flying:
        yield table("Under way", ("activity", "phase", "worker", "since"), flying)
    if seen.unknown_examples:
        lost = ((each.activity_id, at(each.since), at(each.next_at)) for each in seen.unknown_examples)
        yield table("Unknown", ("activity", "sent", "read back at"), lost)
    if seen.late_examples:
        yield table("Late", ("activity", "due"), ((each.activity_id, at(each.due_at)) for each in seen.late_examples))
    if seen.failed_examples:
        letters = (
            (each.activity_id, each.error_type.value, each.message, each.next_step) for each in seen.failed_examples
        )
        yield table("Failed last", ("activity", "type", "why", "what to do"), letters)


def _facts(page: Page) -> Iterator[tuple[str, str]]:
    seen = page.status
    yield "workers alive", str(seen.workers_alive)
    yield "queue depth", _depth(page)
    yield "oldest due", duration(seen.oldest_due) or "nothing is due"
    late = f"p50 {duration(seen.lateness.p50)}, p99 {duration(seen.lateness.p99)} of {seen.lateness.sends} sends"
    yield "lateness, last hour", late if seen.lateness.sends else "nothing was sent"
    rate = seen.recent.success_rate
    told = "nothing was sent" if rate is None else f"{rate:.1%} of {seen.recent.judged} attempts"
    yield "success, last 24 h", told


def _depth(page: Page) -> str:
    if not page.has_queue:
        return "there is no queue"
    return "unavailable" if page.depth is None else str(page.depth)


def _blocked(seen: Status) -> Iterator[tuple[str, str, str, str]]:
    for control in seen.controls:
        kind = control.kind.value.replace("_", "-")
        yield scope_of(control.scope, control.scope_id), kind, at(control.until) or "a person lifts it", control.reason
    for held in seen.held_accounts:
        yield f"account {held.account_id}", "its status", "its status changes", held.status


def _counts(seen: Status) -> Iterator[tuple[str, Count]]:
    for name in _STATES:
        yield name, getattr(seen, name)


def _shown(count: Count) -> object:
    return count.value if count.exact else f"about {count.value}"


def _seconds(length: timedelta | None) -> float | None:
    return None if length is None else round(length.total_seconds(), 6)
