"""Measures a crash: SIGKILL ends a worker with calls in flight, and a second worker takes over.

The one rule: the kill waits until the provider has a request from every thread. The activities that the database then
records as being sent are those in flight.
"""

from __future__ import annotations

import time

from runners.bench.drain import due_comments_in_turn
from runners.bench.figure import Figure, Result, Target, at_least, at_most
from runners.bench.judge import doubled, lost
from runners.bench.size import Size
from runners.bench.stage import Stage, wait_until

__all__ = ["measure_crash"]

_THREADS = 5
_CALL_MS = 3000
"""How long the provider takes before the kill: long enough to kill a worker with every thread in a call."""

_PATIENCE = 60.0
_LOOK_EVERY = 0.01
# The defaults, 30 and 90 s, are for a provider whose reads may lag; the sandbox's reads do not.
_ENVIRONMENT = {"POD_ENGAGEMENT_JOB_TIMEOUT": "5000", "POD_ENGAGEMENT_VISIBILITY_LAG_MS": "2000"}


def measure_crash(stage: Stage, size: Size) -> Result:
    """The time until the others are done and until all is settled, both from the second worker's start."""
    planned = due_comments_in_turn(_THREADS + size.beside_the_crash)
    stage.clear()
    stage.provider.take([{"action": "latency", "ms": _CALL_MS}])
    stage.schedule(planned)
    in_flight = _kill_in_flight(stage)
    stage.provider.take([])
    restarted_at = time.monotonic()
    with stage.worker(_THREADS, **_ENVIRONMENT) as worker:
        wait_until(lambda: stage.database.scheduled() <= in_flight, _PATIENCE, "the others were not executed")
        others_s = time.monotonic() - restarted_at
        stage.work_off(worker, patience=_PATIENCE)
        settled_s = time.monotonic() - restarted_at
        worker.stop()
    outcomes, effects = stage.database.outcomes(), stage.provider.effects()
    read_back = sum(outcomes[activity_id].provenance == "reconciled" for activity_id in in_flight)
    executed = sum(outcome.status == "executed" for outcome in outcomes.values())
    missing = max(lost(planned, effects), len(planned) - executed)
    all_of_them = at_least(len(in_flight))
    figures = (
        _figure("crash_in_flight", "in flight", len(in_flight), at_least(_THREADS)),
        _figure("crash_others", "the others done after", others_s, at_most(10), unit="s"),
        _figure("crash_settled", "all settled after", settled_s, unit="s"),
        _figure("crash_read_back", "settled by read-back", read_back, all_of_them),
        _figure("crash_duplicates", "duplicates", doubled(effects), at_most(0)),
        _figure("crash_lost", "lost", missing, at_most(0)),
    )
    return Result(figures=figures)


def _kill_in_flight(stage: Stage) -> frozenset[str]:
    """Kill a worker once each of its threads has a request at the provider. The ids of those activities."""
    with stage.worker(_THREADS, **_ENVIRONMENT) as worker:
        wait_until(
            lambda: stage.provider.requests() >= _THREADS, _PATIENCE, "the provider was not called", every=_LOOK_EVERY
        )
        worker.kill()
    return stage.database.sending()


def _figure(name: str, label: str, value: float, target: Target | None = None, *, unit: str = "") -> Figure:
    return Figure(name=name, label=f"SIGKILL: {label}", value=value, unit=unit, target=target)
