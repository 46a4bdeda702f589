"""Instants as the core wants them: in UTC, whatever the time zone of the server, the database or the role is.

The one rule: it is done where a value is read. PostgreSQL shows an instant in the session's time zone; setting another
one would take a round trip and not outlive a transaction in a pooler.
"""

from __future__ import annotations

from datetime import datetime, timezone

from psycopg2.extensions import PYDATETIMETZ, connection, cursor, new_type, register_type

__all__ = ["read_instants_in_utc"]

_TIMESTAMPTZ = 1184


def read_instants_in_utc(of: connection) -> None:
    """Have each `timestamptz` that this connection reads be aware UTC."""
    register_type(_INSTANT, of)


def _instant(text: str | bytes | None, reader: cursor) -> datetime | None:
    at: datetime | None = PYDATETIMETZ(text, reader)
    return None if at is None else at.astimezone(timezone.utc)


_INSTANT = new_type((_TIMESTAMPTZ,), "INSTANT", _instant)
