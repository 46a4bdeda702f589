"""`engagement dead-letters requeue`."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import click

from adapters.postgres.readers.dead_letters import PostgresDeadLetters
from adapters.postgres.store.activities import PostgresActivityStore
from engagement_core.decisions.dead_letters import Refused, Requeued, decide_requeue
from engagement_core.model.decision import Decision
from engagement_core.model.letter_file import LetterFilter
from engagement_core.model.snapshot import Snapshot
from runners.cli.connections import Doorbell, database, doorbell
from runners.cli.failures import Failed
from runners.cli.letter_filter import filter_options
from runners.cli.servers import server_options, servers
from runners.cli.views.screen import at, plain, show_json
from runners.settings import read_settings

__all__ = ["requeue"]

_PAGE = 500


@click.command()
@click.argument("activity_ids", metavar="[ID]...", nargs=-1)
@filter_options
@click.option("--all", "everything", is_flag=True, help="Every open dead letter.")
@click.option("--dry-run", is_flag=True, help="Print what would be done, and do nothing.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
@server_options
def requeue(
    *,
    activity_ids: tuple[str, ...],
    wanted: LetterFilter,
    everything: bool,
    dry_run: bool,
    as_json: bool,
    embedded: bool,
    data: Path | None,
) -> None:
    """Schedule dead letters again, by id or by filter. Each starts with a new count of attempts.

    The command reports every letter. A refused letter does not stop the others; the exit code is 1 if any was refused.
    An engagement that may have happened is refused until it is resolved.

    \b
    Example:
      engagement dead-letters requeue 0b6f5c1e-7f6e-4d0c-9f0e-3b5b2f3a9a11
      engagement dead-letters requeue --error-type rate_limit --since 2h --dry-run
    """
    by_filter = wanted != LetterFilter()
    if sum((bool(activity_ids), by_filter, everything)) != 1:
        raise click.UsageError("say which dead letters: give ids, or a filter such as --error-type, or --all")
    results: list[dict[str, Any]] = []
    with servers(read_settings(), embedded, data) as settings, database(settings) as pool:
        store = PostgresActivityStore(pool)
        chosen = dict.fromkeys(activity_ids) if activity_ids else _matching(PostgresDeadLetters(pool), wanted)
        try:
            with doorbell(settings) as bell:
                for activity_id in chosen:
                    result = _requeue(store, bell, activity_id, dry_run)
                    results.append(_as_json(activity_id, result))
                    if not as_json:
                        click.echo(plain(f"{activity_id}: {_told(result, dry_run)}"))
        finally:
            # Also if the database goes away meanwhile: what was requeued until then stays requeued.
            if as_json:
                show_json({"version": 1, "dry_run": dry_run, "results": results})
    if not results and not as_json:
        click.echo("No dead letters.")
    if refused := sum(1 for result in results if not result["requeued"]):
        raise Failed(f"{refused} of {len(results)} dead letters were refused")


def _matching(letters: PostgresDeadLetters, wanted: LetterFilter) -> Iterator[str]:
    """Read page by page. Each page begins after the last, so letters that were requeued or refused do not return."""
    after = 0
    while page := letters.page(wanted, limit=_PAGE, after=after):
        for filed in page:
            yield filed.letter.activity_id
        after = page[-1].number


def _requeue(store: PostgresActivityStore, bell: Doorbell, activity_id: str, dry_run: bool) -> Requeued | Refused:
    if dry_run:
        return store.change(activity_id, _what_if)
    result = store.change(activity_id, decide_requeue)
    if isinstance(result, Requeued):
        bell.unbury(activity_id)
        bell.ring(activity_id, result.due_at)
    return result


def _what_if(snapshot: Snapshot) -> Decision[Requeued | Refused]:
    return Decision(decide_requeue(snapshot).result)


def _told(result: Requeued | Refused, dry_run: bool) -> str:
    if isinstance(result, Refused):
        return f"refused: {result.reason}"
    waits = f", but waits: {result.obstacle}" if result.obstacle else ""
    return f"{'would be requeued' if dry_run else 'requeued'} for {at(result.due_at)}{waits}"


def _as_json(activity_id: str, result: Requeued | Refused) -> dict[str, Any]:
    refused = isinstance(result, Refused)
    return {
        "activity_id": activity_id,
        "requeued": not refused,
        "due_at": None if isinstance(result, Refused) else result.due_at.isoformat(),
        "reason": result.reason if isinstance(result, Refused) else result.obstacle,
    }
