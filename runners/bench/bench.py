"""Runs the measurements one after the other, on one stage."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from datetime import datetime, timezone

from runners.bench.crash import measure_crash
from runners.bench.drain import measure_drain
from runners.bench.figure import Figure, Result
from runners.bench.latency_bound import measure_latency_bound
from runners.bench.lateness import measure_lateness, measure_one_instant
from runners.bench.machine import machine
from runners.bench.report import Report
from runners.bench.size import FULL, QUICK, Size
from runners.bench.stage import Stage, staged

__all__ = ["MEASUREMENTS", "measure", "run_bench"]

MEASUREMENTS: dict[str, Callable[[Stage, Size], Result]] = {
    "drain": measure_drain,
    "lateness": measure_lateness,
    "one-instant": measure_one_instant,
    "latency-bound": measure_latency_bound,
    "crash": measure_crash,
}


def run_bench(names: Iterable[str], *, is_quick: bool, tell: Callable[[str], None]) -> Report:
    """Make these measurements. `tell` gets one line of progress before each.

    Raises:
        EmbeddedServersFailed: the servers do not start, or their wheels are not installed.
        BenchFailed: something that is measured does not work.
    """
    tell("Starting PostgreSQL, Valkey and the simulated provider ...")
    with staged() as stage:
        return measure(stage, names, is_quick=is_quick, tell=tell)


def measure(stage: Stage, names: Iterable[str], *, is_quick: bool, tell: Callable[[str], None]) -> Report:
    """Like `run_bench`, on a stage that is already running."""
    started_at, seen = datetime.now(timezone.utc), machine(stage)
    figures: list[Figure] = []
    samples: dict[str, tuple[float, ...]] = {}
    for name in names:
        tell(f"Measuring: {name} ...")
        result = MEASUREMENTS[name](stage, QUICK if is_quick else FULL)
        figures += result.figures
        samples.update(result.samples)
    return Report(started_at=started_at, is_quick=is_quick, machine=seen, figures=tuple(figures), samples=samples)
