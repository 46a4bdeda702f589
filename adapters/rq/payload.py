"""What a producer wrote into an RQ job, read as one reads what strangers write.

The one rule: nothing in it is believed but an activity id, and nothing in it can hurt: no pickle is loaded, no more
than 64 KiB is unpacked, and whatever cannot be read is a value, never an exception.
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
    """Which activity the `data` field of a job names."""
    return read_json(stored, _inflated(stored), _activity_id)


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
    return activity_id_in(arguments)
