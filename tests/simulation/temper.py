"""How badly a world behaves: which faults it has, and how often.

The one rule: every seed draws its own temper, and leaves most faults out of it. Worlds that each have a few faults,
often, find more than worlds that have all of them, rarely.
"""

from __future__ import annotations

import random
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import Enum

__all__ = ["CALM", "Script", "Temper", "draw_temper"]


class Script(Enum):
    """What the provider does with one call, and what it answers."""

    DONE = "applied, and says so"
    DONE_WITHOUT_ID = "applied, with a body that nobody can read"
    DONE_UNHEARD = "applied, and the answer is lost"
    DONE_LATE = "applied late, and the answer is lost"
    DONE_5XX = "applied, answers 5xx"
    DONE_UNINTELLIGIBLE = "applied, answers what nobody understands"
    DONE_BREAKS = "applied, and the adapter breaks over the answer"
    UNHEARD = "not applied, and the answer is lost"
    BREAKS = "not applied, and the adapter breaks over the answer"
    SERVER_ERROR = "not applied, answers 5xx"
    UNINTELLIGIBLE = "not applied, answers what nobody understands"
    NOT_SENT = "the connection is refused"
    BREAKER = "the breaker is open"
    NO_SESSION = "503 no_client_session"
    RATE_LIMITED = "429"
    RATE_LIMITED_FOR = "429 with Retry-After"
    SIGNED_OUT = "401"
    BLOCKED = "403"
    GONE = "404"
    INVALID = "422"


@dataclass(frozen=True, kw_only=True)
class Temper:
    """Probabilities of faults. `crash` and `stop` are per step of a worker; `unavailable` (nothing was done), `lost`
    (it was done, the answer is lost) and `again` (decided twice) are per call of the store; `read_breaks` is how often
    a read-back raises what nobody has announced.

    `slow` is how often a step takes seconds instead of milliseconds. `shows_early` is how often a read shows what the
    provider need not show yet. `meddles` counts what other services do to the rows, `persons` what people do, `rings`
    the wake-ups that nobody asked for, `outages` the times at which the database is away. `reinserts` counts rows that
    are deleted and inserted again, `renames` ids that are changed, `upgrades` attempts that a newer release leaves in
    words of its own, `triggers` the times at which the table refuses or swallows what is written to it.
    """

    crash: float = 0.0
    stop: float = 0.0
    unavailable: float = 0.0
    lost: float = 0.0
    again: float = 0.0
    slow: float = 0.0
    deaf: float = 0.0
    read_fails: float = 0.0
    mangles: float = 0.0
    shows_early: float = 1.0
    voice_fails: float = 0.0
    meddles: int = 0
    persons: int = 0
    blocks: int = 0
    rings: int = 0
    manual: int = 0
    outages: int = 0
    read_breaks: float = 0.0
    reinserts: int = 0
    renames: int = 0
    upgrades: int = 0
    triggers: int = 0
    provider: Mapping[Script, float] = field(default_factory=lambda: {Script.DONE: 1.0})


CALM = Temper()
"""No faults at all."""

_FAULTS = tuple(script for script in Script if script is not Script.DONE)


def draw_temper(rng: random.Random) -> Temper:
    """The temper of a world."""
    faulty = rng.choice((0.2, 1.0, 4.0))
    chosen = rng.sample(_FAULTS, rng.randint(0, 5))
    weights = {Script.DONE: 1.0} | {script: faulty * rng.random() for script in chosen}
    return Temper(
        crash=rng.choice((0.0, 0.0, 0.01, 0.04)),
        stop=rng.choice((0.0, 0.0, 0.01, 0.03)),
        unavailable=rng.choice((0.0, 0.0, 0.02, 0.1)),
        lost=rng.choice((0.0, 0.0, 0.02, 0.1)),
        again=rng.choice((0.0, 0.0, 0.1)),
        slow=rng.choice((0.0, 0.0, 0.02, 0.1, 0.3)),
        deaf=rng.choice((0.0, 0.0, 0.1, 0.5)),
        read_fails=rng.choice((0.0, 0.0, 0.2)),
        mangles=rng.choice((0.0, 0.5, 1.0)),
        shows_early=rng.choice((0.0, 0.0, 0.5, 1.0)),
        voice_fails=rng.choice((0.0, 0.2, 1.0)),
        meddles=rng.choice((0, 0, 0, 2)),
        persons=rng.choice((0, 0, 3)),
        blocks=rng.choice((0, 0, 0, 2)),
        rings=rng.choice((0, 3, 8)),
        manual=rng.choice((0, 0, 2)),
        outages=rng.choice((0, 0, 0, 1, 2)),
        read_breaks=rng.choice((0.0, 0.0, 0.0, 0.3)),
        reinserts=rng.choice((0, 0, 0, 2)),
        renames=rng.choice((0, 0, 0, 0, 1)),
        upgrades=rng.choice((0, 0, 0, 0, 1)),
        triggers=rng.choice((0, 0, 0, 1, 2)),
        provider=weights,
    )
