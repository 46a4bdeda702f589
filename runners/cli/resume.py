"""`engagement resume`: lifts a pause or a hold."""

from __future__ import annotations

from pathlib import Path

import click

from adapters.postgres.store.controls import PostgresControls
from engagement_core.model.controls import Control
from runners.cli.connections import database
from runners.cli.scope import Scope, scope_options
from runners.cli.servers import server_options, servers
from runners.cli.views.screen import at, plain, show_json
from runners.cli.views.status import control_as_json, scope_of
from runners.settings import read_settings

__all__ = ["resume"]

_MOST_SHOWN = 20


@click.command(short_help="Lift a pause or a hold.")
@scope_options
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
@server_options
def resume(scope: Scope, as_json: bool, embedded: bool, data: Path | None) -> None:
    """Lift the pause of everything, of a pod or of an account. For an account this also lifts its hold.

    An account is held when the provider says that it is signed out: reconnect it at the provider first. A cool-down is
    not lifted: the provider asked for it, and it ends by itself.

    \b
    Example:
      engagement resume --all
      engagement resume --account acc-7
    """
    kind, scope_id = scope
    with servers(read_settings(), embedded, data) as settings, database(settings) as pool:
        controls = PostgresControls(pool)
        lifted = controls.resume(kind, scope_id)
        left = controls.in_force(limit=_MOST_SHOWN)
    if as_json:
        lists = {"lifted": lifted, "still_in_force": left}
        told = {name: [control_as_json(control) for control in found] for name, found in lists.items()}
        show_json({"version": 1, **told})
        return
    if not lifted:
        click.echo(plain(f"There was nothing to lift on {scope_of(kind, scope_id)}."))
    for control in lifted:
        click.echo(plain(f"Lifted: {_told(control)}"))
    for control in left:
        click.echo(plain(f"Still in force: {_told(control)}"))


def _told(control: Control) -> str:
    kind = control.kind.value.replace("_", "-")
    until = f", until {at(control.until)}" if control.until else ""
    return f"{kind} on {scope_of(control.scope, control.scope_id)}{until}: {control.reason}"
