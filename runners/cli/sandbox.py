"""`engagement sandbox`."""

from __future__ import annotations

import signal
import sys
from pathlib import Path
from types import FrameType
from typing import NoReturn

import click

from adapters.unipile.sandbox import Sandbox, read_faults, serve
from runners.cli.failures import Failed, Misused

__all__ = ["sandbox"]


@click.command(short_help="Run a simulated Unipile.")
@click.option(
    "--port", type=click.IntRange(0, 65535), default=8484, show_default=True, help="TCP port; 0 takes any free port."
)
@click.option("--host", default="127.0.0.1", show_default=True, help="Address to listen on.")
@click.option(
    "--faults",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    help="JSON file with the faults to simulate (docs/reference/sandbox.md).",
)
def sandbox(port: int, host: str, faults: Path | None) -> None:
    """Run a simulated Unipile (v0 and v1) until Ctrl-C.

    Its ledger, at GET /_ledger, records every engagement that really happened.

    \b
    Example:
      engagement sandbox --port 8484
      UNIPILE_BASE_URL=http://127.0.0.1:8484 UNIPILE_API_KEY=any engagement run
    """
    try:
        document = None if faults is None else read_faults(faults)
    except ValueError as error:
        told = str(error).removeprefix(f"{faults}: ")
        raise Misused(f"--faults {faults}: {told}") from error
    signal.signal(signal.SIGTERM, _stop)
    try:
        serve(host, port, document, ready=_tell)
    except KeyboardInterrupt:
        return
    except OSError as error:
        raise Failed(f"cannot listen on {host}, port {port}: {error.strerror or error}") from error


def _tell(running: Sandbox) -> None:
    click.echo(f"Unipile sandbox: {running.url}")
    click.echo(f"Effects ledger:  {running.url}/_ledger")
    sys.stdout.flush()


def _stop(number: int, frame: FrameType | None) -> NoReturn:  # noqa: ARG001 - as the signal module calls it
    raise KeyboardInterrupt
