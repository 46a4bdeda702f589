"""Reads what a producer wrote into an RQ job, and trusts none of it.

The one rule: it takes only an activity id, and nothing in the payload can do harm. It loads no pickle and unpacks at
most 64 KiB. What cannot be read becomes a value, never an exception.
"""

from __future__ import annotations

import zlib

from marshmallow import Schema, fields

from adapters.redis.payload import MAX_PAYLOAD_BYTES, Illegible, Named, activity_id_in, printable, read_json

__all__ = ["MAX_PAYLOAD_BYTES", "Illegible", "Named", "printable", "read_payload"]


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


_CALL = _CallSchema()


def read_payload(stored: bytes) -> Named | Illegible:
    """The activity that the `data` field of a job names."""
    return read_json(stored, _inflated(stored), _activity_id)


def _inflated(stored: bytes) -> bytes:
    """Decompress: RQ compresses, other producers may not.
    One byte more than the limit is enough to know that it is too large."""
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
    return activity_id_in(arguments)
