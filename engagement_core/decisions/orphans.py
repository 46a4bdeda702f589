"""Decides what becomes of an attempt that nobody works on any more."""

from __future__ import annotations

from engagement_core.decisions.bury import LEFT_BY_A_NEWER_RELEASE, give_up
from engagement_core.decisions.release import release
from engagement_core.model.decision import Decision, SaveAttempt
from engagement_core.model.errors import Cause, Failure
from engagement_core.model.lifecycle import Event, Phase
from engagement_core.model.orphan import Orphan
from engagement_core.model.snapshot import Snapshot

__all__ = ["decide_orphan"]


_LEFT = Failure(cause=Cause.OUTCOME_UNKNOWN, message=LEFT_BY_A_NEWER_RELEASE)


def decide_orphan(snapshot: Snapshot, *, orphan: Orphan) -> Decision[Phase | None]:
    """Release the attempt if nothing can have been sent, else mark it as unknown; returns its phase, None if unchanged.

    A worker that only slept wakes up to a lost claim (the fencing token refuses its `begin`) or to an attempt that is
    unknown, whose answer is still accepted.
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
    # An error that is already recorded says more, for example an answer that could not be recorded in full.
    lost = mine.after(Event.LOSE_TRACK, crashed=orphan.crashed, look_at=mine.deadline_at, error=mine.error or record)
    return Decision(Phase.UNKNOWN, (SaveAttempt(lost),))


def _lost(orphan: Orphan) -> str:
    if orphan.crashed:
        return f"The worker was lost while the call was made ({orphan.reason})."
    return f"No worker has recorded how the call ended ({orphan.reason})."
