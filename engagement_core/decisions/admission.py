"""Admission: may this account act now?

The one rule: it fails closed. A blocked activity waits, uncharged, and always for a reason that a person can read.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta, timezone

from engagement_core.model.activity import Account
from engagement_core.model.controls import BlockScope, Control, ControlKind, SlowStart
from engagement_core.model.decision import Block, Write
from engagement_core.model.snapshot import Snapshot

__all__ = ["HELD_STATUSES", "Admission", "Admit", "Defer", "admit"]

HELD_STATUSES = frozenset({"expired", "error", "restricted", "disconnected", "paused"})
"""Words in `linkedin_accounts.status` that hold the account; any other is usable."""

_CAP_LOOK_AGAIN = timedelta(minutes=1)
_NEVER = datetime.min.replace(tzinfo=timezone.utc)


@dataclass(frozen=True, slots=True)
class Admit:
    """The account may act now."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Defer:
    """The activity waits until `until`. None: until a person acts, or until the account's state changes.

    `block` is put in force with the deferral, so that the sweep meanwhile leaves out the account's other work.
    """

    until: datetime | None
    reason: str
    block: Control | None = None

    @property
    def writes(self) -> tuple[Write, ...]:
        """What to apply with the deferral."""
        return () if self.block is None else (Block(self.block),)


Admission = Admit | Defer


def admit(snapshot: Snapshot, account: Account) -> Admission:
    """Whether the account may act at `snapshot.now`; if not, until when it waits, and why."""
    if snapshot.controls:
        return _blocked_by(snapshot.controls)
    if account.status in HELD_STATUSES:
        return Defer(until=None, reason=f"the status of account {account.id} is {account.status}")
    if account.daily_limit is not None and snapshot.sent_in_last_day >= account.daily_limit:
        reason = f"account {account.id} has used its {account.daily_limit} engagements of the last 24 hours"
        return _limited(account, snapshot.now + _CAP_LOOK_AGAIN, reason, f"{account.daily_limit} in 24 hours")
    return Admit() if snapshot.slow_start is None else _in_turn(snapshot, snapshot.slow_start, account)


def _in_turn(snapshot: Snapshot, slow_start: SlowStart, account: Account) -> Admission:
    limit = f"one engagement every {slow_start.spacing.total_seconds():g} s"
    reason = f"account {account.id} is in slow start: {limit}"
    if snapshot.now < (until := (slow_start.last_began_at or _NEVER) + slow_start.spacing):
        return _limited(account, until, reason, f"slow start, {limit}")
    if not snapshot.is_claimed and snapshot.now < (
        until := (slow_start.last_claimed_at or _NEVER) + slow_start.spacing
    ):
        # Another claim is being prepared for this slot: a second one would only be given back. Nor may it block the
        # account.
        return Defer(until=until, reason=reason)
    return Admit()


def _limited(account: Account, until: datetime, reason: str, limit: str) -> Defer:
    """One of our own limits (daily limit or slow start) blocks the account until there may be room again."""
    block = Control(kind=ControlKind.CAP, scope=BlockScope.ACCOUNT, scope_id=account.id, until=until, reason=limit)
    return Defer(until=until, reason=reason, block=block)


def _blocked_by(controls: tuple[Control, ...]) -> Defer:
    # The control that lasts longest decides: one without an end before any cool-down.
    endless = next((control for control in controls if control.until is None), None)
    lasting = endless or max(controls, key=lambda control: control.until or _NEVER)
    scope = lasting.scope.value if not lasting.scope_id else f"{lasting.scope.value} {lasting.scope_id}"
    kind = lasting.kind.value.replace("_", "-")
    return Defer(until=lasting.until, reason=f"{kind} on {scope}: {lasting.reason}")
