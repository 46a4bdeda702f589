"""`engagement explain`."""

from __future__ import annotations

from pathlib import Path

import click

from adapters.postgres.readers.dead_letters import PostgresDeadLetters
from adapters.postgres.store.activities import PostgresActivityStore
from engagement_core.decisions.explain import explain as explained
from engagement_core.model.decision import as_it_is
from runners.bootstrap import claim_policy
from runners.cli.connections import database
from runners.cli.failures import Failed
from runners.cli.servers import server_options, servers
from runners.cli.views import explanation as explain_view
from runners.cli.views.screen import console, plain, show_json
from runners.settings import read_settings

__all__ = ["explain"]


@click.command(short_help="Show why an activity is in its state.")
@click.argument("activity_id", metavar="ID")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
@server_options
def explain(activity_id: str, as_json: bool, embedded: bool, data: Path | None) -> None:
    """Show why an activity is in its state, every attempt, what happens next and when, and what a person can do.

    \b
    Example:
      engagement explain 0b6f5c1e-7f6e-4d0c-9f0e-3b5b2f3a9a11
    """
    with servers(read_settings(), embedded, data) as settings, database(settings) as pool:
        snapshot = PostgresActivityStore(pool).change(activity_id, as_it_is)
        filed = PostgresDeadLetters(pool).find(activity_id)
    if snapshot.activity is None and not snapshot.attempts:
        raise Failed(plain(f"there is no activity {activity_id}"))
    found = explained(snapshot, filed.letter if filed else None, claim_policy(settings))
    if as_json:
        show_json(explain_view.as_json(activity_id, found, snapshot))
        return
    console().print(explain_view.as_screen(activity_id, found, snapshot))
