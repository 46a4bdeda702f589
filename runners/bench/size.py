"""How much the bench measures: enough for steady figures, or less for a quick look."""

from __future__ import annotations

from dataclasses import dataclass

__all__ = ["FAR_MS", "FULL", "QUICK", "Size"]

FAR_MS = 10.0
"""A hosted database in the next region, in milliseconds each way."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Size:
    """Counts of activities, with these exceptions.

    `runs`: how often the drain is repeated (its median counts). `spread_s`, `far_spread_s`: seconds over which `spread`
    and `far_spread` activities are spread. `rounds_of_calls`: calls per thread in the latency-bound measurement.
    `far_ms`: how far away the database of the last measurement is, in milliseconds each way.
    """

    runs: int
    warming_up: int
    drained: int
    spread: int
    spread_s: float
    at_once: int
    rounds_of_calls: int
    beside_the_crash: int
    far_drained: int
    far_spread: int
    far_spread_s: float
    far_ms: float = FAR_MS


FULL = Size(
    runs=3,
    warming_up=500,
    drained=2_000,
    spread=1_000,
    spread_s=20.0,
    at_once=200,
    rounds_of_calls=40,
    beside_the_crash=200,
    far_drained=1_000,
    far_spread=500,
    far_spread_s=10.0,
)
QUICK = Size(
    runs=1,
    warming_up=100,
    drained=300,
    spread=150,
    spread_s=3.0,
    at_once=200,
    rounds_of_calls=6,
    beside_the_crash=50,
    far_drained=150,
    far_spread=100,
    far_spread_s=2.0,
)
