"""`engagement schedule`: the reference E-03 and E-04.

The one rule: all or nothing. Either all activities are in PostgreSQL before the first job is rung, or none is.
"""

from __future__ import annotations

import re
import uuid
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any, BinaryIO

import click
from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn, TimeRemainingColumn

from adapters.files.activities import ActivityLines, read_activity
from adapters.files.lines import LineProblem, read_csv, read_json_lines
from adapters.postgres.store.intake import PostgresIntake
from engagement_core.model.new_activity import NewActivity
from engagement_core.ports.intake import IntakeRefused
from runners.cli.connections import RING_WITHIN, Doorbell, database, doorbell
from runners.cli.failures import Failed, Misused
from runners.cli.servers import server_options, servers
from runners.cli.times import from_now, utc_now
from runners.cli.views.screen import console, plain, show_json
from runners.settings import read_settings

__all__ = ["schedule"]

_MOST_SHOWN = 20
_MOST_NAMED = 1_000
_MOST_RUNG = 10_000
_STANDARD_INPUT = "<stdin>"
_READERS = {"jsonl": read_json_lines, "csv": read_csv}
_FORMATS = {".jsonl": "jsonl", ".ndjson": "jsonl", ".csv": "csv"}
_OPTIONS = {
    "id": "--id",
    "pod_id": "--pod",
    "engagement_type": "--type",
    "post_id": "--post",
    "profile_id": "--profile",
    "comment_text": "--text",
    "scheduled_for": "--at",
}
"""Each column, and the option that fills it."""


@click.command(short_help="Create activities, one or many.")
@click.option("--pod", "pod_id", help="The pod that acts.")
@click.option("--type", "engagement_type", type=click.Choice(["like", "comment"]), help="The kind of engagement.")
@click.option("--post", "post_id", help="The LinkedIn post, e.g. urn:li:activity:7100000000000000001.")
@click.option("--profile", "profile_id", help="The profile that acts (default: the pod's account).")
@click.option("--text", "comment_text", help="The comment, 1 to 1250 characters.")
@click.option(
    "--at", "scheduled_for", type=from_now, metavar="TIME", help="2030-03-15T14:30:00Z, +10s, +5m, +2h (default: now)."
)
@click.option("--id", help="The activity's id (default: a new UUID).")
@click.option(
    "--from-file",
    "file",
    type=click.File("rb"),
    help="Read many from a .jsonl, .ndjson or .csv file, or - (standard input).",
)
@click.option(
    "--format", "form", type=click.Choice(["jsonl", "csv"]), help="Format of the file, if its name does not show it."
)
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
@server_options
def schedule(
    file: BinaryIO | None, form: str | None, as_json: bool, embedded: bool, data: Path | None, **columns: Any
) -> None:
    """Create scheduled activities, and ring for those that are due within the hour.

    Give one activity by options, or any number in a file of JSON Lines or CSV. Its keys are columns of pod_activities:
    pod_id, engagement_type, post_id, profile_id, comment_text, scheduled_for and, optionally, id. All or nothing: if a
    line is wrong, the command names it and writes nothing.

    \b
    Example:
      engagement schedule --pod pod-1 --type like --post urn:li:activity:71 --at +10s
      engagement schedule --from-file activities.jsonl
    """
    given = {name: value for name, value in columns.items() if value is not None}
    with (
        _activities(file, form, given) as activities,
        servers(read_settings(), embedded, data) as settings,
        database(settings) as pool,
    ):
        noted = _Noted(activities)
        PostgresIntake(pool).add(noted)
        with doorbell(settings) as bell:
            noted.ring(bell)
    _show(noted, as_json)


@dataclass
class _Noted:
    """Notes the activities while they are read: their number, the first ids, and some that are due within the hour."""

    activities: Iterable[NewActivity]
    count: int = 0
    ids: list[str] = field(default_factory=list)
    soon: list[tuple[str, datetime]] = field(default_factory=list)

    def __iter__(self) -> Iterator[NewActivity]:
        until = utc_now() + RING_WITHIN
        for activity in self.activities:
            self.count += 1
            if self.count <= _MOST_NAMED:
                self.ids.append(activity.id)
            # The sweep finds them all. To ring for more would keep the user waiting.
            if activity.scheduled_for <= until and len(self.soon) < _MOST_RUNG:
                self.soon.append((activity.id, activity.scheduled_for))
            yield activity

    def ring(self, bell: Doorbell) -> None:
        for activity_id, at in self.soon:
            bell.ring(activity_id, at)


@contextmanager
def _activities(file: BinaryIO | None, form: str | None, given: Mapping[str, Any]) -> Iterator[Iterable[NewActivity]]:
    """The activities to add. A problem that is found inside the `with` block is reported with its line."""
    if file is None:
        try:
            yield [_from_options(given)]
        except IntakeRefused as error:
            raise Failed(_told(error)) from error
        return
    if given:
        raise click.UsageError(f"{_OPTIONS[next(iter(given))]} does not go with --from-file: the file has all values")
    reader = _READERS[form or _format_of(file)]
    with _watched(file) as watched:
        lines = ActivityLines(reader(watched))
        try:
            yield lines
        except LineProblem as error:
            raise Misused(plain(f"{_name_of(file)}, {error}. Nothing was added.")) from error
        except IntakeRefused as error:
            line = "" if error.position is None else f", line {lines.line_of(error.position)}"
            raise Failed(f"{_name_of(file)}{line}: {_told(error)}. Nothing was added.") from error


def _from_options(given: Mapping[str, Any]) -> NewActivity:
    if missing := [_OPTIONS[name] for name in ("pod_id", "engagement_type", "post_id") if name not in given]:
        raise click.UsageError(f"{', '.join(missing)}: needed for one activity (for many, use --from-file)")
    record = {**given, "scheduled_for": given.get("scheduled_for", utc_now()).isoformat()}
    try:
        return read_activity(record, new_id=lambda: str(uuid.uuid4()))
    except ValueError as error:
        told = re.sub(r"\b\w+(?=: )", lambda name: _OPTIONS.get(name[0], name[0]), str(error))
        raise Misused(told) from error


def _name_of(file: BinaryIO) -> str:
    return str(getattr(file, "name", _STANDARD_INPUT))


def _format_of(file: BinaryIO) -> str:
    if _name_of(file) == _STANDARD_INPUT:
        return "jsonl"
    suffix = Path(file.name).suffix.lower()
    if suffix not in _FORMATS:
        raise click.UsageError(f"{file.name}: the name does not end in {', '.join(_FORMATS)}; add --format")
    return _FORMATS[suffix]


@contextmanager
def _watched(file: BinaryIO) -> Iterator[BinaryIO]:
    """The file. On a terminal, a progress bar shows how much of it has been read."""
    screen = console(stderr=True)
    if not screen.is_terminal or not file.seekable():
        yield file
        return
    columns = (TextColumn("Scheduling"), BarColumn(), DownloadColumn(), TimeRemainingColumn())
    with Progress(*columns, console=screen, transient=True) as progress:
        yield progress.wrap_file(file, total=Path(file.name).stat().st_size)


def _told(error: IntakeRefused) -> str:
    return plain(f"{error.column}: {error}" if error.column else str(error))


def _show(noted: _Noted, as_json: bool) -> None:
    if as_json:
        ids = noted.ids if noted.count <= _MOST_NAMED else None
        show_json({"version": 1, "added": noted.count, "ids": ids})
    elif noted.count > _MOST_SHOWN:
        click.echo(f"{noted.count} activities scheduled.")
    else:
        click.echo("\n".join(map(plain, noted.ids)) or "There was nothing to schedule.")
