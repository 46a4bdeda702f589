"""Controls that stop a scope (everything, a pod or an account), and the slow start after a block."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta

from engagement_core.model.vocabulary import OpenWord

__all__ = ["SLOW_START_FOR", "SLOW_START_PER_SWEEP", "BlockScope", "Control", "ControlKind", "SlowStart"]


class ControlKind(OpenWord):
    """Why a scope is blocked."""

    PAUSE = "pause"
    COOL_DOWN = "cool_down"
    HOLD = "hold"
    CAP = "cap"


class BlockScope(OpenWord):
    """What a control blocks."""

    ALL = "all"
    POD = "pod"
    ACCOUNT = "account"


@dataclass(frozen=True, kw_only=True, slots=True)
class Control:
    """A row of `engagement_controls` that is in force.

    `until` is None if it has no end. Then a person must lift it; a successful probe, too, lifts a hold.
    """

    kind: ControlKind
    scope: BlockScope
    scope_id: str
    until: datetime | None
    reason: str


SLOW_START_FOR = timedelta(minutes=10)
"""Slow start lasts as long as the cool-down or hold did, and at most this long."""


SLOW_START_PER_SWEEP = 10
"""How many activities of an account in slow start one sweep finds. No more could begin before the next sweep."""


@dataclass(frozen=True, kw_only=True, slots=True)
class SlowStart:
    """An account in slow start after a block.

    The block ended at `released_at`. Slow start lasts as long as the block did (see `SLOW_START_FOR`). Meanwhile the
    account's sends begin `spacing` apart. `last_began_at` is its latest send of the last 24 hours; `last_claimed_at` is
    the latest claim among those that are still being prepared.
    """

    released_at: datetime
    last_began_at: datetime | None
    spacing: timedelta
    last_claimed_at: datetime | None = None
