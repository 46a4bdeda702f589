"""`engagement doctor`."""

from __future__ import annotations

from contextlib import ExitStack
from pathlib import Path
from typing import Any

import click

from runners.cli.servers import DATA_FOLDER, server_options
from runners.cli.views.screen import console, show_json, table
from runners.doctor import Context, Finding, Level, examine

__all__ = ["doctor", "findings_as_json"]

# What failed must be easy to see without colour, too.
_WORDS = {Level.OK: "ok", Level.WARNING: "warning", Level.FAILED: "FAILED", Level.SKIPPED: "skipped"}


@click.command(short_help="Check everything that a worker needs.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
@click.option("--try-write", is_flag=True, help="Try a worker's writes on one row of pod_activities, and undo them.")
@server_options
@click.pass_context
def doctor(context: click.Context, as_json: bool, try_write: bool, embedded: bool, data: Path | None) -> None:
    """Check configuration, PostgreSQL, Redis, the provider and its accounts, the voice and the clock.

    It only reads: it sends no engagement, writes nothing and costs nothing. For everything that is wrong it names a
    cure. The exit code is 0 if nothing failed (a warning is not a failure), else 1.

    With --try-write it also writes, in a transaction that is rolled back. Triggers run then. What a trigger does
    outside the transaction (a sequence, a call to another server) is not undone.

    \b
    Example:
      engagement doctor
      engagement doctor --json
    """
    if data is not None and not embedded:
        raise click.UsageError("--data is the folder of the embedded servers: it needs --embedded")
    with ExitStack() as stack:
        if (screen := console(stderr=True)).is_terminal:
            stack.enter_context(screen.status("Checking ..."))
        folder = (data or DATA_FOLDER) if embedded else None
        found = tuple(examine(Context(stack=stack, data_folder=folder, wants_dry_run=try_write)))
    if as_json:
        show_json(findings_as_json(found))
    else:
        _show(found)
    context.exit(0 if _is_healthy(found) else 1)


def findings_as_json(found: tuple[Finding, ...]) -> dict[str, Any]:
    """Version 1 of the shape (docs/reference/json.md)."""
    return {
        "version": 1,
        "healthy": _is_healthy(found),
        "findings": [
            {"name": each.name, "level": each.level.value, "says": each.says, "cure": each.cure} for each in found
        ],
    }


def _is_healthy(found: tuple[Finding, ...]) -> bool:
    return all(each.level is not Level.FAILED for each in found)


def _show(found: tuple[Finding, ...]) -> None:
    screen = console()
    rows = ((each.name, _WORDS[each.level], each.says, each.cure) for each in found)
    screen.print(table("Checks", ("check", "result", "found", "what to do"), rows))
    counts = ((_WORDS[level], sum(1 for each in found if each.level is level)) for level in Level)
    screen.print(", ".join(f"{count} {word}" for word, count in counts if count))
