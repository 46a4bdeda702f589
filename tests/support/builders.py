"""What the tests of the core share: an activity with everything that it needs, at one fixed instant.

The one rule: what a builder gives can be executed; a test names only what it changes.
"""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta, timezone
from typing import Any, TypeVar

from engagement_core.decisions.claim import Claimed, Holder
from engagement_core.model.activity import Account, Activity, EngagementType, Pod, VoiceCartridge
from engagement_core.model.attempt import Attempt
from engagement_core.model.decision import Decision, Write
from engagement_core.model.errors import Effect
from engagement_core.model.lifecycle import Event, Phase
from engagement_core.model.snapshot import Snapshot

NOW = datetime(2024, 3, 15, 14, 30, tzinfo=timezone.utc)
SECOND = timedelta(seconds=1)
DAY = timedelta(hours=24)
ME = Holder(worker_id="worker-1", token="worker-1/7")
CARTRIDGE = VoiceCartridge(id="voice-1", personality_style="concise", tone="friendly", templates=None)
POD = Pod(id="pod-1", voice_cartridge_id="voice-1", linkedin_account_id="account-1")

W = TypeVar("W", bound=Write)


def an_account(**changes: Any) -> Account:
    """The pod's account, without a limit."""
    account = Account(
        id="account-1",
        profile_id="profile-1",
        provider_account_id="provider-1",
        access_token="made-up-token",
        status="ok",
        daily_limit=None,
    )
    return replace(account, **changes)


def a_like(**changes: Any) -> Activity:
    """A like that has just become due."""
    like = Activity(
        id="activity-1",
        pod_id="pod-1",
        engagement_type=EngagementType.LIKE,
        post_id="post-1",
        profile_id="profile-1",
        comment_text=None,
        scheduled_for=NOW,
        status="scheduled",
    )
    return replace(like, **changes)


def a_comment(**changes: Any) -> Activity:
    """A comment that has just become due."""
    return a_like(engagement_type=EngagementType.COMMENT, comment_text="Great post!", **changes)


def an_attempt(phase: Phase = Phase.SENDING, **changes: Any) -> Attempt:
    """My attempt, in some phase, as the events that lead there leave it."""
    event, effect = _AS_LEFT[phase]
    attempt = Attempt(
        activity_id="activity-1",
        number=1,
        token=ME.token,
        worker_id=ME.worker_id,
        phase=phase,
        event=event,
        effect=effect,
        account_id="account-1",
        engagement_type=EngagementType.COMMENT if "text" in changes else EngagementType.LIKE,
        post_id="post-1",
        claimed_at=NOW - SECOND,
        deadline_at=NOW + 29 * SECOND,
        began_at=None if phase is Phase.CLAIMED else NOW - SECOND,
    )
    return replace(attempt, **changes)


_AS_LEFT = {
    Phase.SCHEDULED: (Event.REFUSE, Effect.NONE),
    Phase.CLAIMED: (Event.CLAIM, Effect.UNKNOWN),
    Phase.SENDING: (Event.BEGIN_SENDING, Effect.UNKNOWN),
    Phase.UNKNOWN: (Event.LOSE_TRACK, Effect.UNKNOWN),
    Phase.EXECUTED: (Event.CONFIRM, Effect.APPLIED),
    Phase.FAILED: (Event.BURY, Effect.NONE),
}


def earlier(number: int, phase: Phase = Phase.SCHEDULED, **changes: Any) -> Attempt:
    """Somebody's attempt from before."""
    return an_attempt(phase, number=number, token=f"worker-0/{number}", worker_id="worker-0", **changes)


def a_snapshot(activity: Any = None, **changes: Any) -> Snapshot:
    """What the store shows of the activity (a like unless another is given), with its pod, account and voice."""
    shown = Snapshot(now=NOW, activity=activity or a_like(), pod=POD, account=an_account(), cartridge=CARTRIDGE)
    return replace(shown, **changes)


def a_claim(attempt: Attempt, activity: Activity, **changes: Any) -> Claimed:
    """What the claim of this attempt returned."""
    claimed = Claimed(
        attempt=attempt,
        activity=activity,
        pod=POD,
        account=an_account(),
        cartridge=CARTRIDGE,
        lateness=timedelta(0),
    )
    return replace(claimed, **changes)


def the(kind: type[W], decision: Decision[Any]) -> W:
    """The one write of this kind in a decision."""
    (found,) = all_of(kind, decision)
    return found


def all_of(kind: type[W], decision: Decision[Any]) -> list[W]:
    """Every write of this kind in a decision, in order."""
    return [write for write in decision.writes if isinstance(write, kind)]
