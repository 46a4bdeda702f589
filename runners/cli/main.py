"""`engagement`: the group of all commands.

The one rule: an error that a user can cause ends with one clear line on standard error and an exit code, never with a
traceback. 0: done. 1: the operation failed. 2: wrong usage or configuration. A character that the terminal or pipe
cannot show is printed as its code.
"""

from __future__ import annotations

import io
import sys
from importlib import import_module
from typing import Any

import click

__all__ = ["engagement", "main"]

# In the order in which a new user needs them. A command's module is imported on demand: `--version` needs no driver.
_COMMANDS = {
    "demo": "runners.cli.demo:demo",
    "migrate": "runners.cli.migrate:migrate",
    "schedule": "runners.cli.schedule:schedule",
    "run": "runners.cli.run:run",
    "status": "runners.cli.status:status",
    "explain": "runners.cli.explain:explain",
    "doctor": "runners.cli.doctor:doctor",
    "dead-letters": "runners.cli.dead_letters:dead_letters",
    "pause": "runners.cli.pause:pause",
    "resume": "runners.cli.resume:resume",
    "sandbox": "runners.cli.sandbox:sandbox",
    "bench": "runners.cli.bench:bench",
}


class _Commands(click.Group):
    def list_commands(self, ctx: click.Context) -> list[str]:  # noqa: ARG002 - as click calls it
        return list(_COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:  # noqa: ARG002
        if cmd_name not in _COMMANDS:
            return None
        module, _, name = _COMMANDS[cmd_name].partition(":")
        command: click.Command = getattr(import_module(module), name)
        return command

    def invoke(self, ctx: click.Context) -> Any:
        try:
            return super().invoke(ctx)
        except Exception as error:
            from runners.cli.failures import told_plainly  # noqa: PLC0415 - it imports every adapter

            told = told_plainly(error)
            if told is None:
                raise
            raise told from error


@click.command(cls=_Commands, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(package_name="pod-engagement", prog_name="engagement")
def engagement() -> None:
    """Execute scheduled LinkedIn likes and comments: when due, and never twice.

    Settings are environment variables or a .env file (DATABASE_URL, REDIS_URL, UNIPILE_API_KEY, ...). To try it
    without any settings: engagement demo
    """


def main() -> None:
    """The entry point of the console script."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")
    engagement()
