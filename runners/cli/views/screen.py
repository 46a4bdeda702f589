"""Prints results: tables and text for people, JSON for programs.

The one rule: text from outside is only shown. It is never read as markup, and it cannot control the terminal.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Iterable, Mapping
from datetime import datetime, timedelta
from typing import Any

import click
from rich import box
from rich.console import Console
from rich.table import Table
from rich.text import Text

__all__ = ["at", "console", "duration", "plain", "say", "show_json", "table", "warn"]

_WIDE = 1_000
"""The width for a pipe, which has none: a program that reads it must not find an id split over two lines."""

_UNITS = (("d", 86_400), ("h", 3_600), ("min", 60), ("s", 1))


def console(*, stderr: bool = False) -> Console:
    """A console with colour only on a terminal, and never if NO_COLOR is set."""
    stream = sys.stderr if stderr else sys.stdout
    return Console(file=stream, width=None if stream.isatty() else _WIDE, highlight=False, markup=False, emoji=False)


def say(message: str) -> None:
    """Print a message for the user on standard error, apart from the result."""
    click.echo(message, err=True)


def warn(message: str) -> None:
    """Print a warning on standard error: something did not work, but the command did."""
    say(f"Warning: {message}")


def show_json(value: Mapping[str, Any], *, compact: bool = False) -> None:
    """Print one object on standard output, in ASCII; `compact` prints it on one line."""
    click.echo(json.dumps(value, indent=None if compact else 2))


def table(title: str, columns: Iterable[str], rows: Iterable[Iterable[object]]) -> Table:
    """A table. Numbers are aligned right, None is an empty cell. If no column has a name, there is no header."""
    names = list(columns)
    shown = Table(
        title=title,
        title_justify="left",
        title_style="bold",
        box=box.SIMPLE_HEAD,
        pad_edge=False,
        show_header=any(names),
    )
    for column in names:
        shown.add_column(column, overflow="fold")
    for row in rows:
        shown.add_row(*(_cell(value) for value in row))
    return shown


def plain(text: str) -> str:
    """The text without control characters, which a terminal would obey."""
    return "".join(character if character.isprintable() or character == "\n" else "\ufffd" for character in text)


def at(instant: datetime | None) -> str:
    """An instant in UTC, to the second; None is empty."""
    return "" if instant is None else f"{instant:%Y-%m-%d %H:%M:%S}Z"


def duration(length: timedelta | None) -> str:
    """A length of time in its two largest units; under ten seconds, to the millisecond. None is empty."""
    if length is None:
        return ""
    seconds = length.total_seconds()
    if abs(seconds) < 10:  # noqa: PLR2004 - where milliseconds begin to matter
        return f"{seconds:.3f} s"
    left, parts = round(abs(seconds)), []
    for unit, size in _UNITS:
        count, left = divmod(left, size)
        if count:
            parts.append(f"{count} {unit}")
    return ("-" if seconds < 0 else "") + " ".join(parts[:2])


def _cell(value: object) -> Text:
    if isinstance(value, (int, float)) and not isinstance(value, bool):
        return Text(str(value), justify="right")
    return Text("" if value is None else plain(str(value)))
