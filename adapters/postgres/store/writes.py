"""The domain's writes as SQL. The one rule: one statement per write, and every text is one that PostgreSQL can hold."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from adapters.postgres.connection.sanitize import sanitize
from adapters.postgres.store import statements as sql
from adapters.postgres.store.save import Plain, Save, error_note
from engagement_core.model.decision import (
    AddDeadLetter,
    Block,
    CloseDeadLetter,
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


def as_sql(write: Write, snapshot: Snapshot, save: Save) -> tuple[str, _Parameters]:
    """The statement and its parameters."""
    if isinstance(write, SaveAttempt):
        return save.one(Plain(attempt=write.attempt, mark=None))
    if isinstance(write, (MarkExecuted, MarkScheduled)):
        return save.one(Plain(attempt=None, mark=write))
    statement, parameters = _RENDERERS[type(write)](write, snapshot)
    return statement, {name: sanitize(value) for name, value in parameters.items()}


def _failed(write: MarkFailed, _: Snapshot) -> tuple[str, _Parameters]:
    return sql.MARK_FAILED, {
        "activity_id": write.activity_id,
        "executed_at": write.executed_at,
        "last_error": error_note(write.error),
        "counts": int(write.counts),
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
    MarkFailed: _failed,
    AddDeadLetter: _dead_letter,
    CloseDeadLetter: _close,
    Block: _block,
    RaiseAlert: _alert,
}
