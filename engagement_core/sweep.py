"""Use case: what no job rang for, and what nobody works on any more.

The one rule: it finds, it never sends. What it finds goes through the same claim, or the same lifecycle, as everything.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from functools import partial

from engagement_core.apart import change_or_apart
from engagement_core.burial import LEFT_BY_A_NEWER_RELEASE, give_up
from engagement_core.errors import Cause, Failure
from engagement_core.lifecycle import Event, Phase
from engagement_core.outcome import Buried
from engagement_core.ports.activities import (
    ActivityStore,
    AddDeadLetter,
    Decision,
    Orphan,
    SaveAttempt,
    Snapshot,
    StoreUnavailable,
)
from engagement_core.ports.telemetry import Signal, Telemetry
from engagement_core.release import release
from engagement_core.telling import tell_defect, tell_outcome

__all__ = ["OrphanPolicy", "adopt_orphans", "decide_orphan"]

_LEFT = Failure(cause=Cause.OUTCOME_UNKNOWN, message=LEFT_BY_A_NEWER_RELEASE)


@dataclass(frozen=True, kw_only=True, slots=True)
class OrphanPolicy:
    """A worker silent for `silent_for` is dead; an attempt past its deadline by `margin` is nobody's."""

    silent_for: timedelta = timedelta(seconds=6)
    margin: timedelta = timedelta(seconds=5)
    limit: int = 200


def adopt_orphans(store: ActivityStore, telemetry: Telemetry, policy: OrphanPolicy) -> int:
    """Free or mark as unknown every attempt whose worker is gone; how many.

    Raises:
        StoreUnavailable: the database did not do its part for some of them; the others were adopted.
    """
    adopted = 0
    refused: StoreUnavailable | None = None
    for orphan in store.orphans(silent_for=policy.silent_for, margin=policy.margin, limit=policy.limit):
        try:
            # A row that may not be changed need not be: the attempt is what is adopted.
            phase, letter, pod_id = change_or_apart(store, orphan.activity_id, partial(_adopt, orphan=orphan))
        except StoreUnavailable as error:
            refused = error  # perhaps this row alone is locked: the next one has its turn
            continue
        except Exception as error:  # noqa: BLE001 - a defect that one row meets must not keep the others waiting
            tell_defect(telemetry, error, activity_id=orphan.activity_id)
            continue
        if phase is not None:
            adopted += 1
            about = {"activity_id": orphan.activity_id, "attempt": orphan.number, "pod_id": pod_id}
            telemetry.emit(Signal.ORPHAN_FOUND, **about, reason=orphan.reason, phase=phase.value)
            if letter is not None:
                tell_outcome(telemetry, letter, about)
    if refused is not None:
        raise refused
    return adopted


def _adopt(snapshot: Snapshot, *, orphan: Orphan) -> Decision[tuple[Phase | None, Buried | None, str | None]]:
    decision = decide_orphan(snapshot, orphan=orphan)
    is_buried = any(isinstance(each, AddDeadLetter) for each in decision.writes)
    letter = Buried(failure=_LEFT) if is_buried else None
    return Decision((decision.result, letter, getattr(snapshot.activity, "pod_id", None)), decision.writes)


def decide_orphan(snapshot: Snapshot, *, orphan: Orphan) -> Decision[Phase | None]:
    """What becomes of an attempt that nobody works on: released if nothing can have been sent, else unknown.

    A worker that only slept comes back to a lost claim (its `begin` is fenced off) or to an attempt that is unknown,
    where its answer is still welcome.
    """
    mine = next((attempt for attempt in snapshot.attempts if attempt.number == orphan.number), None)
    if mine is None or mine.phase not in (Phase.CLAIMED, Phase.SENDING):
        return Decision(None)
    if mine.is_foreign:
        return Decision(Phase.FAILED, give_up(snapshot, mine, _LEFT.message).writes)
    if mine.phase is Phase.CLAIMED:
        return Decision(Phase.SCHEDULED, release(snapshot, mine, crashed=True))
    failure = Failure(cause=Cause.WORKER_LOST, message=_lost(orphan))
    record = {"cause": failure.cause.value, "error_type": failure.error_type.value, "message": failure.message}
    # What is on record already says more: an answer that could not be recorded in full, for one.
    lost = mine.after(Event.LOSE_TRACK, crashed=orphan.crashed, look_at=mine.deadline_at, error=mine.error or record)
    return Decision(Phase.UNKNOWN, (SaveAttempt(lost),))


def _lost(orphan: Orphan) -> str:
    if orphan.crashed:
        return f"The worker was lost while the call was made ({orphan.reason})."
    return f"Nobody has recorded how the call ended ({orphan.reason})."
