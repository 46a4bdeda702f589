"""Turns records into activities.

The one rule: an error is reported with its line and its field, before anything is written.
"""

from __future__ import annotations

import unicodedata
import uuid
from collections.abc import Callable, Iterable, Iterator, Mapping
from datetime import datetime
from typing import Any

from marshmallow import RAISE, Schema, ValidationError, fields, validate, validates_schema

from adapters.files.instant import parse_instant
from adapters.files.lines import LineProblem, Record
from engagement_core.decisions.comment_rules import check_comment
from engagement_core.model.activity import EngagementType, PublicStatus
from engagement_core.model.new_activity import NewActivity

__all__ = ["ActivityLines", "read_activity"]

_LONGEST = 500


class ActivityLines:
    """The activities of a file, read and checked one by one. It can be iterated once.

    Raises `LineProblem` during the iteration.
    """

    def __init__(self, records: Iterable[Record], *, new_id: Callable[[], str] = lambda: str(uuid.uuid4())) -> None:
        """`new_id` makes an id for records without one."""
        self._records = records
        self._new_id = new_id
        self._jumps = [(0, 0)]

    def __iter__(self) -> Iterator[NewActivity]:
        for position, (line, record) in enumerate(self._records, start=1):
            if line - position != self._jumps[-1][1]:
                self._jumps.append((position, line - position))
            try:
                activity = read_activity(record, new_id=self._new_id)
            except ValueError as error:
                raise LineProblem(line, str(error)) from error
            yield activity

    def line_of(self, position: int) -> int:
        """The line of the activity at `position`. Both count from 1."""
        return position + next(shift for since, shift in reversed(self._jumps) if since <= position)


def read_activity(record: Mapping[str, Any], *, new_id: Callable[[], str]) -> NewActivity:
    """One activity from the columns of `pod_activities`.

    Raises:
        ValueError: the message names each wrong field and its error, and quotes no comment.
    """
    try:
        values = _SCHEMA.load(record)
    except ValidationError as error:
        raise ValueError("; ".join(_told(error.messages))) from error
    return NewActivity(
        id=values.get("id") or new_id(),
        pod_id=values["pod_id"],
        engagement_type=EngagementType(values["engagement_type"]),
        post_id=values["post_id"],
        profile_id=values.get("profile_id"),
        comment_text=values.get("comment_text"),
        scheduled_for=values["scheduled_for"],
    )


def _instant(value: object) -> datetime:
    if not isinstance(value, str):
        raise ValidationError("it must be a text like 2030-03-15T14:30:00Z")
    try:
        return parse_instant(value)
    except ValueError as error:
        raise ValidationError(str(error)) from error


def _check_name(value: str) -> None:
    if not value.strip():
        raise ValidationError("it is empty")
    if len(value) > _LONGEST:
        raise ValidationError(f"it has more than {_LONGEST} characters")
    if any(unicodedata.category(character) in {"Cc", "Cs"} for character in value):
        raise ValidationError("it has control characters")


def _one_of(enum: Iterable[str], *words: str) -> validate.OneOf:
    return validate.OneOf(list(enum), error=f"it must be {' or '.join(words)}")


_WORDS: dict[str, Any] = {
    "required": "it is missing",
    "null": "it is missing",
    "invalid": "it must be a text",
    "invalid_utf8": "it is not UTF-8",
}


class _ActivitySchema(Schema):
    class Meta:
        unknown = RAISE

    error_messages = {"unknown": "there is no such column"}  # noqa: RUF012 - how marshmallow is told

    id = fields.String(allow_none=True, validate=_check_name, error_messages=_WORDS)
    pod_id = fields.String(required=True, validate=_check_name, error_messages=_WORDS)
    engagement_type = fields.String(
        required=True,
        validate=_one_of([kind.value for kind in EngagementType], "like", "comment"),
        error_messages=_WORDS,
    )
    post_id = fields.String(required=True, validate=_check_name, error_messages=_WORDS)
    profile_id = fields.String(allow_none=True, validate=_check_name, error_messages=_WORDS)
    comment_text = fields.String(allow_none=True, error_messages=_WORDS)
    scheduled_for = fields.Function(deserialize=_instant, required=True, error_messages=_WORDS)
    status = fields.String(
        allow_none=True, validate=_one_of([PublicStatus.SCHEDULED.value], "scheduled"), error_messages=_WORDS
    )

    @validates_schema
    def _check_text(self, data: Mapping[str, Any], **_: Any) -> None:
        text = data.get("comment_text")
        problems: tuple[str, ...] = ()
        if data["engagement_type"] == EngagementType.COMMENT.value:
            problems = check_comment(text)
        elif text is not None:
            problems = ("a like cannot have a text",)
        if problems:
            raise ValidationError({"comment_text": list(problems)})


_SCHEMA = _ActivitySchema()


def _told(messages: Any) -> Iterator[str]:
    for name, problems in sorted(messages.items()):  # marshmallow reports unknown fields in no fixed order
        yield f"{name}: {' and '.join(problems)}"
