"""Checks whether a text is a PostgreSQL URL, without connecting.

The one rule: the error message never repeats the text, because it may hold a password.
"""

from __future__ import annotations

import psycopg2
from psycopg2.extensions import parse_dsn

__all__ = ["checked_database_url"]

_NO_URL = (
    "it is not a PostgreSQL URL: postgresql://user:password@host:5432/database; special characters in the password"
    " must be percent-encoded"
)


def checked_database_url(url: str) -> str:
    """The URL (or libpq's key=value form), if libpq understands it.

    Raises:
        ValueError: it is no usable PostgreSQL URL; the message does not repeat it.
    """
    try:
        parts = parse_dsn(url)
    except psycopg2.Error:
        # Not chained to the parser's error, which quotes the place where it failed: maybe a part of the password.
        raise ValueError(_NO_URL) from None
    if _holds_a_password(parts.get("host", ""), parts.get("port", "")):
        raise ValueError(_NO_URL)
    return url


def _holds_a_password(host: str, port: str) -> bool:
    """A bare `/` or `@` in a password splits the URL in the wrong place. libpq then takes a part of the password for
    the port or the host, and quotes that part when it cannot connect. A host that begins with `@` is an abstract
    socket."""
    return "@" in host[1:] or not set(port) <= set("0123456789,")
