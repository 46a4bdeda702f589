"""`engagement pause`: stops sending.

The one rule: once it has returned with 0, nothing more of that scope reaches the provider.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path

import click

from adapters.postgres.store.controls import PostgresControls
from runners.cli.connections import database
from runners.cli.failures import Failed
from runners.cli.scope import Scope, scope_options
from runners.cli.servers import server_options, servers
from runners.cli.views.screen import plain, say, show_json
from runners.cli.views.status import scope_of
from runners.settings import read_settings

__all__ = ["pause"]

_MARGIN = timedelta(seconds=10)
"""Added to the longest attempt: time to record its verdict, and for other workers to notice a dead worker."""
_LOOK_EVERY_SECONDS = 0.2


@click.command(short_help="Stop everything, a pod or an account.")
@scope_options
@click.option("--reason", default="paused by hand", show_default=True, help="Shown by status, explain and resume.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
@server_options
def pause(scope: Scope, reason: str, as_json: bool, embedded: bool, data: Path | None) -> None:
    """Stop everything, a pod or an account. The command returns when no engagement of it is under way any more.

    Engagements under way end normally. Due activities wait, and no attempt is charged for the wait.

    \b
    Example:
      engagement pause --all --reason "the provider is under maintenance"
      engagement pause --account acc-7
    """
    kind, scope_id = scope
    with servers(read_settings(), embedded, data) as settings, database(settings) as pool:
        controls = PostgresControls(pool)
        if not controls.knows(kind, scope_id):
            raise Failed(plain(f"there is no {scope_of(kind, scope_id)}: nothing was paused"))
        controls.pause(kind, scope_id, reason)
        left = _wait(
            lambda: controls.in_flight(kind, scope_id, silent_for=settings.orphan_after),
            settings.job_timeout + _MARGIN,
        )
    if left:
        raise Failed(f"the pause is in force, but {left} engagements are still under way")
    if as_json:
        show_json({"version": 1, "paused": kind.value, "scope_id": scope_id or None, "reason": reason})
    else:
        click.echo(plain(f"Paused: {scope_of(kind, scope_id)}. Nothing of it is under way."))


def _wait(in_flight: Callable[[], int], at_most: timedelta) -> int:
    """Wait until nothing is in flight. Returns how many engagements still are, after `at_most`."""
    give_up_at = time.monotonic() + at_most.total_seconds()
    told = False
    while (left := in_flight()) and time.monotonic() < give_up_at:
        if not told:
            say(
                f"The pause is in force. Waiting for {left} engagements under way,"
                f" at most {at_most.total_seconds():.0f} s ..."
            )
            told = True
        threading.Event().wait(_LOOK_EVERY_SECONDS)
    return left
