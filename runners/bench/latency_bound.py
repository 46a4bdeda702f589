"""Measures whether threads wait only for a slow provider: the rate as a share of the ideal rate.

The one rule: the ideal rate is the number of threads divided by the provider's time per call. The measured time runs
from the first request to the last effect.
"""

from __future__ import annotations

from runners.bench.drain import due_likes
from runners.bench.figure import Figure, Result, at_least
from runners.bench.judge import insist_on_once, seconds_taken
from runners.bench.size import Size
from runners.bench.stage import Stage

__all__ = ["measure_latency_bound"]

_THREADS = 20
_CALL_MS = 500
_PATIENCE = 60.0


def measure_latency_bound(stage: Stage, size: Size) -> Result:
    """20 threads against a provider that takes 500 ms."""
    planned = due_likes(_THREADS * size.rounds_of_calls)
    stage.clear()
    stage.provider.take([{"action": "latency", "ms": _CALL_MS}])
    stage.schedule(planned)
    with stage.worker(_THREADS) as worker:
        stage.work_off(worker, patience=_PATIENCE)
        worker.stop()
    effects = stage.provider.effects()
    insist_on_once(planned, effects)
    ideal_s = size.rounds_of_calls * _CALL_MS / 1000
    share = ideal_s / seconds_taken(effects) * 100
    label = f"20 threads, {_CALL_MS} ms calls: share of the ideal"
    return Result(
        figures=(Figure(name="latency_bound", label=label, value=share, unit="%", target=at_least(98)),),
    )
