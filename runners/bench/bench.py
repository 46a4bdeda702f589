"""Runs the measurements one after the other, on one stage."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import replace
from datetime import datetime, timezone

from runners.bench.crash import measure_crash
from runners.bench.drain import measure_drain
from runners.bench.far import measure_far
from runners.bench.figure import Figure, Result
from runners.bench.latency_bound import measure_latency_bound
from runners.bench.lateness import measure_lateness, measure_one_instant
from runners.bench.machine import machine
from runners.bench.report import Report
from runners.bench.size import FAR_MS, FULL, QUICK, Size
from runners.bench.stage import Stage, staged

__all__ = ["MEASUREMENTS", "measure", "run_bench"]

MEASUREMENTS: dict[str, Callable[[Stage, Size], Result]] = {
    "drain": measure_drain,
    "lateness": measure_lateness,
    "one-instant": measure_one_instant,
    "latency-bound": measure_latency_bound,
    "crash": measure_crash,
    "far": measure_far,
}


def run_bench(names: Iterable[str], *, is_quick: bool, far_ms: float, tell: Callable[[str], None]) -> Report:
    """Make these measurements. `tell` gets one line of progress before each.

    `far_ms`: how far away the database is in the measurement `far`, in milliseconds each way.

    Raises:
        EmbeddedServersFailed: the servers do not start, or their wheels are not installed.
        BenchFailed: something that is measured does not work.
    """
    tell("Starting PostgreSQL, Valkey and the simulated provider ...")
    with staged() as stage:
        return measure(stage, names, is_quick=is_quick, far_ms=far_ms, tell=tell)


def measure(
    stage: Stage, names: Iterable[str], *, is_quick: bool, far_ms: float = FAR_MS, tell: Callable[[str], None]
) -> Report:
    """Like `run_bench`, on a stage that is already running."""
    size = replace(QUICK if is_quick else FULL, far_ms=far_ms)
    started_at, seen = datetime.now(timezone.utc), machine(stage)
    figures: list[Figure] = []
    samples: dict[str, tuple[float, ...]] = {}
    for name in names:
        tell(f"Measuring: {name} ...")
        result = MEASUREMENTS[name](stage, size)
        figures += result.figures
        samples.update(result.samples)
    return Report(started_at=started_at, is_quick=is_quick, machine=seen, figures=tuple(figures), samples=samples)
