"""Attempts, for people and for programs."""

from __future__ import annotations

from typing import Any

from rich.table import Table

from engagement_core.attempt import Attempt
from runners.cli.screen import at, table

__all__ = ["attempt_as_json", "attempts_table"]


def attempts_table(attempts: tuple[Attempt, ...]) -> Table:
    """A row each, by number."""
    rows = (
        (each.number, each.event.value, each.effect.value, at(each.began_at), at(each.ended_at), _said(each))
        for each in attempts
    )
    return table("Attempts", ("no.", "ended by", "effect", "began", "ended", "error"), rows)


def _said(attempt: Attempt) -> str | None:
    message = (attempt.error or {}).get("message")
    return None if message is None else str(message)


def attempt_as_json(attempt: Attempt) -> dict[str, Any]:
    """Its documented shape."""
    return {
        "number": attempt.number,
        "phase": attempt.phase.value,
        "event": attempt.event.value,
        "effect": attempt.effect.value,
        "worker_id": attempt.worker_id,
        "claimed_at": attempt.claimed_at.isoformat(),
        "began_at": attempt.began_at.isoformat() if attempt.began_at else None,
        "ended_at": attempt.ended_at.isoformat() if attempt.ended_at else None,
        "text": attempt.text,
        "error": attempt.error,
        "evidence": attempt.evidence,
    }
