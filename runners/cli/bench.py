"""`engagement bench`."""

from __future__ import annotations

from pathlib import Path

import click

from runners.bench.bench import MEASUREMENTS, run_bench
from runners.bench.failure import BenchFailed
from runners.bench.figure import Figure
from runners.bench.plot import DRAWN, draw, panels_of
from runners.bench.size import FAR_MS
from runners.cli.failures import Failed, Misused
from runners.cli.interruptible import interruptible
from runners.cli.views.screen import console, say, show_json, table

__all__ = ["bench"]

_MET = {True: "yes", False: "NO", None: ""}


@click.command(short_help="Measure speed, lateness and recovery.")
@click.option(
    "--only",
    type=click.Choice(list(MEASUREMENTS)),
    multiple=True,
    help="Measure only this; may be given several times.",
)
@click.option("--quick", is_flag=True, help="Measure fewer activities: about a minute, less steady figures.")
@click.option("--check", is_flag=True, help="Exit with 1 if a target is missed.")
@click.option(
    "--far-ms",
    type=click.FloatRange(min=0, max=1000),
    default=FAR_MS,
    show_default=True,
    help="In `far`: how far away the database is, in milliseconds each way.",
)
@click.option("--json", "wants_json", is_flag=True, help="Print one JSON object.")
@click.option(
    "--plot",
    type=click.Path(dir_okay=False, writable=True, path_type=Path),
    help="Also draw the figures into this SVG file.",
)
def bench(
    *, only: tuple[str, ...], quick: bool, check: bool, far_ms: float, wants_json: bool, plot: Path | None
) -> None:
    """Measure the product from outside: with its own real servers, a worker process and a simulated provider.

    It takes up to four minutes and leaves nothing behind. Nothing else should run on the machine.

    \b
    Example:
      engagement bench
      engagement bench --quick --only lateness --json
    """
    names = [name for name in MEASUREMENTS if not only or name in only]
    if plot is not None:
        _insist_on_a_drawing(plot, names)
    try:
        with interruptible():
            report = run_bench(names, is_quick=quick, far_ms=far_ms, tell=say)
    except BenchFailed as error:
        raise Failed(str(error)) from error
    if plot is not None:
        plot.write_text(draw(panels_of(report)), encoding="utf-8")
    if wants_json:
        show_json(report.as_json())
    else:
        title = ", ".join(f"{name} {value}" for name, value in report.machine.items())
        columns = ("what", "measured", "unit", "target", "met")
        console().print(table(title, columns, (_row(figure) for figure in report.figures)))
    if check and not report.is_met:
        raise Failed("a target is missed")


def _insist_on_a_drawing(plot: Path, names: list[str]) -> None:
    """Refuse an impossible drawing now, not after minutes of measuring."""
    if not plot.absolute().parent.is_dir():
        raise Misused(f"--plot {plot}: the folder {plot.absolute().parent} does not exist")
    if not DRAWN.intersection(names):
        raise Misused(f"--plot draws {' and '.join(sorted(DRAWN))}, but --only leaves them out")


def _row(figure: Figure) -> tuple[object, ...]:
    value = f"{figure.value:,.0f}" if figure.value == int(figure.value) else f"{figure.value:,.2f}"
    return figure.label, value, figure.unit, figure.target, _MET[figure.is_met]
