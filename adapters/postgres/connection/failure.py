"""Tells two kinds of psycopg2 error apart: the database is away, or the database is there and refuses.

The one rule: an error is a refusal only if it proves two things. The server answered, and a second try of the same
statement would end the same way. A lock that was not granted, a server that shuts down and a standby are outages.
"""

from __future__ import annotations

import re

import psycopg2

from engagement_core.ports.activities import StoreBusy, StoreRefused, StoreUnavailable

__all__ = ["NO_ROW_CHANGED", "as_store_error", "first_line"]

NO_ROW_CHANGED = "engagement: no row was changed"
"""The message of our own statements when a write that must change a row changed none."""

_PASSWORD = re.compile(r"(://[^:/@\s]*:)[^@\s]*@|(password=)\S+")

# SQLSTATEs that go away by themselves. Classes: connections, transactions that were rolled back, resources, an operator
# who intervenes, the system. Single ones: a time-out in a transaction, a server that only reads.
_PASSING_CLASSES = frozenset({"08", "40", "53", "57", "58"})
_PASSING = frozenset({"25P03", "25006", "25P02"})
_LOCK_NOT_AVAILABLE = "55P03"


def as_store_error(error: psycopg2.Error | UnicodeDecodeError) -> StoreUnavailable:
    """Turn a psycopg2 error into one of ours. The message names the database and holds no credentials."""
    if isinstance(error, UnicodeDecodeError):
        return StoreRefused("PostgreSQL: a text cannot be read in its encoding", code="encoding")
    code = error.pgcode
    if code == _LOCK_NOT_AVAILABLE:
        return StoreBusy(f"PostgreSQL: {first_line(error)}")
    if code is None or code[:2] in _PASSING_CLASSES or code in _PASSING:
        return StoreUnavailable(f"PostgreSQL: {first_line(error)}")
    line = first_line(error)
    if NO_ROW_CHANGED in line:
        line = "the write changed no row: a trigger or a rewrite rule of the table discards it"
        code = "no row changed"
    return StoreRefused(f"PostgreSQL: {line}", code=code)


def first_line(error: psycopg2.Error | UnicodeDecodeError) -> str:
    """The server's message in one line, without credentials."""
    # Before a session begins, the server writes its messages in an encoding of its own. Psycopg2 expects UTF-8.
    complaint = error.object.decode("utf-8", "replace") if isinstance(error, UnicodeDecodeError) else str(error)
    lines = complaint.strip().splitlines() or [f"{type(error).__name__}, with a message that cannot be read"]
    return _PASSWORD.sub(lambda match: f"{match[1] or match[2]}***{'@' if match[1] else ''}", lines[0])
