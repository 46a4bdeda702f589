"""How much the bench measures: enough for steady figures, or less for a quick look."""

from __future__ import annotations

from dataclasses import dataclass

__all__ = ["FULL", "QUICK", "Size"]


@dataclass(frozen=True, kw_only=True, slots=True)
class Size:
    """Counts of activities, with three exceptions.

    `runs`: how often the drain is repeated (its median counts). `spread_s`: seconds over which `spread` activities are
    spread. `rounds_of_calls`: calls per thread in the latency-bound measurement.
    """

    runs: int
    warming_up: int
    drained: int
    spread: int
    spread_s: float
    at_once: int
    rounds_of_calls: int
    beside_the_crash: int


FULL = Size(
    runs=3,
    warming_up=500,
    drained=2_000,
    spread=1_000,
    spread_s=20.0,
    at_once=200,
    rounds_of_calls=40,
    beside_the_crash=200,
)
QUICK = Size(
    runs=1, warming_up=100, drained=300, spread=200, spread_s=4.0, at_once=200, rounds_of_calls=6, beside_the_crash=50
)
