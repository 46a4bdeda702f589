"""`engagement dead-letters list` and `show`."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import click
from rich.console import Group, RenderableType

from adapters.postgres.readers.dead_letters import PostgresDeadLetters
from adapters.postgres.store.activities import PostgresActivityStore
from engagement_core.model.activity import Activity
from engagement_core.model.decision import as_it_is
from engagement_core.model.letter_file import FiledLetter, LetterFilter
from engagement_core.model.snapshot import Snapshot
from runners.cli.connections import database
from runners.cli.failures import Failed
from runners.cli.letter_filter import filter_options
from runners.cli.servers import server_options, servers
from runners.cli.views.attempts import attempt_as_json, attempts_table
from runners.cli.views.screen import at, console, plain, say, show_json, table
from runners.settings import read_settings

__all__ = ["list_letters", "show_letter"]


@click.command("list")
@filter_options
@click.option("--limit", type=click.IntRange(1, 10_000), default=100, show_default=True, help="Show at most this many.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
@server_options
def list_letters(wanted: LetterFilter, limit: int, as_json: bool, embedded: bool, data: Path | None) -> None:
    """List open dead letters, oldest first, and their count by cause.

    \b
    Example:
      engagement dead-letters list --error-type outcome_unknown
    """
    with servers(read_settings(), embedded, data) as settings, database(settings) as pool:
        PostgresActivityStore(pool)  # raises if the schema is missing
        letters = PostgresDeadLetters(pool)
        counts, found = letters.count(wanted), letters.page(wanted, limit=limit)
    if as_json:
        by_type = {error_type.value: count for error_type, count in counts.items()}
        show_json({"version": 1, "counts": by_type, "dead_letters": [_letter_as_json(filed) for filed in found]})
    elif not found:
        click.echo("No dead letters.")
    else:
        by_cause = ((error_type.value, count) for error_type, count in counts.items())
        console().print(Group(table("By cause", ("type", "open"), by_cause), _listed(found)))
        if sum(counts.values()) > len(found):
            say(f"These are the first {len(found)} of {sum(counts.values())}. To see more, use --limit.")


@click.command("show")
@click.argument("activity_id", metavar="ID")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
@server_options
def show_letter(activity_id: str, as_json: bool, embedded: bool, data: Path | None) -> None:
    """Show one dead letter: its activity, every attempt, and the next step.

    \b
    Example:
      engagement dead-letters show 0b6f5c1e-7f6e-4d0c-9f0e-3b5b2f3a9a11
    """
    with servers(read_settings(), embedded, data) as settings, database(settings) as pool:
        store = PostgresActivityStore(pool)
        filed = PostgresDeadLetters(pool).find(activity_id)
        if filed is None:
            raise Failed(plain(f"{activity_id} is not an open dead letter"))
        snapshot = store.change(activity_id, as_it_is)
    if as_json:
        show_json({"version": 1, **_letter_as_json(filed), **_history_as_json(snapshot)})
    else:
        console().print(Group(*_shown(filed, snapshot)))


def _listed(found: tuple[FiledLetter, ...]) -> RenderableType:
    rows = (
        (
            filed.letter.activity_id,
            filed.letter.error_type.value,
            filed.letter.effect.value,
            filed.pod_id,
            filed.account_id,
            at(filed.letter.buried_at),
            filed.letter.message,
        )
        for filed in found
    )
    return table("Dead letters", ("id", "type", "effect", "pod", "account", "buried", "message"), rows)


def _shown(filed: FiledLetter, snapshot: Snapshot) -> Iterator[RenderableType]:
    letter, activity = filed.letter, snapshot.activity
    facts: list[tuple[str, object]] = [
        ("type", letter.error_type.value),
        ("effect", letter.effect.value),
        ("buried", at(letter.buried_at)),
        ("message", letter.message),
        ("next step", letter.next_step),
        ("pod", filed.pod_id),
        ("account", filed.account_id),
    ]
    if isinstance(activity, Activity):
        facts += [
            ("engagement", f"{activity.engagement_type.value} on {activity.post_id}"),
            ("scheduled for", at(activity.scheduled_for)),
            ("comment", activity.comment_text),
        ]
    elif activity is not None:
        facts.append(("row", "; ".join(activity.problems)))
    yield table(f"Dead letter {letter.activity_id}", ("", ""), facts)
    if snapshot.attempts:
        yield attempts_table(snapshot.attempts)


def _letter_as_json(filed: FiledLetter) -> dict[str, Any]:
    letter = filed.letter
    return {
        "activity_id": letter.activity_id,
        "pod_id": filed.pod_id,
        "account_id": filed.account_id,
        "error_type": letter.error_type.value,
        "effect": letter.effect.value,
        "message": letter.message,
        "next_step": letter.next_step,
        "buried_at": letter.buried_at.isoformat(),
    }


def _history_as_json(snapshot: Snapshot) -> dict[str, Any]:
    activity = snapshot.activity
    described = None
    if isinstance(activity, Activity):
        described = {
            "engagement_type": activity.engagement_type.value,
            "post_id": activity.post_id,
            "profile_id": activity.profile_id,
            "comment_text": activity.comment_text,
            "scheduled_for": activity.scheduled_for.isoformat(),
            "status": activity.status,
        }
    return {"activity": described, "attempts": [attempt_as_json(attempt) for attempt in snapshot.attempts]}
