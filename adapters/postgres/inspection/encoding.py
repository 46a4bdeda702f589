"""Whether the database can hold every text: a comment or an answer that it cannot hold would be lost after the sending.

The one rule: only UTF8 will do. Every other encoding lacks characters, and SQL_ASCII keeps bytes that nobody can read.
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
    """What is wrong with the encoding of the database, as a sentence without its full stop; None when it is UTF8."""
    # The server has said it when the connection was made: no round trip.
    encoding = connection.info.parameter_status("server_encoding") or _asked(connection)
    if encoding == _FIT:
        return None
    return (
        f"the database {connection.info.dbname} is encoded in {encoding}, which cannot hold every text of a comment or"
        f" of the provider: it must be encoded in {_FIT}"
    )


def _asked(connection: Connection) -> str:
    """For a pooler that does not pass it on."""
    with connection.cursor() as cursor:
        cursor.execute("SHOW server_encoding")
        row = cursor.fetchone()
    return str(row[0]) if row else ""
