"""Measures the product and some of its peers in one run, on the same servers: `python docs/compare/compare.py --write`.

The one rule: the systems take turns, round after round. So a machine that becomes slower makes all of them slower. This
is not part of the product. The peers get a virtual environment of their own, which is made for the run and deleted.
"""

from __future__ import annotations

import argparse
import json
import re
import subprocess
import sys
import tempfile
import venv
from collections.abc import Iterable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from engagement_core.model.new_activity import NewActivity
from runners.bench.bench import MEASUREMENTS, measure
from runners.bench.distribution import median, quantile
from runners.bench.drain import Drained, drain_once, drained, due_likes
from runners.bench.failure import BenchFailed
from runners.bench.judge import lateness_ms
from runners.bench.lateness import likes_at_random_instants, perform
from runners.bench.plot import Panels, draw
from runners.bench.process import Process
from runners.bench.report import Report
from runners.bench.size import FULL, QUICK, Size
from runners.bench.stage import Stage, staged

_HERE = Path(__file__).resolve().parent
_PAGE = _HERE.parent / "performance.md"
_DRAWING = _HERE.parent / "performance.svg"
_PACKAGES = ("celery[redis]", "rq", "psycopg2-binary", "requests")
_OURS = "engagement run"
_HEADER = "| | jobs/s | its CPU-s per 1,000 | PostgreSQL's | lateness p50, ms | p99, ms | early |"
_THREADS = 5
_PATIENCE = 120.0


@dataclass(frozen=True, kw_only=True)
class Peer:
    """The commands that start a peer and give it orders: the arguments after the Python of its environment.

    A peer without `enqueue` gets its orders when it starts.
    """

    name: str
    work: tuple[str, ...]
    processes: int = 1
    enqueue: tuple[str, ...] | None = None

    @property
    def knows_time(self) -> bool:
        """Whether it can take an order for a later time."""
        return self.enqueue is not None


PEERS = (
    Peer(
        name="Celery, threads",
        work=("-m", "celery", "-A", "peer_celery", "worker", "-P", "threads", "-c", str(_THREADS), "-l", "WARNING"),
        enqueue=("peer_celery.py",),
    ),
    Peer(
        name="RQ, 5 SimpleWorkers",
        work=("peer_rq.py", "work"),
        processes=_THREADS,
        enqueue=("peer_rq.py",),
    ),
    Peer(name="bare loop, requests", work=("peer_loop.py", "requests")),
    Peer(name="bare loop, http.client", work=("peer_loop.py", "http.client")),
)


@dataclass
class Found:
    """The measurements of one system, an entry for each round."""

    drains: list[Drained] = field(default_factory=list)
    lateness: list[tuple[float, ...]] = field(default_factory=list)


class Arena:
    """The servers of the stage, and the environment of the peers."""

    def __init__(self, stage: Stage, python: Path) -> None:
        self._stage = stage
        self._python = python
        self._orders = stage.folder / "orders.json"
        self._starts = 0

    def drain(self, peer: Peer, planned: tuple[NewActivity, ...]) -> Drained:
        """All due orders are in the queue before the workers start, as for the product."""
        self._prepare(planned)
        self._enqueue(peer)
        with self._workers(peer) as workers:
            usage = self._stage.work_off(*workers, patience=_PATIENCE)
        return drained(self._stage, planned, usage)

    def lateness(self, peer: Peer, size: Size) -> tuple[float, ...]:
        """The workers run before any order is enqueued, as for the product."""
        self._stage.clear()
        with self._workers(peer) as workers:
            planned = likes_at_random_instants(size.spread, size.spread_s)
            self._prepare(planned)
            self._enqueue(peer)
            self._stage.work_off(*workers, patience=_PATIENCE)
        return lateness_ms(planned, self._stage.provider.effects())

    def clear(self) -> None:
        """Nothing of an earlier run is left."""
        self._stage.clear()

    def _prepare(self, planned: Iterable[NewActivity]) -> None:
        planned = tuple(planned)
        self._orders.write_text(json.dumps([[each.id, each.scheduled_for.timestamp()] for each in planned]))
        self._stage.schedule(planned, ring=False)

    def _enqueue(self, peer: Peer) -> None:
        if peer.enqueue is not None:
            subprocess.run(  # noqa: S603 - our own scripts
                [self._python, *self._words(peer.enqueue), self._orders],
                env=self._environment(),
                cwd=self._stage.folder,
                check=True,
            )

    @contextmanager
    def _workers(self, peer: Peer) -> Iterator[list[Process]]:
        with ExitStack() as stack:
            workers = [stack.enter_context(self._worker(peer)) for _ in range(peer.processes)]
            for worker in workers:
                # Asked, not killed: some have children.
                stack.callback(worker.stop)
                worker.wait_until_it_says("peer ready")
            yield workers

    def _worker(self, peer: Peer) -> Process:
        self._starts += 1
        orders = () if peer.knows_time else (str(self._orders),)
        return Process(
            [str(self._python), *self._words(peer.work), *orders],
            log=self._stage.folder / f"peer-{self._starts}.log",
            environment=self._environment(),
        )

    @staticmethod
    def _words(words: Iterable[str]) -> list[str]:
        return [str(_HERE / word) if word.endswith(".py") else word for word in words]

    def _environment(self) -> dict[str, str]:
        return {
            "PATH": str(self._python.parent),
            "PYTHONPATH": str(_HERE),
            "DATABASE_URL": str(self._stage.settings.database_url),
            "REDIS_URL": str(self._stage.settings.redis_url),
            "PROVIDER_URL": self._stage.provider.url,
        }


def compare(stage: Stage, python: Path, size: Size, rounds: int) -> dict[str, Found]:
    """Every system in turn, `rounds` times."""
    arena = Arena(stage, python)
    found = {name: Found() for name in (_OURS, *(peer.name for peer in PEERS))}
    for number in range(1, rounds + 1):
        _say(f"Round {number} of {rounds}: drain ...")
        found[_OURS].drains.append(drain_once(stage, due_likes(size.drained), _THREADS))
        for peer in PEERS:
            arena.clear()
            found[peer.name].drains.append(arena.drain(peer, due_likes(size.drained)))
        _say(f"Round {number} of {rounds}: lateness ...")
        planned, effects = perform(stage, likes_at_random_instants(size.spread, size.spread_s), size.spread_s)
        found[_OURS].lateness.append(lateness_ms(planned, effects))
        for peer in PEERS:
            if peer.knows_time:
                found[peer.name].lateness.append(arena.lateness(peer, size))
    return found


def page_section(report: Report, found: dict[str, Found], versions: str) -> str:
    """The text between the markers of the page."""
    machine = report.machine
    where = (
        f"Measured {report.started_at:%Y-%m-%d} on {machine['cores']} cores ({machine['system']}, Python"
        f" {machine['python']}), shared with PostgreSQL {machine['postgresql']}, {machine['redis']} and the simulated"
        f" provider; the load before was {machine['load_before']}. Peers: {versions}."
    )
    rounds = len(found[_OURS].drains)
    lines = [where, "", "| what | measured | unit | target | met |", "|---|--:|---|---|---|"]
    for figure in report.figures:
        value = f"{figure.value:,.0f}" if figure.value == int(figure.value) else f"{figure.value:,.2f}"
        met = {True: "yes", False: "**no**", None: ""}[figure.is_met]
        lines.append(f"| {figure.label} | {value} | {figure.unit} | {figure.target or ''} | {met} |")
    lines += [
        "",
        f"In the same run, {rounds} rounds in which the systems took turns; medians, and the range of the rounds:",
    ]
    lines += ["", _HEADER, "|---|--:|--:|--:|--:|--:|--:|"]
    lines += [_peer_row(name, each) for name, each in found.items()]
    return "\n".join(lines)


def _peer_row(name: str, found: Found) -> str:
    cells = [
        name,
        _spread([each.rate for each in found.drains], 0),
        _spread([each.cpu_per_1000 for each in found.drains], 2),
        _spread([each.database_cpu_per_1000 for each in found.drains], 2),
    ]
    if found.lateness:
        cells.append(_spread([quantile(each, 0.50) for each in found.lateness], 1))
        cells.append(_spread([quantile(each, 0.99) for each in found.lateness], 1))
        early = [sum(late < 0 for late in each) for each in found.lateness]
        cells.append(f"{median(early):,.0f} of {len(found.lateness[0]):,}")
    else:
        cells += ["", "", ""]
    return f"| {' | '.join(cells)} |"


def _spread(values: list[float], digits: int) -> str:
    middle, least, most = (f"{value:,.{digits}f}" for value in (median(values), min(values), max(values)))
    return middle if len(values) == 1 else f"{middle} ({least} to {most})"


def panels(found: dict[str, Found]) -> Panels:
    """All rounds together for the distribution, the median for the bars."""
    return Panels(
        lateness_ms={
            name: [late for each in of.lateness for late in each] for name, of in found.items() if of.lateness
        },
        jobs_per_second={name: median(each.rate for each in of.drains) for name, of in found.items()},
    )


def _environment_of_peers(folder: Path) -> Path:
    _say(f"Installing {', '.join(_PACKAGES)} into an environment of their own ...")
    venv.create(folder, with_pip=True)
    python = folder / "bin" / "python"
    subprocess.run([python, "-m", "pip", "install", "--quiet", *_PACKAGES], check=True)  # noqa: S603 - our own words
    return python


def _versions(python: Path) -> str:
    told = subprocess.run(  # noqa: S603 - our own words
        [python, "-m", "pip", "freeze"], check=True, capture_output=True, text=True
    ).stdout
    return ", ".join(re.findall(r"^(?:celery|requests|rq)==.*$", told, re.MULTILINE)).replace("==", " ")


def _say(text: str) -> None:
    sys.stderr.write(text + "\n")


def main() -> None:
    """Measure; print the tables, or write them and the drawing into the documentation."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=3, help="how often each system is measured")
    parser.add_argument("--quick", action="store_true", help="fewer activities: to see that it works")
    parser.add_argument("--write", action="store_true", help="write docs/performance.md and docs/performance.svg")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="engagement-peers-") as folder:
        python = _environment_of_peers(Path(folder))
        versions = _versions(python)
        with staged() as stage:
            report = measure(stage, MEASUREMENTS, is_quick=options.quick, tell=_say)
            found = compare(stage, python, QUICK if options.quick else FULL, options.rounds)
    section = page_section(report, found, versions)
    if options.write:
        text = _PAGE.read_text(encoding="utf-8")
        pattern = re.compile(r"(<!-- measured -->\n).*?(<!-- /measured -->)", re.DOTALL)
        _PAGE.write_text(pattern.sub(lambda marks: f"{marks[1]}{section}\n{marks[2]}", text), encoding="utf-8")
        _DRAWING.write_text(draw(panels(found)), encoding="utf-8")
    else:
        sys.stdout.write(section + "\n")


if __name__ == "__main__":
    try:
        main()
    except BenchFailed as failure:
        sys.exit(f"Error: {failure}")
