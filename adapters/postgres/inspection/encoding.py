"""Checks whether the database can hold every text. If it cannot, a comment or an answer is lost after the sending.

The one rule: only UTF8 works. Every other encoding lacks characters, and SQL_ASCII stores bytes that nobody can read.
"""

from __future__ import annotations

from psycopg2.extensions import connection as Connection

__all__ = ["HOW_TO_ENCODE", "unfit_encoding"]

HOW_TO_ENCODE = (
    "An encoding cannot be changed: pg_dump the database, create another one (createdb --template=template0"
    " --encoding=UTF8 NAME), restore the dump into that one, and name it in DATABASE_URL."
)

_FIT = "UTF8"


def unfit_encoding(connection: Connection) -> str | None:
    """What is wrong with the database's encoding, as a sentence without its full stop; None when it is UTF8."""
    # The server reported it when the connection was opened, so this takes no round trip.
    encoding = connection.info.parameter_status("server_encoding") or _asked(connection)
    if encoding == _FIT:
        return None
    return (
        f"the database {connection.info.dbname} is encoded in {encoding}, which cannot hold every text of a comment or"
        f" of the provider: it must be encoded in {_FIT}"
    )


def _asked(connection: Connection) -> str:
    """Asks the server, for a pooler that does not pass the encoding on."""
    with connection.cursor() as cursor:
        cursor.execute("SHOW server_encoding")
        row = cursor.fetchone()
    return str(row[0]) if row else ""
