"""Use case: settle unknown outcomes by reading back what the post shows.

The one rule: an account whose reads are slow is read once per turn, so that the others do not wait for it.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from datetime import timedelta
from functools import partial

from engagement_core.decisions.judge_read_back import (
    Reconciled,
    ReconcilePolicy,
    decide_reconcile,
    decide_set_aside,
    unknown_attempt,
)
from engagement_core.model.attempt import Attempt
from engagement_core.model.decision import Decision, SaveAttempt, Write, as_it_is
from engagement_core.model.errors import Cause, Failure
from engagement_core.model.outcome import Buried, Deferred, Dropped
from engagement_core.model.provider import Engagement, ReadBack, ids_to_credit
from engagement_core.model.signal import Signal
from engagement_core.model.snapshot import Snapshot
from engagement_core.ports.activities import ActivityStore, StoreRefused, StoreUnavailable
from engagement_core.ports.clock import Clock, Deadline
from engagement_core.ports.linkedin import LinkedIn
from engagement_core.ports.telemetry import Telemetry
from engagement_core.use_cases.event_fields import emit_defect, emit_outcome
from engagement_core.use_cases.provider_calls import read_back
from engagement_core.use_cases.refused_writes import change_or_apart, refusal_alerts

__all__ = ["READ_BACKS_PER_TURN", "Reconciler"]

READ_BACKS_PER_TURN = 20

_SLOW = timedelta(seconds=2)


@dataclass(frozen=True, kw_only=True)
class Reconciler:
    """Settles unknown outcomes. Several workers may do so at once: the decisions are made under the store's lock."""

    store: ActivityStore
    linkedin: LinkedIn
    telemetry: Telemetry
    clock: Clock
    policy: ReconcilePolicy = field(default_factory=ReconcilePolicy)
    read_timeout: timedelta = timedelta(seconds=30)

    def settle_all(self, *, limit: int = READ_BACKS_PER_TURN) -> int:
        """Read back every unknown outcome whose `look_at` has come. Returns how many there were.

        Raises:
            StoreUnavailable: the database failed or could not be reached for some of them; the others were settled.
        """
        waiting = self.store.unknowns(limit=limit)
        slow: set[str | None] = set()
        # Perhaps only one row is locked or refused: go on with the next one.
        refused = [error for activity_id in waiting if (error := self._try_to_settle(activity_id, slow))]
        if refused:
            raise refused[0]
        return len(waiting)

    def _try_to_settle(self, activity_id: str, slow: set[str | None]) -> StoreUnavailable | None:
        """The store's error if it is unavailable, else None. Any other error concerns this row alone."""
        try:
            self._settle(activity_id, slow)
        except StoreRefused as error:
            return self._set_aside(activity_id, str(error), refusal_alerts(activity_id, error))
        except StoreUnavailable as error:
            return error
        except Exception as error:  # noqa: BLE001 - a defect in one row must not stop the others
            emit_defect(self.telemetry, error, activity_id=activity_id)
            return self._set_aside(activity_id, f"{type(error).__name__}: {error}")
        return None

    def _set_aside(self, activity_id: str, why: str, alerts: tuple[Write, ...] = ()) -> StoreUnavailable | None:
        """Read back again later. The time until it is given up goes on."""

        def decide(snapshot: Snapshot) -> Decision[Reconciled]:
            decision = decide_set_aside(snapshot, why=why, policy=self.policy)
            return Decision(decision.result, (*decision.writes, *alerts))

        try:
            outcome = change_or_apart(self.store, activity_id, decide)
        except StoreUnavailable as error:
            return error
        except Exception as error:  # noqa: BLE001 - as above
            emit_defect(self.telemetry, error, activity_id=activity_id)
            return None
        if isinstance(outcome, Buried):
            self._tell(activity_id, None, outcome)
        return None

    def settle(self, activity_id: str) -> Reconciled:
        """Read back one activity's unknown outcome, and decide.

        Raises:
            StoreUnavailable: the database failed or could not be reached.
        """
        return self._settle(activity_id, set())

    def _settle(self, activity_id: str, slow: set[str | None]) -> Reconciled:
        """`slow` are the accounts whose reads were slow in this turn; this one is added if its read is slow, too."""
        snapshot = self.store.change(activity_id, as_it_is)
        mine = unknown_attempt(snapshot)
        if mine is None:
            return Dropped(reason="its outcome is already known")
        if mine.account_id in slow:
            later = partial(_wait_for_another_turn, token=mine.token, pause=self.policy.shortest_pause)
            return self.store.change(activity_id, later)
        began = self.clock.elapsed()
        seen = self._read(snapshot, mine)
        if self.clock.elapsed() - began > _SLOW.total_seconds():
            slow.add(mine.account_id)
        decide: Callable[[Snapshot], Decision[Reconciled]] = partial(
            decide_reconcile, token=mine.token, seen=seen, read_at=snapshot.now, policy=self.policy
        )
        outcome = self.store.change(activity_id, decide, crediting=ids_to_credit(seen))
        self._tell(
            activity_id,
            mine.number,
            outcome,
            pod_id=getattr(snapshot.activity, "pod_id", None),
            engagement_type=mine.engagement_type.value,
        )
        return outcome

    def _tell(self, activity_id: str, attempt: int | None, outcome: Reconciled, **about: object) -> None:
        about = {"activity_id": activity_id, "attempt": attempt, **about}
        self.telemetry.emit(
            Signal.OUTCOME_RECONCILED,
            **about,
            verdict=outcome.kind.value,
            error_type=outcome.failure.error_type.value if isinstance(outcome, Buried) else None,
            reason=outcome.reason,
        )
        if isinstance(outcome, Buried):
            emit_outcome(self.telemetry, outcome, about)

    def _read(self, snapshot: Snapshot, mine: Attempt) -> ReadBack:
        if snapshot.account is None or snapshot.account.id != mine.account_id:
            return Failure(cause=Cause.ACCOUNT_SIGNED_OUT, message="the account that acted no longer exists")
        engagement = Engagement(
            engagement_type=mine.engagement_type,
            post_id=mine.post_id,
            account=snapshot.account,
            text=mine.text,
        )
        return read_back(self.linkedin, engagement, Deadline.after(self.clock, self.read_timeout))


def _wait_for_another_turn(snapshot: Snapshot, *, token: str, pause: timedelta) -> Decision[Reconciled]:
    """Nothing was read, so nothing is decided, however long it has waited."""
    mine = unknown_attempt(snapshot)
    if mine is None or mine.token != token:
        return Decision(Dropped(reason="its outcome is already known"))
    waits = Deferred(again_in=pause, reason="the account's reads are slow")
    return Decision(waits, (SaveAttempt(replace(mine, look_at=snapshot.now + pause)),))
