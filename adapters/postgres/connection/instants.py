"""Gives the core every instant in UTC, whatever the time zone of the server, the database or the role is.

The one rule: the conversion happens where a value is read. PostgreSQL shows an instant in the session's time zone.
Setting another time zone would take a round trip, and a transaction pooler would lose it after the transaction.
"""

from __future__ import annotations

import re
import sys
from datetime import datetime, timezone

from psycopg2.extensions import PYDATETIMETZ, connection, cursor, new_type, register_type

__all__ = ["instant_of", "read_instants_in_utc"]

_TIMESTAMPTZ = 1184


def read_instants_in_utc(of: connection) -> None:
    """Make this connection return each `timestamptz` as an aware UTC value."""
    register_type(_INSTANT, of)


def _instant(text: str | bytes | None, reader: cursor) -> datetime | None:
    at: datetime | None = PYDATETIMETZ(text, reader)
    return None if at is None else at.astimezone(timezone.utc)


_INSTANT = new_type((_TIMESTAMPTZ,), "INSTANT", _instant)


_FRACTION = re.compile(r"\.(\d+)")


def instant_of(text: str) -> datetime:
    """The instant that PostgreSQL writes into JSON, as an aware UTC value."""
    if sys.version_info < (3, 11):  # it reads three or six digits of a second alone
        text = _FRACTION.sub(lambda digits: f".{digits[1]:0<6}", text)
    return datetime.fromisoformat(text).astimezone(timezone.utc)
