"""Reads the provider's ids and times, for marshmallow's `fields.Function`.

The one rule: every value that passes can be stored: it is short and printable, or an aware UTC time.
"""

from __future__ import annotations

import re
from datetime import datetime, timezone

from marshmallow import ValidationError

from adapters.unipile.plain import plain

__all__ = ["exact_instant_or_none", "instant", "provider_id"]

_MAX_ID = 255
_EXACT = re.compile(r"\d{4}-\d\d-\d\d[T ]\d\d:\d\d:\d\d(\.\d+)?(Z|[+-]\d\d:?\d\d)", re.ASCII)


def provider_id(value: object) -> str:
    """An id, given as text or as a number.

    Raises:
        ValidationError: it is neither of the two, or is empty.
    """
    if isinstance(value, (str, int)) and not isinstance(value, bool):
        text = plain(str(value), limit=_MAX_ID)
        if text:
            return text
    raise ValidationError("not an id")


def instant(value: object) -> datetime:
    """An ISO 8601 time. Without a zone it counts as UTC.

    Raises:
        ValidationError: it is not such a time.
    """
    try:
        # Python 3.10 does not know the Z.
        at = datetime.fromisoformat(str(value).replace("Z", "+00:00"))
        return (at if at.tzinfo else at.replace(tzinfo=timezone.utc)).astimezone(timezone.utc)
    except (ValueError, OverflowError) as error:
        raise ValidationError("not a time") from error


def exact_instant_or_none(value: object) -> datetime | None:
    """An ISO 8601 time with seconds and zone; None for anything else, such as "2d" or only a day.

    An inexact time would make a fresh engagement look like an old one.
    """
    if not _EXACT.fullmatch(str(value)):
        return None
    try:
        return instant(value)
    except ValidationError:
        return None
