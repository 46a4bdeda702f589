"""Measures the product and some of its peers in one run, on the same servers: `python docs/compare/compare.py --write`.

The one rule: the systems take turns, round after round. So a machine that becomes slower makes all of them slower. This
is not part of the product. The peers get an environment of their own, which is made for the run and deleted.
"""

from __future__ import annotations

import sys
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path

import page
from arena import Arena
from peers import HERE, THREADS, Installed, install

from runners.bench.bench import MEASUREMENTS, measure
from runners.bench.distribution import median, quantile
from runners.bench.drain import Drained, drain_once, due_likes
from runners.bench.failure import BenchFailed
from runners.bench.judge import lateness_ms
from runners.bench.lateness import likes_at_random_instants, perform
from runners.bench.plot import Panels, draw
from runners.bench.report import Report
from runners.bench.size import FULL, QUICK, Size
from runners.bench.stage import Stage, staged
from runners.settings import VARIABLES, SettingsProblem

_PAGE = HERE.parent / "performance.md"
_WRITES = "docs/performance.md and docs/performance.svg"
_DRAWING = HERE.parent / "performance.svg"
_QUEUE = "POD_ENGAGEMENT_QUEUE"
_OURS: Mapping[str, str] = {"engagement run, jobs in RQ": "rq", "engagement run, no queue": "none"}
_HEADER = ("", "jobs/s", "its CPU-s per 1,000", "PostgreSQL's", "together", "lateness p50, ms", "p99, ms", "early")
# Fewer and shorter than the bench's own: there are nine systems and three rounds.
_SIZE = replace(FULL, spread=300, spread_s=6.0)


@dataclass
class Found:
    """The measurements of one system, an entry for each round."""

    drains: list[Drained] = field(default_factory=list)
    lateness: list[tuple[float, ...]] = field(default_factory=list)


def compare(stage: Stage, installed: Installed, size: Size, rounds: int) -> dict[str, Found]:
    """Every system in turn, `rounds` times."""
    arena = Arena(stage, installed)
    ours = {name: queue for name, queue in _OURS.items() if _is_known(queue)}
    found = {name: Found() for name in (*ours, *(peer.name for peer in installed.peers))}
    for number in range(1, rounds + 1):
        page.say(f"Round {number} of {rounds}: drain ...")
        for name, queue in ours.items():
            found[name].drains.append(_drain_ours(stage, queue, size))
        for peer in installed.peers:
            found[peer.name].drains.append(arena.drain(peer, due_likes(size.drained)))
        page.say(f"Round {number} of {rounds}: lateness ...")
        for name, queue in ours.items():
            found[name].lateness.append(_lateness_of_ours(stage, queue, size))
        for peer in installed.peers:
            if peer.knows_time:
                found[peer.name].lateness.append(arena.lateness(peer, size))
    return found


def _is_known(queue: str) -> bool:
    """Whether this version can be told to use it."""
    (variable,) = (each for each in VARIABLES if each.name == _QUEUE)
    try:
        variable.parse(_QUEUE, queue)
    except SettingsProblem:
        return False
    return True


def _drain_ours(stage: Stage, queue: str, size: Size) -> Drained:
    return drain_once(stage, due_likes(size.drained), THREADS, ring=queue != "none", **{_QUEUE: queue})


def _lateness_of_ours(stage: Stage, queue: str, size: Size) -> tuple[float, ...]:
    planned = likes_at_random_instants(size.spread, size.spread_s)
    return lateness_ms(*perform(stage, planned, size.spread_s, ring=queue != "none", **{_QUEUE: queue}))


def section(report: Report, found: dict[str, Found], installed: Installed) -> str:
    """The text between the markers of the page."""
    lines = [f"{page.ground(report)} Peers: {installed.versions}. {installed.left_out}".strip()]
    lines += ["", "| what | measured | unit | target | met |", "|---|--:|---|---|---|"]
    for figure in report.figures:
        value = f"{figure.value:,.0f}" if figure.value == int(figure.value) else f"{figure.value:,.2f}"
        met = {True: "yes", False: "**no**", None: ""}[figure.is_met]
        lines.append(f"| {figure.label} | {value} | {figure.unit} | {figure.target or ''} | {met} |")
    rounds = max(len(each.drains) for each in found.values())
    lines += [
        "",
        f"In the same run, {rounds} rounds in which the systems took turns; medians, and the range of the rounds:"
        if rounds > 1
        else "In the same run, one round in which the systems took turns:",
    ]
    lines += ["", *page.table(_HEADER, [_row(name, each) for name, each in found.items()])]
    return "\n".join(lines)


def _row(name: str, found: Found) -> list[str]:
    cells = [
        name,
        page.spread([each.rate for each in found.drains], 0),
        page.spread([each.cpu_per_1000 for each in found.drains], 2),
        page.spread([each.database_cpu_per_1000 for each in found.drains], 2),
        page.spread([each.cpu_per_1000 + each.database_cpu_per_1000 for each in found.drains], 2),
    ]
    if not found.lateness:
        return [*cells, "", "", ""]
    early = median(sum(late < 0 for late in each) for each in found.lateness)
    return [
        *cells,
        page.spread([quantile(each, 0.50) for each in found.lateness], 1),
        page.spread([quantile(each, 0.99) for each in found.lateness], 1),
        f"{early:,.0f} of {len(found.lateness[0]):,}",
    ]


def panels(found: dict[str, Found]) -> Panels:
    """All rounds together for the distribution, the median for the bars."""
    return Panels(
        lateness_ms={
            name: [late for each in of.lateness for late in each] for name, of in found.items() if of.lateness
        },
        jobs_per_second={name: median(each.rate for each in of.drains) for name, of in found.items()},
    )


def main() -> None:
    """Measure; print the tables, or write them and the drawing into the documentation."""
    options = page.options(__doc__, rounds=3, measured="system", writes=_WRITES)
    with tempfile.TemporaryDirectory(prefix="engagement-peers-") as folder:
        installed = install(Path(folder))
        if installed.left_out:
            page.say(installed.left_out)
        with staged() as stage:
            report = measure(stage, MEASUREMENTS, is_quick=options.quick, tell=page.say)
            found = compare(stage, installed, QUICK if options.quick else _SIZE, options.rounds)
    text = section(report, found, installed)
    if options.write:
        page.write(_PAGE, text)
        _DRAWING.write_text(draw(panels(found)), encoding="utf-8")
    else:
        sys.stdout.write(text + "\n")


if __name__ == "__main__":
    try:
        main()
    except BenchFailed as failure:
        sys.exit(f"Error: {failure}")
