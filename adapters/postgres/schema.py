"""`engagement migrate`: brings a database to the schema, without touching what is not ours.

The one rule: additive and idempotent. A statement whose object exists already is not even sent, because an
`ALTER TABLE` that changes nothing still needs the table's owner and locks out everybody.
"""

from __future__ import annotations

import re
from importlib.resources import files

import psycopg2
from psycopg2.extensions import connection as Connection

from adapters.postgres.catalog import AS_CREATED, Catalog, SchemaProblem, read_catalog
from adapters.postgres.pool import connect, first_line
from adapters.postgres.statements import render

__all__ = ["migrate", "pending", "schema_sql", "statements"]

_COMMENT = re.compile(r"^\s*--.*\n", re.MULTILINE)
_ADDS_COLUMN = re.compile(r"ALTER TABLE (\w+) ADD COLUMN IF NOT EXISTS (\w+)")
_CREATES = re.compile(r"CREATE (?:TABLE|(?:UNIQUE )?INDEX) IF NOT EXISTS (\w+)")
_FOR_TEXT = """-- The read before every decision, planned once per connection. Where ids are not text it goes unused:
-- `engagement migrate` creates the one that fits. One that no release uses any more may be dropped."""
# Two migrations at the same time would race between "is it there?" and "create it".
_LOCK = "SELECT pg_advisory_xact_lock(hashtext('pod-engagement:migrate'))"


def schema_sql() -> str:
    """The whole schema as a script that psql takes: the tables, and the function for ids as they are there, text."""
    return f"{_tables_sql()}\n{_FOR_TEXT}\n{render(AS_CREATED).kept_read.create};\n"


def _tables_sql() -> str:
    return files("adapters.postgres").joinpath("schema.sql").read_text(encoding="utf-8")


def statements() -> tuple[str, ...]:
    """The script's statements that make tables and indexes, without its comments."""
    parts = (part.strip() for part in _COMMENT.sub("", _tables_sql()).split(";"))
    return tuple(part for part in parts if part)


def pending(connection: Connection) -> tuple[str, ...]:
    """The statements that this database still needs; empty when the schema is complete. Changes nothing."""
    catalog = read_catalog(connection)
    return tuple(statement for statement in statements() if not _is_there(connection, catalog, statement))


def migrate(database_url: str) -> tuple[str, ...]:
    """Create or extend the schema, in one transaction; the statements that were needed.

    Raises:
        StoreUnavailable: the database cannot be reached.
        SchemaProblem: what is there already cannot work with us, or this role may not change it; nothing was changed.
    """
    connection = connect(database_url, connect_timeout=5, application_name="pod-engagement")
    try:
        with connection:
            return _apply(connection)
    except psycopg2.Error as error:
        raise SchemaProblem(f"PostgreSQL refused a statement: {first_line(error)}. Nothing was changed.") from error
    finally:
        connection.close()


def _apply(connection: Connection) -> tuple[str, ...]:
    needed = []
    with connection.cursor() as cursor:
        cursor.execute("SET LOCAL lock_timeout = '10s'")
        cursor.execute(_LOCK)
        catalog = read_catalog(connection)
        _refuse(catalog.misfits())
        for statement in statements():
            if not _is_there(connection, catalog, statement):
                cursor.execute(statement)
                needed.append(statement)
        catalog = read_catalog(connection)
        _refuse(catalog.problems())
        kept = render(catalog).kept_read
        if not kept.is_there(connection):
            cursor.execute(kept.create)
            needed.append(kept.create)
    return tuple(needed)


def _refuse(problems: tuple[str, ...]) -> None:
    if problems:
        raise SchemaProblem("; ".join(problems) + ". Nothing was changed.")


def _is_there(connection: Connection, catalog: Catalog, statement: str) -> bool:
    column = _ADDS_COLUMN.match(statement)
    if column:
        return (column[1], column[2]) in catalog.types
    created = _CREATES.match(statement)
    if not created:
        return False
    with connection.cursor() as cursor:
        cursor.execute("SELECT to_regclass(%s) IS NOT NULL", (created[1],))
        row = cursor.fetchone()
    return bool(row and row[0])
