"""The account register in memory: a view of what the store's writes have blocked and sent."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from itertools import takewhile

from engagement_core.model.account_state import Failing, Hold
from engagement_core.model.attempt import Attempt
from engagement_core.model.controls import BlockScope, Control, ControlKind
from engagement_core.model.decision import Block, Decision
from engagement_core.model.errors import Cause
from engagement_core.model.lifecycle import Event, Phase
from fakes.activities import InMemoryActivityStore

__all__ = ["InMemoryAccountRegister"]

_SOON = timedelta(days=1)


@dataclass(frozen=True, kw_only=True)
class _Probed:
    """What is on record of an account's probes; `released_at` when one of them lifted the hold."""

    probe_at: datetime | None
    probes: int
    released_at: datetime | None = None


class InMemoryAccountRegister:
    """Fills `engagement_core.ports.accounts.AccountRegister`."""

    def __init__(self, store: InMemoryActivityStore) -> None:
        self._store = store
        self._probed: dict[str, _Probed] = {}

    def held(self, *, limit: int) -> tuple[Hold, ...]:
        """See the port."""
        now = self._store.now()
        due = [hold for hold in self._holds(now) if hold.probe_at is None or hold.probe_at <= now]
        due.sort(key=lambda hold: (hold.probe_at is not None, hold.probe_at or now))
        return tuple(due[:limit])

    def plan(self, hold: Hold, *, probe_at: datetime, probes: int) -> bool:
        """See the port."""
        mine = self._same(hold)
        if mine is None or mine.probe_at != hold.probe_at:
            return False
        self._probed[hold.account.id] = _Probed(probe_at=probe_at, probes=probes)
        return True

    def release(self, hold: Hold) -> bool:
        """See the port."""
        mine = self._same(hold)
        if mine is None:
            return False
        now = self._store.now()
        self.lift(hold.account.id)
        self._probed[hold.account.id] = _Probed(probe_at=None, probes=mine.probes, released_at=now)
        return True

    def lift(self, account_id: str) -> None:
        """What a person does with `engagement resume`."""
        where = (ControlKind.HOLD, BlockScope.ACCOUNT, account_id)
        controls = self._store.controls
        controls[:] = [each for each in controls if (each.kind, each.scope, each.scope_id) != where]
        now = self._store.now()
        self._store.released[account_id] = (self._store.blocked_at.get(where, now), now)
        self._probed.pop(account_id, None)

    def failing(self, *, within: timedelta, at_least: int, limit: int) -> tuple[Failing, ...]:
        """See the port."""
        now = self._store.now()
        found = []
        for account_id in self._store.accounts:
            run = self._run(account_id, now - within)
            is_fresh = any(attempt.phase is Phase.UNKNOWN for attempt in run)
            if is_fresh and len(run) >= at_least and not self._cools_down(account_id, now):
                began_at = tuple(sorted(attempt.began_at for attempt in run if attempt.began_at))
                found.append(Failing(account_id=account_id, began_at=began_at, seen_at=now))
        return tuple(found[:limit])

    def cool_down(self, account_id: str, *, until: datetime, reason: str) -> None:
        """See the port."""
        control = Control(
            kind=ControlKind.COOL_DOWN, scope=BlockScope.ACCOUNT, scope_id=account_id, until=until, reason=reason
        )
        self._store.change("", lambda _: Decision(None, (Block(control),)))

    def _holds(self, now: datetime) -> list[Hold]:
        holds = []
        for control in self._store.controls:
            account = self._store.accounts.get(control.scope_id)
            if account is None or (control.kind, control.scope) != (ControlKind.HOLD, BlockScope.ACCOUNT):
                continue
            held_at = self._store.blocked_at[control.kind, control.scope, control.scope_id]
            probed = self._since(account.id, held_at)
            holds.append(
                Hold(account=account, held_at=held_at, probe_at=probed.probe_at, probes=probed.probes, seen_at=now)
            )
        return holds

    def _since(self, account_id: str, held_at: datetime) -> _Probed:
        """A hold that follows soon upon one that a probe has lifted goes on with its count."""
        probed = self._probed.get(account_id, _Probed(probe_at=None, probes=0))
        if probed.released_at is not None and probed.released_at <= held_at - _SOON:
            return _Probed(probe_at=None, probes=0)
        return replace(probed, released_at=None)

    def _same(self, hold: Hold) -> _Probed | None:
        """What is on record, if the account is held as it was when the hold was read."""
        holds = {each.account.id: each for each in self._holds(self._store.now())}
        current = holds.get(hold.account.id)
        if current is None or current.held_at != hold.held_at:
            return None
        return _Probed(probe_at=current.probe_at, probes=current.probes)

    def _run(self, account_id: str, since: datetime) -> list[Attempt]:
        sent = [
            attempt
            for attempts in self._store.attempts.values()
            for attempt in attempts.values()
            if attempt.account_id == account_id and _has_told(attempt) and attempt.began_at and attempt.began_at > since
        ]
        sent.sort(key=lambda attempt: attempt.began_at or since, reverse=True)
        return list(takewhile(_failed, sent))

    def _cools_down(self, account_id: str, now: datetime) -> bool:
        return any(
            (each.kind, each.scope, each.scope_id) == (ControlKind.COOL_DOWN, BlockScope.ACCOUNT, account_id)
            and each.until is not None
            and each.until > now
            for each in self._store.controls
        )


def _has_told(attempt: Attempt) -> bool:
    """What became of it, or that nobody knows."""
    return attempt.event is not Event.RELEASE and attempt.phase not in (Phase.CLAIMED, Phase.SENDING)


def _failed(attempt: Attempt) -> bool:
    cause = (attempt.error or {}).get("cause")
    return attempt.phase is not Phase.EXECUTED and cause == Cause.SERVER_ERROR.value
