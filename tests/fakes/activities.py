"""The activity store in memory: every contract of the real one, without a server.

The one rule: like the real one it decides nothing. It locks, shows, and applies what the domain decided.
"""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from functools import partial
from typing import TypeVar

from engagement_core.decisions.admission import HELD_STATUSES
from engagement_core.model.activity import Account, Activity, EngagementType, Pod, PublicStatus
from engagement_core.model.attempt import Attempt
from engagement_core.model.controls import (
    SLOW_START_FOR,
    SLOW_START_PER_SWEEP,
    BlockScope,
    Control,
    ControlKind,
    SlowStart,
)
from engagement_core.model.decision import Decision, MarkExecuted, MarkFailed, MarkScheduled, SaveAttempt, Write
from engagement_core.model.due import Due
from engagement_core.model.errors import Effect
from engagement_core.model.lifecycle import Event, Phase
from engagement_core.model.orphan import FOREIGN_FOR, Orphan
from engagement_core.model.snapshot import NEIGHBOURS_FOR, Snapshot
from engagement_core.ports.activities import StoreRefused
from fakes.rows import InMemoryRows

__all__ = ["InMemoryActivityStore"]

T = TypeVar("T")

_SCHEDULED = PublicStatus.SCHEDULED.value


@dataclass
class InMemoryActivityStore(InMemoryRows):
    """Fills `engagement_core.ports.activities.ActivityStore`. `spacing`: see `SlowStart`."""

    spacing: timedelta = timedelta(seconds=1)

    def __post_init__(self) -> None:
        self._lock = threading.RLock()

    def change(
        self, activity_id: str, decide: Callable[[Snapshot], Decision[T]], *, crediting: tuple[str, ...] | None = None
    ) -> T:
        """See the port."""
        with self._lock:
            decision = decide(self._show(activity_id, crediting))
            self._refuse_second_effect(decision.writes)
            self._refuse_what_changes_no_row(decision.writes)
            for write in decision.writes:
                self.apply(write)
            return decision.result

    def submit(self, activity_id: str, decide: Callable[[Snapshot], Decision[T]]) -> Callable[[], T]:
        """See the port."""
        return partial(self.change, activity_id, decide)

    def due(self, *, look_ahead: timedelta, limit: int) -> tuple[Due, ...]:
        """See the port."""
        with self._lock:
            now = self.now()
            until = now + look_ahead
            waiting = sorted(
                (activity.due_at, activity.id)
                for activity in self.activities.values()
                if activity.status == _SCHEDULED and isinstance(activity, Activity) and self._can_go(activity, until)
            )
            turns: Counter[str | None] = Counter()
            found = []
            for at, key in waiting:
                account = self._acts_for(key)
                account_id = None if account is None else account.id
                turns[account_id] += 1
                if turns[account_id] <= SLOW_START_PER_SWEEP or self._pace(account, now) is None:
                    found.append((turns[account_id], Due(activity_id=key, due_in=at - now, account_id=account_id)))
            found.sort(key=lambda each: (each[0], each[1].due_in))  # everybody's first, then everybody's second
            return tuple(sorted((due for _, due in found[:limit]), key=lambda due: due.due_in))

    def orphans(self, *, silent_for: timedelta, margin: timedelta, limit: int) -> tuple[Orphan, ...]:
        """See the port."""
        with self._lock:
            now = self.now()
            found = []
            for attempt in self._all_attempts():
                if attempt.phase not in (Phase.CLAIMED, Phase.SENDING):
                    continue
                beat = self.beats.get(attempt.worker_id)
                is_silent = beat is None or beat < now - silent_for
                if _is_ours(attempt, now) and (is_silent or attempt.deadline_at < now - margin):
                    found.append(_orphan(attempt, is_silent))
            return tuple(found[:limit])

    def unknowns(self, *, limit: int) -> tuple[str, ...]:
        """See the port."""
        with self._lock:
            now = self.now()
            waiting = [
                (attempt.look_at, attempt.activity_id)
                for attempt in self._all_attempts()
                if attempt.phase is Phase.UNKNOWN and attempt.look_at is not None and attempt.look_at <= now
                if _is_ours(attempt, now)
            ]
            return tuple(key for _, key in sorted(waiting)[:limit])

    def end_incident(self, incident: str, *, times: int) -> bool:
        """Forget an incident that was raised so many times; the next one of its name is raised anew."""
        with self._lock:
            if len(self.raised.get(incident, ())) != times:
                return False
            del self.alerts[incident], self.raised[incident]
            return True

    def _all_attempts(self) -> list[Attempt]:
        return [attempt for attempts in self.attempts.values() for attempt in attempts.values()]

    def _show(self, activity_id: str, crediting: tuple[str, ...] | None) -> Snapshot:
        now = self.now()
        activity = self.activities.get(activity_id)
        attempts = self.attempts.get(activity_id, {})
        ordered = tuple(attempts[number] for number in sorted(attempts))
        if isinstance(activity, Activity):
            shown = self._with_surroundings(activity, now)
        else:
            shown = Snapshot(now=now, activity=activity)
        shown = replace(shown, attempts=ordered)
        if crediting is None:
            return shown
        credited = self._credited(activity_id, shown) & set(crediting)
        return replace(shown, credited=credited, neighbours=self._neighbours(activity_id, shown))

    def _with_surroundings(self, activity: Activity, now: datetime) -> Snapshot:
        pod = self.pods.get(activity.pod_id)
        account = self._acting(activity, pod)
        return Snapshot(
            now=now,
            activity=activity,
            pod=pod,
            account=account,
            cartridge=self.cartridges.get(pod.voice_cartridge_id or "") if pod else None,
            controls=self._in_force(activity, account, now),
            sent_in_last_day=self._sent_in_last_day(account, now),
            slow_start=self._pace(account, now),
        )

    def _neighbours(self, activity_id: str, shown: Snapshot) -> tuple[Attempt, ...]:
        since = shown.first_began_at - NEIGHBOURS_FOR
        return tuple(
            each
            for each in self._all_attempts()
            if each.activity_id != activity_id
            and each.account_id is not None
            and (each.account_id, each.post_id) == (shown.account_id, shown.post_id)
            and each.engagement_type is EngagementType.COMMENT
            and each.may_have_had_effect
            and each.began_at is not None
            and each.began_at > since
        )

    def _credited(self, activity_id: str, shown: Snapshot) -> frozenset[str]:
        return frozenset(
            done.engagement_id
            for key, done in self.executed.items()
            if key != activity_id and done.post_id == shown.post_id and done.engagement_id is not None
            if not self._is_of_another_account(key, shown.account_id)
        )

    def _is_of_another_account(self, activity_id: str, account_id: str | None) -> bool:
        applied = (each for each in self.attempts.get(activity_id, {}).values() if each.effect is Effect.APPLIED)
        return account_id is not None and any(each.account_id != account_id for each in applied)

    def _acting(self, activity: Activity, pod: Pod | None) -> Account | None:
        if activity.profile_id:
            candidates = sorted(self.accounts.values(), key=lambda account: account.id)
            return next((account for account in candidates if account.profile_id == activity.profile_id), None)
        return self.accounts.get(pod.linkedin_account_id or "") if pod else None

    def _in_force(self, activity: Activity, account: Account | None, now: datetime) -> tuple[Control, ...]:
        scopes = {(BlockScope.ALL, ""), (BlockScope.POD, activity.pod_id)}
        if account is not None:
            scopes.add((BlockScope.ACCOUNT, account.id))
        return tuple(
            control
            for control in self.controls
            if (control.scope, control.scope_id) in scopes and (control.until is None or control.until > now)
        )

    def _sent_in_last_day(self, account: Account | None, now: datetime) -> int:
        if account is None or account.daily_limit is None:
            return 0
        return len(self._began_in_last_day(account, now))

    def _acts_for(self, activity_id: str) -> Account | None:
        activity = self.activities[activity_id]
        return self._acting(activity, self.pods.get(activity.pod_id)) if isinstance(activity, Activity) else None

    def _pace(self, account: Account | None, now: datetime) -> SlowStart | None:
        if account is None:
            return None
        over = [end for start, end in self._kept_back(account) if end <= now < end + min(end - start, SLOW_START_FOR)]
        if not over:
            return None
        last_began_at = max(self._began_in_last_day(account, now), default=None)
        claimed = (
            a.claimed_at for a in self._all_attempts() if a.account_id == account.id and a.phase is Phase.CLAIMED
        )
        return SlowStart(
            released_at=max(over),
            last_began_at=last_began_at,
            last_claimed_at=max(claimed, default=None),
            spacing=self.spacing,
        )

    def _kept_back(self, account: Account) -> list[tuple[datetime, datetime]]:
        """From when until when."""
        times = [
            (self.blocked_at.get((control.kind, control.scope, control.scope_id), control.until), control.until)
            for control in self.controls
            if _holds_back(control, account) and control.until is not None
        ]
        return [*times, self.released[account.id]] if account.id in self.released else times

    def _began_in_last_day(self, account: Account, now: datetime) -> list[datetime]:
        since = now - timedelta(hours=24)
        return [
            attempt.began_at
            for attempt in self._all_attempts()
            if attempt.account_id == account.id
            and attempt.began_at is not None
            and attempt.began_at > since
            and attempt.event is not Event.RELEASE
        ]

    def _can_go(self, activity: Activity, until: datetime) -> bool:
        if activity.due_at > until:
            return False
        if any(each.may_have_had_effect and each.is_open for each in self.attempts.get(activity.id, {}).values()):
            return False
        return not self.is_blocked(activity)

    def is_blocked(self, activity: Activity) -> bool:
        """Whether its account is held, or a control stops it."""
        account = self._acting(activity, self.pods.get(activity.pod_id))
        if account is not None and account.status in HELD_STATUSES:
            return True
        return bool(self._in_force(activity, account, self.now()))

    def _refuse_second_effect(self, writes: tuple[Write, ...]) -> None:
        """The partial unique index: one attempt at most that is not proven to be without effect."""
        for activity_id in {write.attempt.activity_id for write in writes if isinstance(write, SaveAttempt)}:
            after = dict(self.attempts.get(activity_id, {}))
            for write in writes:
                if isinstance(write, SaveAttempt) and write.attempt.activity_id == activity_id:
                    after[write.attempt.number] = write.attempt
            if sum(attempt.may_have_had_effect for attempt in after.values()) > 1:
                raise StoreRefused(
                    f"activity {activity_id} has another attempt that may have had an effect", code="23505"
                )

    def _refuse_what_changes_no_row(self, writes: tuple[Write, ...]) -> None:
        if any(self._changes_no_row(write) for write in writes):
            raise StoreRefused("the write changed no row", code="no row changed")

    def _changes_no_row(self, write: Write) -> bool:
        if isinstance(write, SaveAttempt):
            old = self.attempts.get(write.attempt.activity_id, {}).get(write.attempt.number)
            return old is not None and old.token != write.attempt.token
        return isinstance(write, MarkScheduled | MarkExecuted | MarkFailed) and write.activity_id not in self.activities


def _is_ours(attempt: Attempt, now: datetime) -> bool:
    return not attempt.is_foreign or attempt.deadline_at < now - FOREIGN_FOR


def _orphan(attempt: Attempt, is_silent: bool) -> Orphan:
    worker = attempt.worker_id
    reason = f"its worker {worker} is silent" if is_silent else f"worker {worker} did not finish it in time"
    return Orphan(activity_id=attempt.activity_id, number=attempt.number, reason=reason, crashed=is_silent)


def _holds_back(control: Control, account: Account) -> bool:
    is_ours = (control.scope, control.scope_id) == (BlockScope.ACCOUNT, account.id)
    return is_ours and control.kind in (ControlKind.COOL_DOWN, ControlKind.HOLD)
