"""What keeps a scope from acting: everything, a pod or an account."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta

from engagement_core.model.vocabulary import OpenWord

__all__ = ["PACED_FOR", "PACED_PER_SWEEP", "BlockScope", "Control", "ControlKind", "Pace"]


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
    """A row of `engagement_controls` that is in force. `until` is None for one that a person must lift."""

    kind: ControlKind
    scope: BlockScope
    scope_id: str
    until: datetime | None
    reason: str


PACED_FOR = timedelta(minutes=10)
"""How long an account comes back slowly at most: as long as the cool-down or the hold lasted that has ended or was
lifted, up to this. Who was asked to wait a second has no backlog that could harm."""


PACED_PER_SWEEP = 10
"""How many activities of such an account are found at once: more could not begin before the next sweep, and would only
be looked at again and again."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Pace:
    """An account that comes back slowly: it was released at `released_at`, a shorter time ago than it had been kept
    back (see `PACED_FOR`), and its sends begin `spacing` apart. `last_began_at` is the latest of the last 24 hours,
    `last_claimed_at` that of the claims that are prepared at present."""

    released_at: datetime
    last_began_at: datetime | None
    spacing: timedelta
    last_claimed_at: datetime | None = None
