"""Reads JSON that somebody else wrote.

The one rule: reading never raises, whatever the JSON is. What fits the schema is kept, field by field.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from marshmallow import Schema, ValidationError

__all__ = ["json_object", "loaded", "strictly_loaded"]


def json_object(body: bytes | None) -> Mapping[str, Any]:
    """`body` itself, if it is a JSON object; otherwise empty."""
    return _object(_parsed(body))


def loaded(schema: Schema, body: bytes | None) -> Mapping[str, Any]:
    """The fields of `body` that match `schema`; empty if none do."""
    try:
        return _object(schema.load(_parsed(body)))
    except ValidationError as error:
        return _object(error.valid_data)
    except Exception:  # noqa: BLE001 - nested so deeply that the parser just succeeded, and the schema does not
        return {}


def strictly_loaded(schema: Schema, body: bytes | None) -> Mapping[str, Any] | None:
    """`body` if all of it matches `schema`, otherwise None."""
    try:
        return _object(schema.load(_parsed(body)))
    except Exception:  # noqa: BLE001 - it does not match, or is nested so deeply that nobody can tell
        return None


def _parsed(body: bytes | None) -> Any:
    try:
        return json.loads(body or b"null")
    except (ValueError, RecursionError):
        return None


def _object(value: object) -> Mapping[str, Any]:
    return value if isinstance(value, dict) else {}
