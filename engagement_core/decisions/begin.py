"""The last decision before a comment is sent: freeze its text and commit the intent, or give the claim back."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

from engagement_core.decisions.admission import Defer, admit
from engagement_core.decisions.claim import Claimed, ClaimResult, waits_for
from engagement_core.decisions.comment_rules import choose_text
from engagement_core.decisions.late_evidence import accept_late_proof, find_late_proof
from engagement_core.decisions.release import release
from engagement_core.model.activity import Account, Activity, PublicStatus
from engagement_core.model.attempt import Attempt
from engagement_core.model.decision import Decision, SaveAttempt
from engagement_core.model.lifecycle import Event, Phase
from engagement_core.model.outcome import Deferred, Dropped
from engagement_core.model.snapshot import Snapshot

__all__ = ["decide_begin", "still_claimed"]


def decide_begin(snapshot: Snapshot, *, claimed: Claimed, text: str) -> Decision[ClaimResult]:
    """Begin sending if everything that allowed the claim still holds.

    The caller must send what the returned attempt carries, even if `text` was different.
    """
    mine = still_claimed(snapshot, claimed.attempt)
    if mine is None:
        return Decision(Dropped(reason="this worker no longer holds the claim"))
    seen = find_late_proof(snapshot)
    if seen is not None:
        believed = accept_late_proof(snapshot, seen, before=release(snapshot, mine))
        return Decision(believed.result, believed.writes)
    obstacle = _obstacle(snapshot, claimed, mine)
    if obstacle is not None:
        return Decision(obstacle, release(snapshot, _with_what_was_said(mine, claimed, text)))
    begun = mine.after(Event.BEGIN_SENDING, began_at=snapshot.now, text=mine.text or text)
    result = Claimed(
        attempt=begun,
        activity=claimed.activity,
        pod=claimed.pod,
        account=claimed.account,
        cartridge=claimed.cartridge,
        lateness=snapshot.now - claimed.activity.due_at,
    )
    return Decision(result, (SaveAttempt(begun),))


def _with_what_was_said(mine: Attempt, claimed: Claimed, text: str) -> Attempt:
    """Keep a text that a voice was asked for: the next claim uses it. The original alone need not be kept."""
    is_original = text == choose_text(claimed.activity.comment_text or "", None).text
    return mine if is_original else replace(mine, text=mine.text or text)


def still_claimed(snapshot: Snapshot, mine: Attempt) -> Attempt | None:
    """My attempt, if it still owns the activity and has not begun to send; else None."""
    current = snapshot.attempts[-1] if snapshot.attempts else None
    if current is None or current.token != mine.token or current.phase is not Phase.CLAIMED:
        return None
    return current


def _obstacle(snapshot: Snapshot, claimed: Claimed, mine: Attempt) -> Deferred | Dropped | None:
    """What has changed since the claim and forbids sending it as prepared; None if nothing has."""
    activity = snapshot.activity
    if not isinstance(activity, Activity) or activity.status != PublicStatus.SCHEDULED.value:
        return Dropped(reason="it was changed or cancelled while it was prepared")
    if activity.due_at > snapshot.now:
        return Deferred(again_in=activity.due_at - snapshot.now, reason="it was moved while it was prepared")
    account = snapshot.account
    if account is None or _what_is_sent(activity, account) != _what_is_sent(claimed.activity, claimed.account):
        return Deferred(again_in=timedelta(0), reason="it was edited while it was prepared")
    if snapshot.now >= mine.deadline_at:
        return Deferred(again_in=timedelta(0), reason="its preparation took longer than the attempt's time limit")
    admission = admit(snapshot, account)
    return waits_for(snapshot, admission) if isinstance(admission, Defer) else None


def _what_is_sent(activity: Activity, account: Account) -> tuple[object, ...]:
    return (
        activity.engagement_type,
        activity.post_id,
        activity.profile_id,
        activity.comment_text,
        account.id,
    )
