"""`engagement dead-letters resolve`."""

from __future__ import annotations

from functools import partial
from pathlib import Path

import click

from adapters.postgres.store.activities import PostgresActivityStore
from engagement_core.decisions.dead_letters import Refused, Resolved, decide_resolve
from engagement_core.model.decision import Decision
from engagement_core.model.snapshot import Snapshot
from runners.cli.connections import database, doorbell
from runners.cli.failures import Failed
from runners.cli.servers import server_options, servers
from runners.cli.views.screen import plain, show_json
from runners.settings import read_settings

__all__ = ["resolve"]


@click.command()
@click.argument("activity_id", metavar="ID")
@click.option(
    "--as",
    "seen",
    type=click.Choice(["executed", "not-executed"]),
    required=True,
    help="What you saw on the post: the engagement is there, or it is not.",
)
@click.option("--dry-run", is_flag=True, help="Print what would be done, and do nothing.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
@server_options
def resolve(*, activity_id: str, seen: str, dry_run: bool, as_json: bool, embedded: bool, data: Path | None) -> None:
    """State whether an unknown outcome was executed, after you have looked at the post.

    With executed the dead letter is closed. With not-executed it stays, and can be requeued.

    \b
    Example:
      engagement dead-letters resolve 0b6f5c1e-7f6e-4d0c-9f0e-3b5b2f3a9a11 --as not-executed
    """
    with servers(read_settings(), embedded, data) as settings, database(settings) as pool:
        decide = partial(decide_resolve, executed=seen == "executed", visibility_lag=settings.visibility_lag)

        def what_if(snapshot: Snapshot) -> Decision[Resolved | Refused]:
            return Decision(decide(snapshot).result)

        result = PostgresActivityStore(pool).change(activity_id, what_if if dry_run else decide)
        if isinstance(result, Refused):
            raise Failed(plain(f"{activity_id} was not resolved: {result.reason}"))
        if result.executed and not dry_run:
            with doorbell(settings) as bell:
                bell.unbury(activity_id)
    if as_json:
        show_json({"version": 1, "dry_run": dry_run, "activity_id": activity_id, "resolved_as": seen})
    else:
        click.echo(plain(f"{activity_id}: {'would be ' if dry_run else ''}resolved as {seen}"))
