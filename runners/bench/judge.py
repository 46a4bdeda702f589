"""Compares the ledger with the plan: how late, how fast, what was lost or sent twice.

The one rule: these functions are pure. They use the plan and the ledger's effects, and nothing else.
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
    """How many effects repeat an earlier one. Every activity has its own post, so the post identifies it."""
    return sum(count - 1 for count in Counter(effect["post_id"] for effect in effects).values())


def insist_on_once(planned: Iterable[NewActivity], effects: Iterable[Effect]) -> None:
    """Refuse a run that lost or doubled something: its speed means nothing.

    Raises:
        BenchFailed: an engagement was lost or sent twice.
    """
    effects = tuple(effects)
    missing, again = lost(planned, effects), doubled(effects)
    if missing or again:
        raise BenchFailed(f"the ledger lacks {missing} engagements, and has {again} a second time")


def lateness_ms(planned: Iterable[NewActivity], effects: Iterable[Effect]) -> tuple[float, ...]:
    """In ms, from each activity's time to the arrival of its first request at the provider. Below zero is early."""
    arrived: dict[str, float] = {}
    for effect in effects:
        at = arrived.setdefault(effect["post_id"], effect["received_at"])
        arrived[effect["post_id"]] = min(at, effect["received_at"])
    return tuple(
        (arrived[post] - _epoch(each.scheduled_for)) * 1000 for each in planned if (post := post_of(each.id)) in arrived
    )


def seconds_taken(effects: Iterable[Effect]) -> float:
    """The seconds from the first request's arrival to the last effect.

    Raises:
        BenchFailed: there are fewer than two effects.
    """
    effects = tuple(effects)
    if len(effects) < 2:  # noqa: PLR2004 - a duration has two ends
        raise BenchFailed("the ledger has too few effects to measure anything")
    return float(max(effect["at"] for effect in effects) - min(effect["received_at"] for effect in effects))


def _epoch(instant: datetime) -> float:
    return instant.astimezone(timezone.utc).timestamp()
