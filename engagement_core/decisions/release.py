"""Gives a claim back. Nothing was done, so no attempt is charged."""

from __future__ import annotations

from datetime import datetime

from engagement_core.decisions.reschedule import wait_again
from engagement_core.model.activity import Activity
from engagement_core.model.attempt import Attempt
from engagement_core.model.decision import Decision, SaveAttempt, Write
from engagement_core.model.errors import Effect
from engagement_core.model.lifecycle import Event
from engagement_core.model.snapshot import Snapshot

__all__ = ["give_back", "release"]


def release(
    snapshot: Snapshot, attempt: Attempt, *, not_before: datetime | None = None, crashed: bool = False
) -> tuple[Write, ...]:
    """The writes that release `attempt`. The activity is due as before, or at `not_before` if that is later."""
    ended = attempt.after(Event.RELEASE, effect=Effect.NONE, ended_at=snapshot.now, crashed=crashed)
    waited_for = snapshot.activity.next_retry_at if isinstance(snapshot.activity, Activity) else None
    return (SaveAttempt(ended), *wait_again(snapshot, attempt.activity_id, next_retry_at=not_before or waited_for))


def give_back(snapshot: Snapshot, *, token: str) -> Decision[None]:
    """Release what the token holds. Only for an execution that knows that it has sent nothing."""
    mine = next((attempt for attempt in snapshot.attempts if attempt.token == token and attempt.is_open), None)
    return Decision(None, () if mine is None else release(snapshot, mine))
