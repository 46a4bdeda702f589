"""The domain's writes as SQL. The one rule: one statement per write, and every text is one that PostgreSQL can hold."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from adapters.postgres.connection.sanitize import sanitize
from adapters.postgres.inspection.attempt_columns import ATTEMPT_COLUMNS
from adapters.postgres.store import statements as sql
from engagement_core.model.decision import (
    AddDeadLetter,
    Block,
    CloseDeadLetter,
    ErrorNote,
    MarkExecuted,
    MarkFailed,
    MarkScheduled,
    RaiseAlert,
    SaveAttempt,
    Write,
)
from engagement_core.model.snapshot import Snapshot

__all__ = ["as_sql"]

_Parameters = dict[str, Any]


def as_sql(write: Write, snapshot: Snapshot) -> tuple[str, _Parameters]:
    """The statement and its parameters."""
    statement, parameters = _RENDERERS[type(write)](write, snapshot)
    return statement, {name: sanitize(value) for name, value in parameters.items()}


def _attempt(write: SaveAttempt, _: Snapshot) -> tuple[str, _Parameters]:
    values = ((column, getattr(write.attempt, column.name)) for column in ATTEMPT_COLUMNS)
    return sql.SAVE_ATTEMPT, {column.name: value.value if column.word else value for column, value in values}


def _scheduled(write: MarkScheduled, _: Snapshot) -> tuple[str, _Parameters]:
    return sql.MARK_SCHEDULED, {
        "activity_id": write.activity_id,
        "next_retry_at": write.next_retry_at,
        "last_error": None if write.error is None else _note(write.error),
        "counts": int(write.counts),
    }


def _executed(write: MarkExecuted, _: Snapshot) -> tuple[str, _Parameters]:
    result = {
        "success": True,
        "timestamp": write.executed_at.isoformat(),
        "api_response": {
            "post_id": write.post_id,
            "created_at": write.created_at.isoformat() if write.created_at else None,
            "engagement_id": write.engagement_id,
        },
        "provenance": write.provenance.value,
    }
    return sql.MARK_EXECUTED, {
        "activity_id": write.activity_id,
        "executed_at": write.executed_at,
        "execution_result": result,
        "execution_id": write.engagement_id,
        "comment_generated": write.comment_generated,
    }


def _failed(write: MarkFailed, _: Snapshot) -> tuple[str, _Parameters]:
    return sql.MARK_FAILED, {
        "activity_id": write.activity_id,
        "executed_at": write.executed_at,
        "last_error": _note(write.error),
        "counts": int(write.counts),
    }


def _note(error: ErrorNote) -> _Parameters:
    return {
        "error_type": error.error_type.value,
        "message": error.message,
        "timestamp": error.timestamp.isoformat(),
        "will_retry": error.will_retry,
    }


def _dead_letter(write: AddDeadLetter, snapshot: Snapshot) -> tuple[str, _Parameters]:
    letter = write.letter
    return sql.ADD_DEAD_LETTER, {
        "activity_id": letter.activity_id,
        "pod_id": snapshot.pod.id if snapshot.pod else None,
        "account_id": snapshot.account.id if snapshot.account else None,
        "error_type": letter.error_type.value,
        "message": letter.message,
        "effect": letter.effect.value,
        "next_step": letter.next_step,
        "buried_at": letter.buried_at,
    }


def _close(write: CloseDeadLetter, _: Snapshot) -> tuple[str, _Parameters]:
    return sql.CLOSE_DEAD_LETTER, {
        "activity_id": write.activity_id,
        "closed_at": write.closed_at,
        "resolution": write.resolution,
    }


def _block(write: Block, _: Snapshot) -> tuple[str, _Parameters]:
    control = write.control
    return sql.BLOCK, {
        "kind": control.kind.value,
        "scope": control.scope.value,
        "scope_id": control.scope_id,
        "until": control.until,
        "reason": control.reason,
    }


def _alert(write: RaiseAlert, _: Snapshot) -> tuple[str, _Parameters]:
    return sql.RAISE_ALERT, {
        "incident": write.incident,
        "kind": write.kind,
        "message": write.message,
        "activity_id": write.activity_id,
        "next_step": write.next_step,
    }


_RENDERERS: Mapping[type, Callable[[Any, Snapshot], tuple[str, _Parameters]]] = {
    SaveAttempt: _attempt,
    MarkScheduled: _scheduled,
    MarkExecuted: _executed,
    MarkFailed: _failed,
    AddDeadLetter: _dead_letter,
    CloseDeadLetter: _close,
    Block: _block,
    RaiseAlert: _alert,
}
