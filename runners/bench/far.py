"""Measures a database that is some milliseconds away, as a hosted one is: how fast, and how late.

The one rule: what is measured near is measured the same way here, so that the two can stand beside each other.
"""

from __future__ import annotations

from runners.bench.distribution import quantile
from runners.bench.drain import drain_once, due_likes
from runners.bench.figure import Figure, Result
from runners.bench.judge import insist_on_once, lateness_ms
from runners.bench.lateness import likes_at_random_instants, perform
from runners.bench.size import Size
from runners.bench.stage import Stage

__all__ = ["measure_far"]

_FEW, _MANY = 5, 20


def measure_far(stage: Stage, size: Size) -> Result:
    """Drain with 5 and with 20 threads, and the lateness of activities at random instants with 20."""
    with stage.far(size.far_ms):
        few = drain_once(stage, due_likes(size.far_drained), _FEW)
        many = drain_once(stage, due_likes(size.far_drained), _MANY)
        likes = likes_at_random_instants(size.far_spread, size.far_spread_s)
        planned, effects = perform(stage, likes, size.far_spread_s, threads=_MANY)
    insist_on_once(planned, effects)
    late = lateness_ms(planned, effects)
    figures = (
        _figure(size, "far_drain_rate", "drain, 5 threads", few.rate, "jobs/s"),
        _figure(size, "far_drain_rate_20_threads", "drain, 20 threads", many.rate, "jobs/s"),
        _figure(size, "far_lateness_p50", "lateness p50, 20 threads", quantile(late, 0.50), "ms"),
        _figure(size, "far_lateness_p99", "lateness p99, 20 threads", quantile(late, 0.99), "ms"),
        _figure(size, "far_early", "early", sum(each < 0 for each in late), ""),
    )
    return Result(figures=figures, samples={"far_lateness_ms": tuple(round(each, 3) for each in sorted(late))})


def _figure(size: Size, name: str, label: str, value: float, unit: str) -> Figure:
    return Figure(name=name, label=f"database {size.far_ms:g} ms away: {label}", value=value, unit=unit)
