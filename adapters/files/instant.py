"""Reads instants as people write them.

The one rule: an instant must have a time zone. Without one it would be wrong by hours for somebody.
"""

from __future__ import annotations

import re
from datetime import datetime, timedelta, timezone

__all__ = ["parse_instant"]

_NOT_ONE = "it is not a time like 2030-03-15T14:30:00Z"
_WITHOUT_ZONE = "it names no time zone: add Z for UTC, or an offset like +02:00"
# Python 3.10 accepts neither this letter nor fractions of other lengths than three and six.
_ZULU = re.compile(r"[zZ]$")
_FRACTION = re.compile(r"(?<=:\d\d)[.,](\d{1,9})")


def parse_instant(text: str) -> datetime:
    """An instant in ISO 8601, as aware UTC, to the microsecond.

    Raises:
        ValueError: the text is no instant, or has no time zone; the message says which.
    """
    spelled = _FRACTION.sub(lambda found: f".{found[1]:0<6.6}", _ZULU.sub("+00:00", text.strip()))
    try:
        instant = datetime.fromisoformat(spelled)
        if instant.utcoffset() is not None:
            return (instant - (instant.utcoffset() or timedelta(0))).replace(tzinfo=timezone.utc)
    except (ValueError, OverflowError):
        raise ValueError(_NOT_ONE) from None
    raise ValueError(_WITHOUT_ZONE)
