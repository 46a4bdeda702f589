"""What the ledger says about what was planned: how late, how fast, lost or doubled.

The one rule: pure; it is given the ledger's effects and believes nothing else.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from datetime import datetime, timezone
from typing import Any

from engagement_core.model.new_activity import NewActivity
from runners.bench.failure import BenchFailed
from runners.bench.workload import post_of

__all__ = ["doubled", "insist_on_once", "lateness_ms", "lost", "seconds_taken"]

Effect = Mapping[str, Any]


def lost(planned: Iterable[NewActivity], effects: Iterable[Effect]) -> int:
    """How many activities have no effect."""
    applied = {effect["post_id"] for effect in effects}
    return sum(each.post_id not in applied for each in planned)


def doubled(effects: Iterable[Effect]) -> int:
    """How many effects repeat an earlier one: every activity has a post of its own."""
    return sum(count - 1 for count in Counter(effect["post_id"] for effect in effects).values())


def insist_on_once(planned: Iterable[NewActivity], effects: Iterable[Effect]) -> None:
    """A speed at which something is lost or doubled is no speed.

    Raises:
        BenchFailed: something was.
    """
    effects = tuple(effects)
    missing, again = lost(planned, effects), doubled(effects)
    if missing or again:
        raise BenchFailed(f"the ledger lacks {missing} engagements, and {again} are in it again")


def lateness_ms(planned: Iterable[NewActivity], effects: Iterable[Effect]) -> tuple[float, ...]:
    """From an activity's time to its first request's arrival at the provider; below zero is early."""
    arrived: dict[str, float] = {}
    for effect in effects:
        at = arrived.setdefault(effect["post_id"], effect["received_at"])
        arrived[effect["post_id"]] = min(at, effect["received_at"])
    return tuple(
        (arrived[post] - _epoch(each.scheduled_for)) * 1000 for each in planned if (post := post_of(each.id)) in arrived
    )


def seconds_taken(effects: Iterable[Effect]) -> float:
    """From the first request's arrival to the last effect.

    Raises:
        BenchFailed: there are fewer than two.
    """
    effects = tuple(effects)
    if len(effects) < 2:  # noqa: PLR2004 - a duration has two ends
        raise BenchFailed("the ledger has too few effects to measure anything")
    return float(max(effect["at"] for effect in effects) - min(effect["received_at"] for effect in effects))


def _epoch(instant: datetime) -> float:
    return instant.astimezone(timezone.utc).timestamp()
