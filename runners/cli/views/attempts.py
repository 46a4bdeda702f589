"""Formats attempts: a table for people, JSON for programs."""

from __future__ import annotations

from typing import Any

from rich.table import Table

from engagement_core.model.answer_record import AnswerRecord
from engagement_core.model.attempt import Attempt
from runners.cli.views.screen import at, table

__all__ = ["attempt_as_json", "attempts_table"]


def attempts_table(attempts: tuple[Attempt, ...]) -> Table:
    """One row for each attempt, by number."""
    rows = (
        (each.number, each.event.value, each.effect.value, at(each.began_at), at(each.ended_at), _said(each))
        for each in attempts
    )
    return table("Attempts", ("no.", "last event", "effect", "began", "ended", "answer"), rows)


def _said(attempt: Attempt) -> str | None:
    """The provider's answer, or why there is none; then late evidence, which came after the attempt had ended."""
    parts = [_told(attempt.error or attempt.answer)]
    if attempt.evidence is not None:
        parts.append(f"Late: {_told(attempt.evidence)}")
    return " ".join(filter(None, parts)) or None


def _told(record: AnswerRecord | None) -> str | None:
    if record is None:
        return None
    if message := record.get("message"):
        return str(message)
    engagement_id = record.get("engagement_id")
    return f"Yes: {engagement_id}" if engagement_id else "Yes."


def attempt_as_json(attempt: Attempt) -> dict[str, Any]:
    """Its documented shape."""
    return {
        "number": attempt.number,
        "phase": attempt.phase.value,
        "event": attempt.event.value,
        "effect": attempt.effect.value,
        "worker_id": attempt.worker_id,
        "account_id": attempt.account_id,
        "claimed_at": attempt.claimed_at.isoformat(),
        "began_at": attempt.began_at.isoformat() if attempt.began_at else None,
        "ended_at": attempt.ended_at.isoformat() if attempt.ended_at else None,
        "deadline_at": attempt.deadline_at.isoformat(),
        "look_at": attempt.look_at.isoformat() if attempt.look_at else None,
        "crashed": attempt.crashed,
        "text": attempt.text,
        "answer": attempt.answer,
        "error": attempt.error,
        "evidence": attempt.evidence,
    }
