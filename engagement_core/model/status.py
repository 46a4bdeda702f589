"""The state of everything: in numbers, and the activities that a person looks at first."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta

from engagement_core.model.controls import Control
from engagement_core.model.errors import ErrorType
from engagement_core.model.lifecycle import Phase

__all__ = ["Count", "Failed", "HeldAccount", "InFlight", "Late", "Lateness", "RecentSends", "Status"]


@dataclass(frozen=True, slots=True)
class Count:
    """So many: counted, or (not `exact`) more than are counted, and then a rough estimate. Of what is due no more than
    100,000 are told."""

    value: int
    exact: bool = True


@dataclass(frozen=True, kw_only=True, slots=True)
class Lateness:
    """From when an activity was due to the call of the provider; None when nothing was sent."""

    sends: int
    p50: timedelta | None
    p99: timedelta | None


@dataclass(frozen=True, kw_only=True, slots=True)
class RecentSends:
    """Attempts that were sent and judged: how many, how many of them happened, what went wrong with the others."""

    judged: int
    succeeded: int
    error_types: Mapping[str, int]

    @property
    def success_rate(self) -> float | None:
        """Between 0 and 1; None when there was nothing to judge."""
        return self.succeeded / self.judged if self.judged else None


@dataclass(frozen=True, kw_only=True, slots=True)
class HeldAccount:
    """An account that its own status keeps from acting."""

    account_id: str
    status: str


@dataclass(frozen=True, kw_only=True, slots=True)
class InFlight:
    """An open attempt, since it was claimed or, once it began to send, since then. `next_at` is its deadline; of an
    unknown one, when it is looked for next."""

    activity_id: str
    phase: Phase
    worker_id: str
    since: datetime
    next_at: datetime | None


@dataclass(frozen=True, kw_only=True, slots=True)
class Late:
    """An activity whose time has come and gone, and that nobody works on."""

    activity_id: str
    due_at: datetime


@dataclass(frozen=True, kw_only=True, slots=True)
class Failed:
    """An open dead letter."""

    activity_id: str
    error_type: ErrorType
    message: str
    next_step: str
    buried_at: datetime


@dataclass(frozen=True, kw_only=True, slots=True)
class Status:
    """One look. `due` waits although its time has come (for a worker, or for its account); `oldest_due` for so long.

    `lateness` is of the first attempts of the last hour, `recent` of the last 24 hours: of the latest 10,000 at most,
    and of one account's latest 1,000. `executed` and `failed` are what this software executed, and its open dead
    letters. `controls` and `held_accounts` are the first 100.

    The examples are the first ten of each: in flight and unknown by when something happens to them next, late since the
    longest, failed the latest first.
    """

    seen_at: datetime
    scheduled: Count
    due: Count
    claimed: Count
    sending: Count
    unknown: Count
    executed: Count
    failed: Count
    oldest_due: timedelta | None
    lateness: Lateness
    recent: RecentSends
    dead_letters: Mapping[ErrorType, int]
    controls: tuple[Control, ...]
    held_accounts: tuple[HeldAccount, ...]
    workers_alive: int
    in_flight_examples: tuple[InFlight, ...] = ()
    unknown_examples: tuple[InFlight, ...] = ()
    late_examples: tuple[Late, ...] = ()
    failed_examples: tuple[Failed, ...] = ()
