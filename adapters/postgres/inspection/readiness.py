"""Checks that the executor can work on a database: all it needs exists, its role may use it, nothing refuses its
writes.

The one rule: the check runs before the first claim. After a claim, the engagement may already have been sent.
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
        SchemaProblem: the executor cannot work with it; the message says why.
    """
    catalog = checked(read_catalog(connection))
    lacking = [f"the database role lacks {right}" for right in missing_grants(connection)]
    forbidden = (*lacking, *writes_hidden(connection))
    if forbidden:
        raise SchemaProblem("; ".join(forbidden) + HOW_TO_PERMIT)
    broken = broken_rules(connection)
    if broken:
        raise SchemaProblem("; ".join(broken) + ". A sent engagement could not be recorded, so nothing is sent.")
    return catalog
