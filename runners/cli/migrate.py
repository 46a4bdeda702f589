"""`engagement migrate`."""

from __future__ import annotations

from pathlib import Path

import click

from adapters.postgres.schema import migrate as bring_to_schema
from adapters.postgres.schema import schema_sql
from runners.cli.servers import server_options, servers
from runners.settings import read_settings

__all__ = ["migrate"]


@click.command(short_help="Create or extend the schema.")
@click.option("--sql", is_flag=True, help="Print the whole schema as a script for psql, and connect to nothing.")
@server_options
def migrate(sql: bool, embedded: bool, data: Path | None) -> None:
    """Create or extend the database's schema.

    Additive and safe to repeat, also on tables that E-03 and E-04 use already: what is there is not touched.

    \b
    Example:
      engagement migrate
      engagement migrate --sql | psql "$DATABASE_URL"
    """
    if sql:
        click.echo(schema_sql(), nl=False)
        return
    with servers(read_settings(), embedded, data, migrated=False) as settings:
        settings.need("database_url")
        needed = bring_to_schema(str(settings.database_url))
    for statement in needed:
        click.echo(statement.partition("\n")[0].rstrip(" ("))
    click.echo(f"{len(needed)} statements were needed." if needed else "Nothing to do: the schema is complete.")
