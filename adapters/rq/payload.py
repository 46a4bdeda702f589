"""What a producer wrote into a job, read as one reads what strangers write.

The one rule: nothing in it is believed but an activity id, and nothing in it can hurt: no pickle is loaded, no more
than 64 KiB is unpacked, and whatever cannot be read is a value, never an exception.
"""

from __future__ import annotations

import base64
import json
import zlib
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from marshmallow import EXCLUDE, Schema, ValidationError, fields, pre_load, validate

__all__ = ["MAX_PAYLOAD_BYTES", "Illegible", "Named", "printable", "read_payload"]

MAX_PAYLOAD_BYTES = 64 * 1024
_MAX_RAW_BYTES = 2048
_MAX_REASON = 300
# PostgreSQL's text holds neither of them, so no row can have such an id.
_STORABLE = r"[^\x00\ud800-\udfff]*[^\x00\ud800-\udfff\s][^\x00\ud800-\udfff]*\Z"


@dataclass(frozen=True, slots=True)
class Named:
    """The job names an activity."""

    activity_id: str


@dataclass(frozen=True, kw_only=True, slots=True)
class Illegible:
    """The job names none; `raw` is its beginning in printable form."""

    reason: str
    raw: str


class _CallSchema(Schema):
    """The four parts of a call, as RQ serializes it."""

    call = fields.Tuple(
        (
            fields.Raw(allow_none=True),
            fields.Raw(allow_none=True),
            fields.List(fields.Raw(allow_none=True)),
            fields.Dict(keys=fields.String()),
        ),
        required=True,
    )


class _ArgumentsSchema(Schema):
    """The arguments of a call; only the activity id is looked at."""

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


_CALL = _CallSchema()
_ARGUMENTS = _ArgumentsSchema()


def read_payload(stored: bytes) -> Named | Illegible:
    """Which activity the `data` field of a job names."""
    plain = _inflated(stored)
    if len(plain) > MAX_PAYLOAD_BYTES:
        return Illegible(reason=f"the payload has more than {MAX_PAYLOAD_BYTES} bytes", raw=printable(stored))
    try:
        return Named(_activity_id(json.loads(plain.decode("utf-8"))))
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


def _inflated(stored: bytes) -> bytes:
    """RQ compresses, other producers may not; one byte more than allowed is enough to know that it is too much."""
    try:
        return zlib.decompressobj().decompress(stored, MAX_PAYLOAD_BYTES + 1)
    except zlib.error:
        return stored


def _activity_id(call: object) -> str:
    _function, _instance, positional, keywords = _CALL.load({"call": call})["call"]
    arguments = keywords
    if positional and not {"activity_id", "activityId"} & keywords.keys():
        first = positional[0]
        arguments = {"activity_id": first} if isinstance(first, str) else first
    activity_id: str = _ARGUMENTS.load(arguments)["activity_id"]
    return activity_id
