"""What a read-back says about an unknown outcome.

The one rule: what the post shows is believed when a complete read is late enough to show everything (a like that is
there, at any time); absence only when it shows nothing of ours that is not accounted for. A read that fails proves
nothing. What cannot be proven in a day is left to a person.
"""

from __future__ import annotations

import html
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta, timezone

from engagement_core.activity import EngagementType
from engagement_core.attempt import Attempt, attempts_since_requeue, count_refusals
from engagement_core.begin import still_claimed
from engagement_core.burial import bury, note
from engagement_core.claim import Claimed, ClaimResult
from engagement_core.errors import Cause, Effect, Failure
from engagement_core.lifecycle import Event, Phase
from engagement_core.outcome import Buried, Dropped, Executed, Waits
from engagement_core.ports.activities import Decision, SaveAttempt, Snapshot
from engagement_core.ports.linkedin import Found, NoReadBack, ReadBack, Seen
from engagement_core.presence import find_present, witness
from engagement_core.release import release
from engagement_core.retry import RetryPolicy
from engagement_core.waiting import wait_again

__all__ = ["ReconcilePolicy", "Reconciled", "decide_last_look", "decide_reconcile", "unknown_attempt"]

_TOLERANCE = timedelta(seconds=5)
"""The provider's clock against the database's, and dates that it truncates to the second."""
_NO_DATE = datetime.min.replace(tzinfo=timezone.utc)
_STRANGER = "the post shows a comment of the account that nobody accounts for"

Reconciled = Executed | Waits | Buried | Dropped


@dataclass(frozen=True, kw_only=True, slots=True)
class ReconcilePolicy:
    """`visibility_lag`: how long the provider's reads may lag behind its writes. `give_up_after`: then a person
    decides. Between two looks that prove nothing lies a quarter of the outcome's age, within the two bounds."""

    visibility_lag: timedelta = timedelta(seconds=90)
    give_up_after: timedelta = timedelta(hours=24)
    shortest_pause: timedelta = timedelta(seconds=5)
    longest_pause: timedelta = timedelta(minutes=10)
    retry: RetryPolicy = field(default_factory=RetryPolicy)

    def pause(self, age: timedelta) -> timedelta:
        """How long to wait before the next look at an outcome that has been unknown for `age`."""
        return min(max(age / 4, self.shortest_pause), self.longest_pause)


def unknown_attempt(snapshot: Snapshot) -> Attempt | None:
    """The attempt whose outcome is unknown, if there is one."""
    return next((attempt for attempt in snapshot.attempts if attempt.phase is Phase.UNKNOWN), None)


def decide_reconcile(
    snapshot: Snapshot, *, token: str, seen: ReadBack, read_at: datetime, policy: ReconcilePolicy
) -> Decision[Reconciled]:
    """What a read-back says about the attempt that holds `token`.

    Args:
        snapshot: what the store shows now; `credited` are the ids that belong to other activities.
        token: the attempt that was read for.
        seen: what the post shows.
        read_at: the database's time before the read was made.
        policy: how long to wait and to insist.
    """
    mine = unknown_attempt(snapshot)
    if mine is None or mine.token != token:
        return Decision(Dropped(reason="its outcome is not unknown any more"))
    if snapshot.activity is None:
        # Nobody wants to know any more; the attempt says until the end that it may have happened.
        return Decision(Dropped(reason="its row was deleted"), (SaveAttempt(mine.after(Event.BURY)),))
    case = _Case(snapshot=snapshot, mine=mine, policy=policy)
    seen_late = witness(snapshot)
    if seen_late is not None:
        return case.present((seen_late.evidence or {}).get("engagement_id"))
    if isinstance(seen, NoReadBack):
        return case.without_read_back()
    if isinstance(seen, Failure):
        return case.look_again(f"the read-back failed: {seen.message}")
    return case.judge(seen, read_at)


def decide_last_look(
    snapshot: Snapshot, *, claimed: Claimed, text: str, seen: ReadBack, policy: ReconcilePolicy
) -> Decision[ClaimResult | None]:
    """Before a comment that was believed absent is sent again: is it there after all? None means: send it."""
    mine = still_claimed(snapshot, claimed.attempt)
    if mine is None:
        return Decision(Dropped(reason="the claim was lost to somebody else"))
    # Anything since the very first attempt may be ours; but how long we insist is counted from a person's requeue.
    first = _first_began(snapshot.attempts, default=snapshot.now)
    since_requeue = attempts_since_requeue(snapshot.attempts)
    insisting_since = _first_began(since_requeue, default=min(each.claimed_at for each in since_requeue))
    case = _LastLook(snapshot=snapshot, mine=mine, age=snapshot.now - insisting_since, policy=policy)
    if not isinstance(seen, Seen):
        return case.postpone("the read-back before sending again failed")
    own = _unaccounted(snapshot, first, seen)
    about_to_send = replace(mine, text=text)
    present = _match(about_to_send, own)
    if present is not None:
        found = find_present(snapshot, about_to_send, engagement_id=present.engagement_id)
        return Decision(found.result, found.writes)
    return case.postpone(_STRANGER) if own else Decision(None)


def _first_began(attempts: tuple[Attempt, ...], *, default: datetime) -> datetime:
    return min((each.began_at for each in attempts if each.began_at), default=default)


@dataclass(frozen=True, kw_only=True, slots=True)
class _LastLook:
    """A comment that is about to be sent again, `age` after its first sending since somebody last requeued it."""

    snapshot: Snapshot
    mine: Attempt
    age: timedelta
    policy: ReconcilePolicy

    def postpone(self, why: str) -> Decision[ClaimResult | None]:
        if self.age >= self.policy.give_up_after:
            return self._bury(why)
        pause = self.policy.pause(self.age)
        return Decision(
            Waits(again_in=pause, reason=why),
            release(self.snapshot, self.mine, not_before=self.snapshot.now + pause),
        )

    def _bury(self, why: str) -> Decision[ClaimResult | None]:
        failure = Failure(cause=Cause.OUTCOME_UNKNOWN, message=f"After {self.policy.give_up_after} {why}.")
        ended = self.mine.after(Event.BURY, effect=Effect.UNKNOWN, ended_at=self.snapshot.now)
        letter = bury(self.snapshot, self.mine.activity_id, failure, counts=False)
        return Decision(Buried(failure=failure), (SaveAttempt(ended), *letter))


@dataclass(frozen=True, kw_only=True, slots=True)
class _Case:
    """One unknown outcome, while it is judged."""

    snapshot: Snapshot
    mine: Attempt
    policy: ReconcilePolicy

    def present(self, engagement_id: str | None) -> Decision[Reconciled]:
        found = find_present(self.snapshot, self.mine, engagement_id=engagement_id)
        return Decision(found.result, found.writes)

    def judge(self, seen: Seen, read_at: datetime) -> Decision[Reconciled]:
        own = _unaccounted(self.snapshot, self.mine.began_at or self.mine.claimed_at, seen)
        found = _match(self.mine, own)
        visible_at = self.mine.deadline_at + self.policy.visibility_lag
        is_complete = read_at >= visible_at
        # A like is the same whoever put it there. Of two comments in the same words the other one may be ours, and
        # ours not shown yet: whoever takes it early makes its owner believe that it is absent.
        if found is not None and (is_complete or self.mine.engagement_type is EngagementType.LIKE):
            return self.present(found.engagement_id)
        if not is_complete:
            return self._wait_until(visible_at, "the provider may not show it yet")
        if own:
            return self.look_again(_STRANGER)
        return self._try_again(Event.FIND_ABSENT, Effect.NONE)

    def without_read_back(self) -> Decision[Reconciled]:
        if self.snapshot.now < self.mine.deadline_at:
            return self._wait_until(self.mine.deadline_at, "the call may still be under way")
        if self.mine.engagement_type is EngagementType.LIKE:
            # A reaction is set, not added: whatever the first call did, a second one changes nothing.
            return self._try_again(Event.REPEAT, Effect.REPEATABLE)
        return self._bury("The provider cannot be asked whether the comment was posted.", Effect.UNKNOWN)

    def look_again(self, why: str) -> Decision[Reconciled]:
        if self.snapshot.now >= (self.mine.began_at or self.mine.claimed_at) + self.policy.give_up_after:
            return self._bury(f"After {self.policy.give_up_after} {why}.", Effect.UNKNOWN)
        age = self.snapshot.now - (self.mine.began_at or self.mine.claimed_at)
        return self._wait_until(self.snapshot.now + self.policy.pause(age), why)

    def _wait_until(self, look_at: datetime, why: str) -> Decision[Reconciled]:
        waits = Waits(again_in=look_at - self.snapshot.now, reason=why)
        return Decision(waits, (SaveAttempt(replace(self.mine, look_at=look_at)),))

    def _try_again(self, event: Event, effect: Effect) -> Decision[Reconciled]:
        # A crash is nobody's refusal: it charges no retry (`max_crashes` ends that).
        charged = not self.mine.crashed
        if charged and count_refusals(self.snapshot.attempts) + 1 >= self.policy.retry.max_attempts:
            return self._bury("It was the last attempt.", effect)
        failure = Failure(cause=Cause.OUTCOME_UNKNOWN, message=self._what_was_seen)
        scheduled = wait_again(
            self.snapshot,
            self.mine.activity_id,
            next_retry_at=self.snapshot.now,
            error=note(failure, self.snapshot.now, will_retry=True),
            counts=charged,
        )
        ended = self.mine.after(event, effect=effect, ended_at=self.snapshot.now)
        waits = Waits(again_in=timedelta(0), reason=f"{event.value}: it is sent again")
        return Decision(waits, (SaveAttempt(ended), *scheduled))

    def _bury(self, why: str, effect: Effect) -> Decision[Reconciled]:
        failure = Failure(cause=Cause.OUTCOME_UNKNOWN, message=f"{self._what_was_seen} {why}")
        ended = self.mine.after(Event.BURY, effect=effect, ended_at=self.snapshot.now)
        letter = bury(self.snapshot, self.mine.activity_id, failure, counts=True, effect=effect)
        return Decision(Buried(failure=failure), (SaveAttempt(ended), *letter))

    @property
    def _what_was_seen(self) -> str:
        message = (self.mine.error or {}).get("message")
        return str(message) if message else "The worker was lost while the request was on its way."


def _unaccounted(snapshot: Snapshot, began_at: datetime, seen: Seen) -> tuple[Found, ...]:
    """Our account's engagements that may be this activity's: since it began, and not another activity's."""
    since = began_at - _TOLERANCE
    return tuple(
        own
        for own in seen.own
        if own.engagement_id not in snapshot.credited and (own.created_at is None or own.created_at >= since)
    )


def _match(attempt: Attempt, own: tuple[Found, ...]) -> Found | None:
    if attempt.engagement_type is EngagementType.LIKE:
        return own[0] if own else None
    alike = [found for found in own if _same_text(found.text, attempt.text)]
    # The earliest that it can be: a later one of the same words may be another activity's, which can be none but that.
    return min(alike, key=lambda found: found.created_at or _NO_DATE, default=None)


def _same_text(shown: str | None, sent: str | None) -> bool:
    return shown is not None and sent is not None and _plain(shown) == _plain(sent)


def _plain(text: str) -> str:
    # Providers trim, collapse blanks and change entities on the way back.
    return " ".join(html.unescape(text).split())
