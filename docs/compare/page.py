"""Writes what was measured into a page, between two markers.

The one rule: nothing outside the markers is touched, and nobody edits what is between them.
"""

from __future__ import annotations

import argparse
import re
import sys
from collections.abc import Sequence
from pathlib import Path

from runners.bench.distribution import median
from runners.bench.report import Report

__all__ = ["ground", "options", "say", "spread", "table", "write"]


def options(about: str, *, rounds: int, measured: str, writes: str) -> argparse.Namespace:
    """What a script was called with: `rounds`, `quick` and `write`."""
    parser = argparse.ArgumentParser(description=about)
    parser.add_argument("--rounds", type=int, default=rounds, help=f"how often each {measured} is measured")
    parser.add_argument("--quick", action="store_true", help="fewer activities: to see that it works")
    parser.add_argument("--write", action="store_true", help=f"write {writes}")
    return parser.parse_args()


def say(text: str) -> None:
    """Tell a person what is being measured now."""
    sys.stderr.write(text + "\n")


def write(page: Path, section: str) -> None:
    """Replace what is between `<!-- measured -->` and `<!-- /measured -->`.

    Raises:
        ValueError: the page has no such markers.
    """
    text = page.read_text(encoding="utf-8")
    pattern = re.compile(r"(<!-- measured -->\n).*?(<!-- /measured -->)", re.DOTALL)
    written, times = pattern.subn(lambda marks: f"{marks[1]}{section}\n{marks[2]}", text)
    if times != 1:
        raise ValueError(f"{page.name} must have one pair of markers")
    page.write_text(written, encoding="utf-8")


def ground(report: Report) -> str:
    """Where and when it was measured. Without it, no figure means anything."""
    machine = report.machine
    return (
        f"Measured {report.started_at:%Y-%m-%d} on {machine['cores']} cores ({machine['system']}, Python"
        f" {machine['python']}), shared with PostgreSQL {machine['postgresql']}, {machine['redis']} and the simulated"
        f" provider; the load before was {machine['load_before']}."
    )


def table(header: Sequence[str], rows: Sequence[Sequence[str]]) -> list[str]:
    """A table's lines. The first column is text, the others are numbers."""
    lines = [f"| {' | '.join(header)} |", f"|---|{'--:|' * (len(header) - 1)}"]
    return lines + [f"| {' | '.join(row)} |" for row in rows]


def spread(values: Sequence[float], digits: int) -> str:
    """The median, and the range where there are several."""
    middle, least, most = (f"{value:,.{digits}f}" for value in (median(values), min(values), max(values)))
    return middle if len(values) == 1 else f"{middle} ({least} to {most})"
