"""Measures how fast a worker executes what is due, and which resources it uses.

The one rule: all activities are due before the worker starts, and only the ledger's clock measures the time.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta, timezone

from engagement_core.model.new_activity import NewActivity
from runners.bench.distribution import median
from runners.bench.figure import Figure, Result, at_least, at_most
from runners.bench.judge import insist_on_once, seconds_taken
from runners.bench.size import Size
from runners.bench.stage import Stage
from runners.bench.usage import Usage
from runners.bench.workload import comments_in_turn, likes

__all__ = ["Drained", "drain_once", "drained", "due_comments_in_turn", "due_likes", "measure_drain"]

_PATIENCE = 60.0
_FEW, _MANY = 5, 20


@dataclass(frozen=True, kw_only=True, slots=True)
class Drained:
    """The result of one run. `rate`: engagements per second. The two CPU times: seconds per 1,000 engagements."""

    rate: float
    cpu_per_1000: float
    database_cpu_per_1000: float
    usage: Usage


def measure_drain(stage: Stage, size: Size) -> Result:
    """Likes with 5 threads (the median of several runs), likes with 20, half likes and half comments with 5."""
    # Not counted: only the first run in a new database pays for its first pages and log segments.
    drain_once(stage, due_likes(size.warming_up), _FEW)
    few = [drain_once(stage, due_likes(size.drained), _FEW) for _ in range(size.runs)]
    many = drain_once(stage, due_likes(size.drained), _MANY)
    mixed = drain_once(stage, due_comments_in_turn(size.drained), _FEW)
    rate = median(each.rate for each in few)
    cpu = median(each.cpu_per_1000 for each in few)
    database_cpu = median(each.database_cpu_per_1000 for each in few)
    used = [each.usage for each in few]
    figures = (
        Figure(name="drain_rate", label="drain, 5 threads", value=rate, unit="jobs/s", target=at_least(600)),
        Figure(name="drain_cpu", label="drain, 5 threads", value=cpu, unit="CPU-s/1,000", target=at_most(1.5)),
        Figure(name="drain_database_cpu", label="PostgreSQL for it", value=database_cpu, unit="CPU-s/1,000"),
        Figure(name="drain_rate_20_threads", label="drain, 20 threads", value=many.rate, unit="jobs/s"),
        Figure(name="drain_cpu_20_threads", label="drain, 20 threads", value=many.cpu_per_1000, unit="CPU-s/1,000"),
        Figure(name="drain_rate_comments", label="drain, half comments", value=mixed.rate, unit="jobs/s"),
        Figure(name="drain_cpu_comments", label="drain, half comments", value=mixed.cpu_per_1000, unit="CPU-s/1,000"),
        Figure(
            name="peak_rss",
            label="peak memory, 5 threads",
            value=max(each.peak_rss_mb for each in used),
            unit="MB",
            target=at_most(100),
        ),
        Figure(
            name="database_connections",
            label="PostgreSQL connections, 5 threads",
            value=max(each.database_connections for each in used),
            unit="",
            target=at_most(5),
        ),
        Figure(
            name="redis_connections",
            label="Redis connections, 5 threads",
            value=max(each.redis_connections for each in used),
            unit="",
            target=at_most(2),
        ),
    )
    return Result(figures=figures, samples={"drain_rate": tuple(round(each.rate, 4) for each in few)})


def due_likes(count: int) -> tuple[NewActivity, ...]:
    """Likes that were due a minute ago, one after the other."""
    return likes(_past(count))


def due_comments_in_turn(count: int) -> tuple[NewActivity, ...]:
    """Likes and comments in turn that were due a minute ago."""
    return comments_in_turn(_past(count))


def drained(stage: Stage, planned: tuple[NewActivity, ...], usage: Usage) -> Drained:
    """What the ledger says about a run.

    Raises:
        BenchFailed: an engagement was lost or sent twice.
    """
    effects = stage.provider.effects()
    insist_on_once(planned, effects)
    return Drained(
        rate=len(planned) / seconds_taken(effects),
        cpu_per_1000=usage.cpu_seconds / len(planned) * 1000,
        database_cpu_per_1000=usage.database_cpu_seconds / len(planned) * 1000,
        usage=usage,
    )


def drain_once(
    stage: Stage, planned: tuple[NewActivity, ...], threads: int, *, ring: bool = True, **environment: str
) -> Drained:
    """Let a worker that has just started execute what is planned. `ring`: whether there are jobs for it.

    Raises:
        BenchFailed: it was not executed in time, or an engagement was lost or sent twice.
    """
    stage.clear()
    stage.schedule(planned, ring=ring)
    with stage.worker(threads, **environment) as worker:
        usage = stage.work_off(worker, patience=_PATIENCE)
        worker.stop()
    return drained(stage, planned, usage)


def _past(count: int) -> list[datetime]:
    first = datetime.now(timezone.utc) - timedelta(seconds=60)
    return [first + timedelta(milliseconds=number) for number in range(count)]
