"""Measures lateness: from an activity's time to the arrival of its request at the provider.

The one rule: the instants are random, but the same in every run, so that two runs or two systems can be compared.
"""

from __future__ import annotations

import random
from datetime import datetime, timedelta, timezone

from engagement_core.model.new_activity import NewActivity
from runners.bench.distribution import quantile
from runners.bench.figure import Figure, Result, at_most
from runners.bench.judge import doubled, lateness_ms, lost
from runners.bench.size import Size
from runners.bench.stage import Stage
from runners.bench.workload import likes

__all__ = ["likes_at_one_instant", "likes_at_random_instants", "measure_lateness", "measure_one_instant", "perform"]

_FIRST_IN = timedelta(seconds=4)
"""Time to write all rows and jobs before the first activity is due."""

_PATIENCE = 60.0
_SEED = 5
_THREADS = 5


def measure_lateness(stage: Stage, size: Size) -> Result:
    """Activities at random instants, scheduled while the worker runs."""
    planned, effects = perform(stage, likes_at_random_instants(size.spread, size.spread_s), size.spread_s)
    late = lateness_ms(planned, effects)
    figures = (
        Figure(name="lateness_p50", label="lateness p50", value=quantile(late, 0.50), unit="ms", target=at_most(4)),
        Figure(name="lateness_p95", label="lateness p95", value=quantile(late, 0.95), unit="ms"),
        Figure(name="lateness_p99", label="lateness p99", value=quantile(late, 0.99), unit="ms", target=at_most(15)),
        Figure(name="lateness_max", label="lateness, the worst", value=max(late), unit="ms"),
        _count("early", "early", sum(each < 0 for each in late)),
        _count("lateness_lost", "lost at random instants", lost(planned, effects)),
        _count("lateness_duplicates", "duplicates at random instants", doubled(effects)),
    )
    return Result(figures=figures, samples={"lateness_ms": tuple(round(each, 3) for each in sorted(late))})


def measure_one_instant(stage: Stage, size: Size) -> Result:
    """Many activities at the same instant: how late the last of them arrives."""
    planned, effects = perform(stage, likes_at_one_instant(size.at_once), 0.0)
    late = lateness_ms(planned, effects)
    label = f"{size.at_once} at one instant, the last"
    figures = (
        Figure(name="one_instant_last", label=label, value=max(late), unit="ms", target=at_most(1000)),
        _count("one_instant_early", "early at one instant", sum(each < 0 for each in late)),
        _count("one_instant_lost", "lost at one instant", lost(planned, effects)),
    )
    return Result(figures=figures)


def likes_at_random_instants(count: int, spread_s: float) -> tuple[NewActivity, ...]:
    """Likes at random instants within `spread_s` seconds, in order of time."""
    dice = random.Random(_SEED)  # noqa: S311 - repeatable on purpose
    first = datetime.now(timezone.utc) + _FIRST_IN
    return likes(sorted(first + timedelta(seconds=dice.uniform(0, spread_s)) for _ in range(count)))


def likes_at_one_instant(count: int) -> tuple[NewActivity, ...]:
    """Likes that are all due at one instant, a few seconds from now."""
    return likes([datetime.now(timezone.utc) + _FIRST_IN] * count)


def perform(
    stage: Stage,
    planned: tuple[NewActivity, ...],
    spread_s: float,
    *,
    threads: int = _THREADS,
    ring: bool = True,
    **environment: str,
) -> tuple[tuple[NewActivity, ...], list[dict[str, object]]]:
    """Let a running worker execute what is scheduled. Returns the plan and the ledger's effects.

    `ring`: whether there are jobs for it.

    Raises:
        BenchFailed: it was not executed in time.
    """
    stage.clear()
    with stage.worker(threads, **environment) as worker:
        stage.schedule(planned, ring=ring)
        stage.work_off(worker, patience=_PATIENCE + spread_s)
        worker.stop()
    return planned, stage.provider.effects()


def _count(name: str, label: str, value: int) -> Figure:
    return Figure(name=name, label=label, value=value, unit="", target=at_most(0))
