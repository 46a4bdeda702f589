"""`engagement explain`."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click
from rich.console import Group

from adapters.postgres.activities import PostgresActivityStore
from adapters.postgres.dead_letters import PostgresDeadLetters
from engagement_core.explain import Explanation
from engagement_core.explain import explain as explained
from engagement_core.ports.activities import Snapshot, as_it_is
from runners.cli.attempts_view import attempt_as_json, attempts_table
from runners.cli.connections import database
from runners.cli.failures import Failed
from runners.cli.screen import at, console, plain, show_json, table
from runners.cli.servers import server_options, servers
from runners.settings import read_settings

__all__ = ["explain"]


@click.command(short_help="Why an activity is where it is.")
@click.argument("activity_id", metavar="ID")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
@server_options
def explain(activity_id: str, as_json: bool, embedded: bool, data: Path | None) -> None:
    """Say why an activity is where it is, every attempt, what happens next and when, and what a person can do.

    \b
    Example:
      engagement explain 0b6f5c1e-7f6e-4d0c-9f0e-3b5b2f3a9a11
    """
    with servers(read_settings(), embedded, data) as settings, database(settings) as pool:
        snapshot = PostgresActivityStore(pool).change(activity_id, as_it_is)
        filed = PostgresDeadLetters(pool).find(activity_id)
    if snapshot.activity is None and not snapshot.attempts:
        raise Failed(plain(f"there is no activity {activity_id}"))
    found = explained(snapshot, filed.letter if filed else None)
    if as_json:
        show_json(_as_json(activity_id, found, snapshot))
        return
    facts = (
        ("phase", found.phase.value if found.phase else None),
        ("why", found.why),
        ("next", found.next),
        ("when", at(found.next_at)),
        ("a person can", found.person),
    )
    shown = [table(f"Activity {plain(activity_id)}", ("", ""), facts)]
    if snapshot.attempts:
        shown.append(attempts_table(snapshot.attempts))
    console().print(Group(*shown))


def _as_json(activity_id: str, found: Explanation, snapshot: Snapshot) -> dict[str, Any]:
    return {
        "version": 1,
        "activity_id": activity_id,
        "phase": found.phase.value if found.phase else None,
        "why": found.why,
        "next": found.next,
        "next_at": found.next_at.isoformat() if found.next_at else None,
        "person": found.person,
        "attempts": [attempt_as_json(attempt) for attempt in snapshot.attempts],
    }
