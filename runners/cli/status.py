"""`engagement status`."""

from __future__ import annotations

import threading
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import click
from rich.console import RenderableType
from rich.live import Live
from rich.text import Text

from adapters.postgres.readers.close_up import PostgresCloseUpReader
from adapters.postgres.readers.overview import PostgresOverviewReader
from engagement_core.ports.activities import StoreUnavailable
from engagement_core.ports.queue import Queue, QueueUnavailable
from runners.cli.connections import database, queue_of
from runners.cli.servers import server_options, servers
from runners.cli.views.screen import console, show_json
from runners.cli.views.status import Look, as_json, as_screen
from runners.settings import read_settings

__all__ = ["status"]

_EVERY_SECONDS = 2.0


@click.command(short_help="Counts, lateness, errors, workers.")
@click.option("--watch", is_flag=True, help="Look again every 2 s, until Ctrl-C.")
@click.option("--json", "wants_json", is_flag=True, help="Print one JSON object (with --watch, one on each line).")
@server_options
def status(watch: bool, wants_json: bool, embedded: bool, data: Path | None) -> None:
    """Show what waits, what is being done, what is late, what went wrong and why, what is held, and who works.

    \b
    Example:
      engagement status --watch
      engagement status --json
    """
    with (
        servers(read_settings(), embedded, data) as settings,
        database(settings) as pool,
        queue_of(settings) as queue,
    ):
        reader = PostgresOverviewReader(pool, silent_for=settings.orphan_after)
        closer = PostgresCloseUpReader(pool)

        def look() -> Look:
            return Look(overview=reader.read(), close_up=closer.read(), depth=_depth(queue))

        if not watch:
            show_json(as_json(look())) if wants_json else console().print(as_screen(look()))
            return
        with suppress(KeyboardInterrupt):
            _watch(lambda: show_json(_now_json(look), compact=True)) if wants_json else _watch_screen(look)


def _depth(queue: Queue | None) -> int | None:
    try:
        return None if queue is None else queue.depth()
    except QueueUnavailable:
        return None


def _now_json(look: Callable[[], Look]) -> dict[str, object]:
    try:
        return as_json(look())
    except StoreUnavailable as error:
        return {"version": 1, "error": str(error)}


def _watch_screen(look: Callable[[], Look]) -> None:
    screen = console()
    if not screen.is_terminal:
        _watch(lambda: screen.print(_now(look)))
        return
    with Live(console=screen, auto_refresh=False) as live:
        _watch(lambda: live.update(_now(look), refresh=True))


def _now(look: Callable[[], Look]) -> RenderableType:
    """A database that is away for a while does not end the watch."""
    try:
        return as_screen(look())
    except StoreUnavailable as error:
        return Text(f"{error}. Looking again every {_EVERY_SECONDS:.0f} s.", style="red")


def _watch(show: Callable[[], None]) -> None:
    pause = threading.Event()
    while True:
        show()
        pause.wait(_EVERY_SECONDS)
