"""Reads what a producer wrote into a job, and trusts none of it.

The one rule: it takes only an activity id, and nothing in the payload can do harm. It reads at most 64 KiB. What cannot
be read becomes a value, never an exception.
"""

from __future__ import annotations

import base64
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from marshmallow import EXCLUDE, Schema, ValidationError, fields, pre_load, validate

__all__ = ["MAX_PAYLOAD_BYTES", "Illegible", "Named", "activity_id_in", "printable", "read_json"]

MAX_PAYLOAD_BYTES = 64 * 1024
_MAX_RAW_BYTES = 2048
_MAX_REASON = 300
# PostgreSQL's text can hold neither of them, so no row can have such an id.
_STORABLE = r"[^\x00\ud800-\udfff]*[^\x00\ud800-\udfff\s][^\x00\ud800-\udfff]*\Z"


@dataclass(frozen=True, slots=True)
class Named:
    """The job names an activity."""

    activity_id: str


@dataclass(frozen=True, kw_only=True, slots=True)
class Illegible:
    """The job names no activity. `raw` is the beginning of the payload in printable form."""

    reason: str
    raw: str


class _ArgumentsSchema(Schema):
    """The arguments of a call. Only the activity id is used."""

    class Meta:
        unknown = EXCLUDE

    activity_id = fields.String(
        required=True, validate=validate.And(validate.Length(max=1024), validate.Regexp(_STORABLE))
    )

    @pre_load
    def take_either_spelling(self, data: Any, **_: Any) -> Any:
        """Node producers write `activityId`."""
        if isinstance(data, Mapping) and "activity_id" not in data and "activityId" in data:
            return {"activity_id": data["activityId"]}
        return data


_ARGUMENTS = _ArgumentsSchema()


def activity_id_in(arguments: object) -> str:
    """The activity that a job's arguments name.

    Raises:
        ValidationError: they name none, or one that no row could have.
    """
    activity_id: str = _ARGUMENTS.load(arguments)["activity_id"]  # type: ignore[arg-type] # whatever it is
    return activity_id


def read_json(stored: bytes, plain: bytes, find: Callable[[Any], str]) -> Named | Illegible:
    """The activity that `find` sees in `plain`, which is JSON. `stored` is the payload as it is in Redis."""
    if len(plain) > MAX_PAYLOAD_BYTES:
        return Illegible(reason=f"the payload has more than {MAX_PAYLOAD_BYTES} bytes", raw=printable(stored))
    try:
        return Named(find(json.loads(plain.decode("utf-8"))))
    except ValidationError as error:
        return Illegible(reason=f"the payload names no activity: {error}"[:_MAX_REASON], raw=printable(plain))
    except (ValueError, RecursionError) as error:
        return Illegible(reason=f"the payload is not JSON ({type(error).__name__})", raw=printable(plain))


def printable(raw: bytes) -> str:
    """At most the first 2 KiB: as they are if they are printable text, else in base64."""
    head = raw[:_MAX_RAW_BYTES]
    text = head.decode("utf-8", "replace")
    if text.isprintable() and "\ufffd" not in text:
        return text
    return "base64:" + base64.b64encode(head).decode("ascii")
