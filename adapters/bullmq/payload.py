"""Reads what a producer wrote into a BullMQ job, and trusts none of it.

The one rule: it takes only an activity id, and which finished jobs the producer wants to keep.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from adapters.redis.payload import Illegible, Named, activity_id_in, printable, read_json

__all__ = ["encoded", "read_job", "read_options"]

_KEEPING = ("removeOnComplete", "removeOnFail")
_LIMITS = {"age", "count", "limit"}
_MAX_OPTIONS = 64 * 1024


def encoded(text: str) -> bytes:
    """The bytes as they are in Redis. Bytes that are not UTF-8 come as surrogates, so that any job can be read."""
    return text.encode("utf-8", "surrogateescape")


def read_job(job_id: str, fields: Mapping[str, str]) -> Named | Illegible:
    """The activity that a job names. `fields` are the fields of the job's hash."""
    data = encoded(fields.get("data", ""))
    if not job_id.isprintable():
        return Illegible(reason="the job's id is not printable text", raw=printable(data))
    return read_json(data, data, activity_id_in)


def read_options(fields: Mapping[str, str]) -> dict[str, Any]:
    """The options of a job that matter when it is finished. Options that make no sense are left out."""
    text = fields.get("opts", "")
    try:
        options = json.loads(text) if len(text) <= _MAX_OPTIONS else None
    except (ValueError, RecursionError):
        return {}
    if not isinstance(options, dict):
        return {}
    return {name: options[name] for name in _KEEPING if _says_what_to_keep(options.get(name))}


def _says_what_to_keep(value: object) -> bool:
    if isinstance(value, dict):
        return bool(value) and value.keys() <= _LIMITS and all(type(limit) is int for limit in value.values())
    return isinstance(value, bool) or type(value) is int
