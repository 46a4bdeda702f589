"""Runs `engagement migrate`: it brings a database to our schema and changes nothing that is not ours.

The one rule: additive and idempotent. If an object exists already, its statement is not even sent: an `ALTER TABLE`
that changes nothing still needs the table's owner, and blocks everybody else.
"""

from __future__ import annotations

import re
from contextlib import closing
from importlib.resources import files

import psycopg2
from psycopg2.extensions import connection as Connection

from adapters.postgres.connection.failure import first_line
from adapters.postgres.connection.pool import PostgresPool, connect
from adapters.postgres.inspection.catalog import AS_CREATED, Catalog, SchemaProblem, read_catalog
from adapters.postgres.inspection.constraints import broken_rules
from adapters.postgres.inspection.row_security import open_to_browsers
from adapters.postgres.inspection.unique_ids import read_ids
from adapters.postgres.store.statements import render

__all__ = ["cautions", "migrate", "pending", "schema_sql", "statements"]

_COMMENT = re.compile(r"^\s*--.*\n", re.MULTILINE)
_ADDS_COLUMN = re.compile(r"ALTER TABLE (\w+) ADD COLUMN IF NOT EXISTS (\w+)")
_CREATES = re.compile(r"CREATE (?:TABLE|(?:UNIQUE )?INDEX) IF NOT EXISTS (\w+)")
_FOR_TEXT = """
-- The reads before every decision and the writes after it, planned once per connection. They are not used where ids are
-- not text: `engagement migrate` creates the functions that fit. You may drop those that no release uses any more."""
_BUILDS_ON = re.compile(r"(?:ALTER TABLE|CREATE (?:UNIQUE )?INDEX IF NOT EXISTS \w+ ON) (\w+)")
_VIEWS = """
SELECT relname FROM pg_class
 WHERE oid = to_regclass(relname::text) AND relname = ANY(%s) AND relkind NOT IN ('r', 'p')
"""
# Two migrations at the same time would race between "does it exist?" and "create it".
_LOCK = "SELECT pg_advisory_xact_lock(hashtext('pod-engagement:migrate'))"


def schema_sql() -> str:
    """The whole schema as a script for psql: its tables, and the function for their ids, which are text."""
    functions = "".join(f"{each.create};\n" for each in render(AS_CREATED).functions)
    return f"{_tables_sql()}{_FOR_TEXT}\n{functions}"


def _tables_sql() -> str:
    return files("adapters.postgres.schema").joinpath("schema.sql").read_text(encoding="utf-8")


def statements() -> tuple[str, ...]:
    """The script's statements that make tables and indexes, without comments."""
    parts = (part.strip() for part in _COMMENT.sub("", _tables_sql()).split(";"))
    return tuple(part for part in parts if part)


def pending(connection: Connection) -> tuple[str, ...]:
    """The statements that this database still needs; empty when the schema is complete. Changes nothing."""
    catalog = read_catalog(connection)
    return tuple(statement for statement in statements() if not _is_there(connection, catalog, statement))


def migrate(database_url: str) -> tuple[str, ...]:
    """Create or extend the schema in one transaction. Returns the statements that were needed.

    Raises:
        StoreUnavailable: the database cannot be reached.
        SchemaProblem: an existing object cannot work with us, or this role may not change it; nothing was changed.
    """
    connection = connect(database_url, connect_timeout=5, application_name="pod-engagement")
    try:
        with connection:
            return _apply(connection)
    except psycopg2.Error as error:
        raise SchemaProblem(f"PostgreSQL refused a statement: {first_line(error)}. Nothing was changed.") from error
    finally:
        connection.close()


def cautions(database_url: str) -> tuple[str, ...]:
    """What works today but should be corrected, one sentence each.

    Raises:
        StoreUnavailable: the database cannot be reached.
    """
    with (
        closing(PostgresPool(database_url, size=1)) as pool,
        pool.connection() as connection,
        connection.cursor() as cursor,
    ):
        cursor.execute("BEGIN READ ONLY")
        views, open_tables, ids = _views(connection), open_to_browsers(connection), read_ids(connection)
        cursor.execute("ROLLBACK")
    unindexed = [statement for statement in statements() if _CREATES.match(statement) and _is_on(views, statement)]
    return (
        *(f"a view has no index of its own; the table under it needs: {statement}" for statement in unindexed),
        *(
            f"anybody with the API's public key can read {table}: ALTER TABLE {table} ENABLE ROW LEVEL SECURITY"
            for table in open_tables
        ),
        *ids.duplicates,
        *ids.cautions,
    )


def _apply(connection: Connection) -> tuple[str, ...]:
    needed = []
    with connection.cursor() as cursor:
        # Lift the role's time limit: an index on a large table takes long.
        cursor.execute("SET LOCAL lock_timeout = '10s'; SET LOCAL statement_timeout = 0")
        cursor.execute(_LOCK)
        catalog, views = read_catalog(connection), _views(connection)
        _refuse((*catalog.misfits(), *broken_rules(connection), *read_ids(connection).activities))
        for statement in statements():
            if not (_is_on(views, statement) or _is_there(connection, catalog, statement)):
                cursor.execute(statement)
                needed.append(statement)
        catalog = read_catalog(connection)
        _refuse(catalog.problems())
        for function in render(catalog).functions:
            if not function.is_there(connection):
                cursor.execute(function.create)
                needed.append(function.create)
    return tuple(needed)


def _views(connection: Connection) -> frozenset[str]:
    with connection.cursor() as cursor:
        cursor.execute(_VIEWS, (sorted({name for name in map(_built_on, statements()) if name}),))
        return frozenset(row[0] for row in cursor.fetchall())


def _built_on(statement: str) -> str | None:
    found = _BUILDS_ON.match(statement)
    return found[1] if found else None


def _is_on(views: frozenset[str], statement: str) -> bool:
    """Whether the statement concerns a view. Only a view's owner may change it."""
    return _built_on(statement) in views


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
