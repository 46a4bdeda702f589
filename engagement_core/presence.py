"""What happens when an engagement turns out to have happened already: it is recorded, and nothing is sent."""

from __future__ import annotations

from engagement_core.activity import Activity
from engagement_core.attempt import Attempt, Provenance
from engagement_core.errors import Effect
from engagement_core.lifecycle import Event
from engagement_core.outcome import Executed
from engagement_core.ports.activities import Decision, MarkExecuted, SaveAttempt, Snapshot, Write

__all__ = ["believe", "find_present", "witness"]


def find_present(
    snapshot: Snapshot, activity: Activity, attempt: Attempt, *, engagement_id: str | None
) -> Decision[Executed]:
    """A read-back shows it."""
    ended = attempt.after(Event.FIND_PRESENT, effect=Effect.APPLIED, ended_at=snapshot.now)
    executed = _executed(snapshot, activity, attempt, Provenance.RECONCILED, engagement_id)
    return Decision(Executed(provenance=Provenance.RECONCILED), (SaveAttempt(ended), executed))


def witness(snapshot: Snapshot) -> Attempt | None:
    """An attempt whose late answer proves that the engagement happened."""
    return next((attempt for attempt in snapshot.attempts if attempt.proves_effect), None)


def believe(
    snapshot: Snapshot, activity: Activity, attempt: Attempt, before: tuple[Write, ...] = ()
) -> Decision[Executed]:
    """Take the word of a late answer. `before` are writes that make room for it."""
    believed = attempt.after(Event.CONFIRM, effect=Effect.APPLIED)
    engagement_id = (attempt.evidence or {}).get("engagement_id")
    executed = _executed(snapshot, activity, attempt, Provenance.RESPONSE, engagement_id)
    return Decision(Executed(provenance=Provenance.RESPONSE), (*before, SaveAttempt(believed), executed))


def _executed(
    snapshot: Snapshot, activity: Activity, attempt: Attempt, provenance: Provenance, engagement_id: str | None
) -> MarkExecuted:
    return MarkExecuted(
        activity_id=activity.id,
        executed_at=snapshot.now,
        post_id=activity.post_id,
        engagement_id=engagement_id,
        created_at=None,
        provenance=provenance,
        comment_generated=attempt.text,
    )
