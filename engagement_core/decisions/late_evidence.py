"""Late evidence: an engagement turns out to have happened already. It is recorded, and nothing is sent."""

from __future__ import annotations

from datetime import datetime

from engagement_core.model.attempt import Attempt, Provenance
from engagement_core.model.decision import Decision, MarkExecuted, SaveAttempt, Write
from engagement_core.model.errors import Effect
from engagement_core.model.lifecycle import Event, Phase
from engagement_core.model.outcome import Executed
from engagement_core.model.snapshot import Snapshot

__all__ = ["accept_late_proof", "find_late_proof", "find_present", "mark_executed"]


def find_present(snapshot: Snapshot, attempt: Attempt, *, engagement_id: str | None) -> Decision[Executed]:
    """Record that a read-back, or the late answer of another attempt, shows the engagement."""
    shown = {"effect": Effect.APPLIED.value, "engagement_id": engagement_id}
    ended = attempt.after(Event.FIND_PRESENT, effect=Effect.APPLIED, ended_at=snapshot.now, answer=shown)
    executed = mark_executed(snapshot, attempt, Provenance.RECONCILED, engagement_id=engagement_id)
    outcome = Executed(provenance=Provenance.RECONCILED, engagement_type=attempt.engagement_type)
    return Decision(outcome, (SaveAttempt(ended), *executed))


def find_late_proof(snapshot: Snapshot) -> Attempt | None:
    """An attempt whose late answer proves that the engagement happened, but that is not recorded as executed."""
    return next((each for each in snapshot.attempts if each.proves_effect and each.phase is not Phase.EXECUTED), None)


def accept_late_proof(snapshot: Snapshot, attempt: Attempt, before: tuple[Write, ...] = ()) -> Decision[Executed]:
    """Accept a late answer as proof. `before` are writes that must come first, to make room for it."""
    believed = attempt.after(Event.CONFIRM, effect=Effect.APPLIED)
    executed = mark_executed(snapshot, attempt, Provenance.RESPONSE, engagement_id=attempt.engagement_id)
    outcome = Executed(provenance=Provenance.RESPONSE, engagement_type=attempt.engagement_type)
    return Decision(outcome, (*before, SaveAttempt(believed), *executed))


def mark_executed(
    snapshot: Snapshot,
    attempt: Attempt,
    provenance: Provenance,
    *,
    engagement_id: str | None,
    created_at: datetime | None = None,
) -> tuple[Write, ...]:
    """The write that marks the activity's row as executed; none if the row was deleted."""
    if snapshot.activity is None:
        return ()
    executed = MarkExecuted(
        activity_id=attempt.activity_id,
        executed_at=snapshot.now,
        post_id=attempt.post_id,
        engagement_id=engagement_id,
        created_at=created_at,
        provenance=provenance,
        comment_generated=attempt.text,
    )
    return (executed,)
