"""`engagement migrate`."""

from __future__ import annotations

from pathlib import Path

import click

from adapters.postgres.inspection.grants import grants_sql
from adapters.postgres.schema.migrate import cautions, schema_sql
from adapters.postgres.schema.migrate import migrate as bring_to_schema
from runners.cli.servers import server_options, servers
from runners.cli.views.screen import warn
from runners.settings import read_settings

__all__ = ["migrate"]


@click.command(short_help="Create or extend the schema.")
@click.option("--sql", is_flag=True, help="Print the whole schema as a script for psql; do not connect.")
@click.option("--role", metavar="NAME", help="With --sql: also print the rights that this role needs for the worker.")
@server_options
def migrate(sql: bool, role: str | None, embedded: bool, data: Path | None) -> None:
    """Create or extend the database's schema.

    It only adds, so it is safe to repeat, also on tables that E-03 and E-04 already use. It changes nothing that is
    there.

    \b
    Example:
      engagement migrate
      engagement migrate --sql | psql "$DATABASE_URL"
      engagement migrate --sql --role executor | psql "$DATABASE_URL"
    """
    if role is not None and not sql:
        raise click.UsageError("--role goes with --sql: the command prints the rights, and you grant them")
    if sql:
        click.echo(_script(role), nl=False)
        return
    with servers(read_settings(), embedded, data, migrated=False) as settings:
        settings.need("database_url")
        needed = bring_to_schema(str(settings.database_url))
        told = cautions(str(settings.database_url))
    for caution in told:
        warn(caution)
    for statement in needed:
        click.echo(statement.partition("\n")[0].rstrip(" ("))
    click.echo(f"{len(needed)} statements were needed." if needed else "Nothing to do: the schema is complete.")


def _script(role: str | None) -> str:
    schema = schema_sql()
    if role is None:
        return schema
    try:
        return f"{schema}\n{grants_sql(role, schema)}"
    except ValueError as error:
        raise click.BadParameter(str(error), param_hint="--role") from None
