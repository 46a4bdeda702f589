"""Whether the executor can work on a database: what it needs is there, is permitted, and nothing refuses its writes.

The one rule: it is asked before the first claim, because afterwards the engagement has been sent.
"""

from __future__ import annotations

from psycopg2.extensions import connection as Connection

from adapters.postgres.inspection.catalog import HOW_TO_PERMIT, Catalog, SchemaProblem, checked, read_catalog
from adapters.postgres.inspection.constraints import broken_rules
from adapters.postgres.inspection.grants import missing_grants
from adapters.postgres.inspection.row_security import writes_hidden

__all__ = ["ready_catalog"]


def ready_catalog(connection: Connection) -> Catalog:
    """The catalog, if the executor can work with it.

    Raises:
        SchemaProblem: otherwise.
    """
    catalog = checked(read_catalog(connection))
    lacking = [f"the database role lacks {right}" for right in missing_grants(connection)]
    forbidden = (*lacking, *writes_hidden(connection))
    if forbidden:
        raise SchemaProblem("; ".join(forbidden) + HOW_TO_PERMIT)
    broken = broken_rules(connection)
    if broken:
        raise SchemaProblem("; ".join(broken) + ". What is sent could not be recorded, so nothing is.")
    return catalog
