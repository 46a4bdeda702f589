"""What earlier attempts mean for an id that is scheduled again: its row was set back, or deleted and inserted anew.

The one rule: it is never sent. If the same engagement was executed, it is marked as executed again. A person decides
about everything else.
"""

from __future__ import annotations

from engagement_core.decisions.bury import bury
from engagement_core.decisions.late_evidence import mark_executed
from engagement_core.model.activity import Activity
from engagement_core.model.attempt import Attempt, Provenance
from engagement_core.model.decision import Decision
from engagement_core.model.errors import Cause, Effect, Failure
from engagement_core.model.lifecycle import Event
from engagement_core.model.outcome import Buried, Dropped, Executed
from engagement_core.model.snapshot import Snapshot

__all__ = ["decide_left_over", "find_left_over", "why_left_over"]

_PROVENANCE = {Event.FIND_PRESENT: Provenance.RECONCILED, Event.RESOLVE_EXECUTED: Provenance.PERSON}


def find_left_over(snapshot: Snapshot) -> Attempt | None:
    """An attempt that has ended and had an effect, or may have had one; None if there is none."""
    return next((each for each in snapshot.attempts if each.may_have_had_effect and not each.is_open), None)


def decide_left_over(snapshot: Snapshot, attempt: Attempt) -> Decision[Executed | Buried | Dropped]:
    """Decide about a scheduled activity whose earlier `attempt` may have had an effect."""
    if _is_executed_already(snapshot, attempt):
        provenance = _PROVENANCE.get(attempt.event, Provenance.RESPONSE)
        executed = mark_executed(snapshot, attempt, provenance, engagement_id=attempt.engagement_id)
        return Decision(Executed(provenance=provenance, engagement_type=attempt.engagement_type), executed)
    is_known = attempt.effect is Effect.APPLIED
    failure = Failure(
        cause=Cause.INVALID_ACTIVITY if is_known else Cause.OUTCOME_UNKNOWN, message=why_left_over(snapshot, attempt)
    )
    return bury(snapshot, attempt.activity_id, failure, counts=False, effect=attempt.effect)


def why_left_over(snapshot: Snapshot, attempt: Attempt) -> str:
    """What is recorded, in one or two sentences."""
    if _is_executed_already(snapshot, attempt):
        return f"Attempt {attempt.number} has already executed it."
    again = "Its row was set back to scheduled, or inserted again."
    if attempt.effect is Effect.APPLIED:
        return f"Attempt {attempt.number} under this id has executed another engagement. {again} Give it a new id."
    return f"Attempt {attempt.number} under this id may have been executed. {again}"


def _is_executed_already(snapshot: Snapshot, attempt: Attempt) -> bool:
    activity = snapshot.activity
    return (
        attempt.effect is Effect.APPLIED
        and isinstance(activity, Activity)
        and (activity.engagement_type, activity.post_id) == (attempt.engagement_type, attempt.post_id)
        and attempt.text_source in (None, activity.comment_text)
        and (snapshot.account is None or snapshot.account.id == attempt.account_id)
    )
