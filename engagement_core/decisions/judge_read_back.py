"""Decides what a read-back proves about an unknown outcome.

The one rule: what a complete read shows is believed if the read is late enough to show everything; a like that it shows
is believed at any time. Absence is believed only if such a late read shows nothing of ours that no activity accounts
for. A failed read proves nothing. What cannot be proven within a day is left to a person.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta

from engagement_core.decisions.bury import LEFT_BY_A_NEWER_RELEASE, bury, give_up, note
from engagement_core.decisions.late_evidence import find_late_proof, find_present
from engagement_core.decisions.matching import recognise
from engagement_core.decisions.reschedule import wait_again
from engagement_core.decisions.retry import RetryPolicy
from engagement_core.model.activity import EngagementType
from engagement_core.model.attempt import Attempt, count_refusals, first_began
from engagement_core.model.decision import Decision, SaveAttempt
from engagement_core.model.errors import Cause, Effect, Failure
from engagement_core.model.lifecycle import Event, Phase
from engagement_core.model.outcome import Buried, Deferred, Dropped, Executed
from engagement_core.model.provider import NoReadBack, ReadBack, Seen
from engagement_core.model.snapshot import Snapshot

__all__ = ["ReconcilePolicy", "Reconciled", "decide_reconcile", "unknown_attempt"]

Reconciled = Executed | Deferred | Buried | Dropped


@dataclass(frozen=True, kw_only=True, slots=True)
class ReconcilePolicy:
    """`visibility_lag`: how long the provider's reads may lag behind its writes. `give_up_after`: after that, a person
    decides. The pause between two reads that prove nothing is a quarter of the outcome's age, but at least
    `shortest_pause` and at most `longest_pause`."""

    visibility_lag: timedelta = timedelta(seconds=90)
    give_up_after: timedelta = timedelta(hours=24)
    shortest_pause: timedelta = timedelta(seconds=5)
    longest_pause: timedelta = timedelta(minutes=10)
    retry: RetryPolicy = field(default_factory=RetryPolicy)

    def pause(self, age: timedelta) -> timedelta:
        """How long to wait before the next read-back of an outcome that has been unknown for `age`."""
        return min(max(age / 4, self.shortest_pause), self.longest_pause)


def unknown_attempt(snapshot: Snapshot) -> Attempt | None:
    """The attempt whose outcome is unknown, if there is one."""
    return next((attempt for attempt in snapshot.attempts if attempt.phase is Phase.UNKNOWN), None)


def decide_reconcile(
    snapshot: Snapshot, *, token: str, seen: ReadBack, read_at: datetime, policy: ReconcilePolicy
) -> Decision[Reconciled]:
    """Decide what a read-back proves about the attempt that holds `token`.

    Args:
        snapshot: what the store shows now; `credited` are the ids that belong to other activities.
        token: the fencing token of the attempt that the read is about.
        seen: what the post shows.
        read_at: the database's time before the read.
        policy: how long to wait, and when to give up.
    """
    mine = unknown_attempt(snapshot)
    if mine is None or mine.token != token:
        return Decision(Dropped(reason="its outcome is already known"))
    case = _Case(snapshot=snapshot, mine=mine, policy=policy)
    without_reading = case.decide_without_reading()
    if without_reading is not None:
        return without_reading
    if isinstance(seen, NoReadBack):
        return case.without_read_back()
    if isinstance(seen, Failure):
        return case.look_again(f"the read-back failed: {seen.message}")
    return case.judge(seen, read_at)


def decide_set_aside(snapshot: Snapshot, *, why: str, policy: ReconcilePolicy) -> Decision[Reconciled]:
    """Set aside an unknown outcome that cannot be settled now: look again later, until it is given up.

    Args:
        snapshot: what the store shows.
        why: what prevents a decision now, for people.
        policy: how long to wait, and when to give up.
    """
    mine = unknown_attempt(snapshot)
    if mine is None:
        return Decision(Dropped(reason="its outcome is already known"))
    return _Case(snapshot=snapshot, mine=mine, policy=policy).look_again(why)


@dataclass(frozen=True, kw_only=True, slots=True)
class _Case:
    """One unknown outcome, while it is judged."""

    snapshot: Snapshot
    mine: Attempt
    policy: ReconcilePolicy

    def decide_without_reading(self) -> Decision[Reconciled] | None:
        """A decision that no read-back can change; None if it depends on what the post shows."""
        if self.mine.is_foreign:
            return self.give_up(LEFT_BY_A_NEWER_RELEASE)
        seen_late = find_late_proof(self.snapshot)
        if seen_late is not None:
            return self.present(seen_late.engagement_id)
        return self.give_up("Its row was deleted.") if self.snapshot.activity is None else None

    def present(self, engagement_id: str | None) -> Decision[Reconciled]:
        found = find_present(self.snapshot, self.mine, engagement_id=engagement_id)
        return Decision(found.result, found.writes)

    def judge(self, seen: Seen, read_at: datetime) -> Decision[Reconciled]:
        recognised = recognise(
            self.snapshot, self.mine, seen, since=self._doubted_since, lag=self.policy.visibility_lag
        )
        ours = recognised.ours
        visible_at = self.mine.deadline_at + self.policy.visibility_lag
        is_complete = read_at >= visible_at
        # A like of the account is our like, whichever activity sent it. A comment with our text may be another
        # activity's while ours is not shown yet: if we took it now, that activity would believe that its own is absent.
        if ours is not None and (is_complete or self.mine.engagement_type is EngagementType.LIKE):
            return self.present(ours.engagement_id)
        if not is_complete:
            return self._wait_until(visible_at, "the provider may not show it yet")
        if recognised.reason is not None:
            return self.look_again(recognised.reason)
        return self._try_again(Event.FIND_ABSENT, Effect.NONE)

    def without_read_back(self) -> Decision[Reconciled]:
        if self.snapshot.now < self.mine.deadline_at:
            return self._wait_until(self.mine.deadline_at, "the call may still be running")
        if self.mine.engagement_type is EngagementType.LIKE:
            # A reaction is set, not added: whatever the first call did, a second one changes nothing.
            return self._try_again(Event.REPEAT, Effect.REPEATABLE)
        return self.give_up("The provider cannot be asked whether the comment was posted.")

    def look_again(self, why: str) -> Decision[Reconciled]:
        age = self.snapshot.now - self._began_at
        if age >= self.policy.give_up_after:
            return self.give_up(f"Given up after {self.policy.give_up_after}: {why}.")
        return self._wait_until(self.snapshot.now + self.policy.pause(age), why)

    def give_up(self, why: str) -> Decision[Reconciled]:
        """Leave it to a person now."""
        given_up = give_up(self.snapshot, self.mine, f"{self._what_was_seen} {why}")
        return Decision(given_up.result, given_up.writes)

    def _wait_until(self, look_at: datetime, why: str) -> Decision[Reconciled]:
        waits = Deferred(again_in=look_at - self.snapshot.now, reason=why)
        return Decision(waits, (SaveAttempt(replace(self.mine, look_at=look_at)),))

    def _try_again(self, event: Event, effect: Effect) -> Decision[Reconciled]:
        # A crash is not a refusal: it is not charged as a retry (`max_crashes` limits crashes).
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
        waits = Deferred(again_in=timedelta(0), reason=f"{event.value}: it is sent again")
        return Decision(waits, (SaveAttempt(ended), *scheduled))

    def _bury(self, why: str, effect: Effect) -> Decision[Reconciled]:
        failure = Failure(cause=Cause.OUTCOME_UNKNOWN, message=f"{self._what_was_seen} {why}")
        ended = self.mine.after(Event.BURY, effect=effect, ended_at=self.snapshot.now)
        buried = bury(self.snapshot, self.mine.activity_id, failure, counts=True, effect=effect)
        return Decision(buried.result, (SaveAttempt(ended), *buried.writes))

    @property
    def _began_at(self) -> datetime:
        return self.mine.began_at or self.mine.claimed_at

    @property
    def _doubted_since(self) -> datetime:
        """If an earlier attempt was believed absent and left a comment after all, that is this engagement too."""
        doubted = (each for each in self.snapshot.attempts if each.event is Event.FIND_ABSENT)
        return first_began(doubted) or self._began_at

    @property
    def _what_was_seen(self) -> str:
        message = self.mine.error_message
        return str(message) if message else "The worker was lost while the request was on its way."
