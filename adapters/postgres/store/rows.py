"""Rows into values. The one rule: a row that describes no activity becomes `Malformed`, never an exception."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timezone
from typing import Any

from adapters.postgres.connection.instants import instant_of
from adapters.postgres.inspection.attempt_columns import ATTEMPT_COLUMNS
from engagement_core.model.activity import (
    Account,
    Activity,
    EngagementType,
    Malformed,
    Pod,
    PublicStatus,
    VoiceCartridge,
)
from engagement_core.model.attempt import Attempt
from engagement_core.model.controls import BlockScope, Control, ControlKind
from engagement_core.model.snapshot import Snapshot

__all__ = ["as_account", "as_attempt", "as_controls", "as_deleted", "as_snapshot", "released_at"]

_ATTEMPT_FIELDS = tuple(column.name for column in ATTEMPT_COLUMNS[1:])
_WORDS = tuple((column.name, word) for column in ATTEMPT_COLUMNS if (word := column.word) is not None)
_INSTANTS = tuple(column.name for column in ATTEMPT_COLUMNS if column.sql_type == "timestamptz")


def as_deleted(rows: Sequence[Sequence[Any]], activity_id: str) -> Snapshot:
    """What is left of an activity whose row was deleted, as `SHOW_DELETED` returns it."""
    return Snapshot(now=rows[0][0], activity=None, attempts=tuple(as_attempt(activity_id, *row[1:]) for row in rows))


def as_snapshot(rows: Sequence[Sequence[Any]]) -> Snapshot:
    """One activity, as `render_show` reads it: in one row, unless rows share its id."""
    activity_id, now, _, (activity, pod, account, cartridge, controls, attempts) = rows[0]
    kept = tuple(_listed_attempt(activity_id, each) for each in attempts or ())
    if len(rows) > 1:
        return Snapshot(now=now, activity=_shared_id([_activity(row[3][0]) for row in rows]), attempts=kept)
    return Snapshot(
        now=now,
        activity=_activity(activity),
        pod=None if pod is None else _pod(pod),
        account=None if account is None else as_account(account),
        cartridge=None if cartridge is None else _cartridge(cartridge),
        controls=as_controls(controls),
        attempts=kept,
    )


def _shared_id(rows: Sequence[Activity | Malformed]) -> Malformed:
    """Rows that are joined to an activity, or itself, share one id."""
    waits = any(row.status == PublicStatus.SCHEDULED.value for row in rows)
    return Malformed(
        id=rows[0].id,
        status=PublicStatus.SCHEDULED.value if waits else rows[0].status,
        problems=("its id is not unique: several rows of pod_activities, or of the pods it names, share one id",),
    )


def released_at(rows: Sequence[Sequence[Any]]) -> datetime | None:
    """When the account that acts was released, if that was a moment ago; `rows` as for `as_snapshot`."""
    released: datetime | None = rows[0][2]
    return released


def as_controls(listed: Sequence[Sequence[Any]] | None) -> tuple[Control, ...]:
    """Controls, from the JSON list that the statements make of them."""
    return tuple(_control(fields) for fields in listed or ())


def _activity(columns: Sequence[Any]) -> Activity | Malformed:
    activity_id, pod_id, kind, post_id, profile_id, text, scheduled_for, status, failures, next_retry_at = columns
    problems = []
    if kind not in (EngagementType.LIKE.value, EngagementType.COMMENT.value):
        problems.append(f"engagement_type is {kind!r}; it must be 'like' or 'comment'")
    if scheduled_for is None:
        problems.append("scheduled_for is missing or not a finite time")
    if not pod_id:
        problems.append("pod_id is missing")
    if post_id is None:
        problems.append("post_id is missing")
    if problems:
        return Malformed(id=activity_id, status=status, problems=tuple(problems))
    return Activity(
        id=activity_id,
        pod_id=pod_id,
        engagement_type=EngagementType(kind),
        post_id=post_id,
        profile_id=profile_id,
        comment_text=text,
        scheduled_for=instant_of(scheduled_for),
        status=status,
        failure_count=failures or 0,
        next_retry_at=None if next_retry_at is None else instant_of(next_retry_at),
    )


def _pod(columns: Sequence[Any]) -> Pod:
    pod_id, cartridge_id, account_id = columns
    return Pod(id=pod_id, voice_cartridge_id=cartridge_id, linkedin_account_id=account_id)


def as_account(columns: Sequence[Any]) -> Account:
    """An account, from its six columns in the order of its fields."""
    account_id, profile_id, provider_account_id, access_token, status, daily_limit = columns
    return Account(
        id=account_id,
        profile_id=profile_id,
        provider_account_id=provider_account_id,
        access_token=access_token,
        status=status,
        daily_limit=daily_limit,
    )


def _cartridge(columns: Sequence[Any]) -> VoiceCartridge:
    cartridge_id, personality_style, tone, templates = columns
    return VoiceCartridge(id=cartridge_id, personality_style=personality_style, tone=tone, templates=templates)


def _control(fields: Sequence[Any]) -> Control:
    kind, scope, scope_id, until, reason = fields
    return Control(
        kind=ControlKind(kind),
        scope=BlockScope(scope),
        scope_id=scope_id,
        until=None if until is None else datetime.fromtimestamp(until, timezone.utc),
        reason=reason,
    )


def as_attempt(activity_id: str, *columns: Any) -> Attempt:
    """An attempt, from the columns that the statements list: all of `ATTEMPT_COLUMNS` but the first."""
    return _attempt(activity_id, dict(zip(_ATTEMPT_FIELDS, columns, strict=True)))


def _listed_attempt(activity_id: str, listed: Sequence[Any]) -> Attempt:
    """An attempt, from the JSON list that the read makes of the same columns."""
    values = dict(zip(_ATTEMPT_FIELDS, listed, strict=True))
    for name in _INSTANTS:
        if values[name] is not None:
            values[name] = instant_of(values[name])
    return _attempt(activity_id, values)


def _attempt(activity_id: str, values: dict[str, Any]) -> Attempt:
    for name, word in _WORDS:
        values[name] = word(values[name])
    return Attempt(activity_id=activity_id, **values)
