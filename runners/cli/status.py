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

from adapters.postgres.readers.status import PostgresStatusReader
from engagement_core.ports.activities import StoreUnavailable
from engagement_core.ports.queue import Queue, QueueUnavailable
from runners.cli.connections import database, queue_of
from runners.cli.servers import server_options, servers
from runners.cli.views.screen import console, show_json
from runners.cli.views.status import Page, as_json, as_screen
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
        reader = PostgresStatusReader(pool, silent_for=settings.orphan_after)

        def read() -> Page:
            depth = _depth(queue) if settings.has_queue else None
            return Page(status=reader.read(), depth=depth, has_queue=settings.has_queue)

        if not watch:
            show_json(as_json(read())) if wants_json else console().print(as_screen(read()))
            return
        with suppress(KeyboardInterrupt):
            _watch(lambda: show_json(_now_json(read), compact=True)) if wants_json else _watch_screen(read)


def _depth(queue: Queue | None) -> int | None:
    try:
        return None if queue is None else queue.depth()
    except QueueUnavailable:
        return None


def _now_json(read: Callable[[], Page]) -> dict[str, object]:
    try:
        return as_json(read())
    except StoreUnavailable as error:
        return {"version": 1, "error": str(error)}


def _watch_screen(read: Callable[[], Page]) -> None:
    screen = console()
    if not screen.is_terminal:
        _watch(lambda: screen.print(_now(read)))
        return
    with Live(console=screen, auto_refresh=False) as live:
        _watch(lambda: live.update(_now(read), refresh=True))


def _now(read: Callable[[], Page]) -> RenderableType:
    """A database that is away for a while does not end the watch."""
    try:
        return as_screen(read())
    except StoreUnavailable as error:
        return Text(f"{error}. Looking again every {_EVERY_SECONDS:.0f} s.", style="red")


def _watch(show: Callable[[], None]) -> None:
    pause = threading.Event()
    while True:
        show()
        pause.wait(_EVERY_SECONDS)
