"""The recheck: a last read of the post before a comment that was believed absent is sent again.

The one rule: the comment is sent only if a complete read shows nothing that may be it. While something prevents the
sending, the recheck is repeated for as long as an unknown outcome is read back. Then a person decides.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import timedelta

from engagement_core.decisions.begin import still_claimed
from engagement_core.decisions.bury import bury
from engagement_core.decisions.claim import Claimed, ClaimResult
from engagement_core.decisions.judge_read_back import ReconcilePolicy
from engagement_core.decisions.late_evidence import find_present
from engagement_core.decisions.matching import recognise
from engagement_core.decisions.release import release
from engagement_core.model.attempt import Attempt, attempts_since_requeue, first_began
from engagement_core.model.decision import Decision, SaveAttempt
from engagement_core.model.errors import Cause, Effect, Failure
from engagement_core.model.lifecycle import Event
from engagement_core.model.outcome import Deferred, Dropped
from engagement_core.model.provider import ReadBack, Seen
from engagement_core.model.snapshot import Snapshot

__all__ = ["decide_last_look"]


def decide_last_look(
    snapshot: Snapshot, *, claimed: Claimed, text: str, seen: ReadBack, policy: ReconcilePolicy
) -> Decision[ClaimResult | None]:
    """Decide whether a comment that was believed absent is there after all. The result None means: send it again."""
    mine = still_claimed(snapshot, claimed.attempt)
    if mine is None:
        return Decision(Dropped(reason="this worker no longer holds the claim"))
    # The time until we give up counts from a person's requeue; what may be ours counts from the very first sending.
    since_requeue = attempts_since_requeue(snapshot.attempts)
    insisting_since = first_began(since_requeue) or min(each.claimed_at for each in since_requeue)
    case = _LastLook(snapshot=snapshot, mine=mine, age=snapshot.now - insisting_since, policy=policy)
    if not isinstance(seen, Seen):
        return case.postpone("the read-back before sending again failed")
    about_to_send = replace(mine, text=text)
    recognised = recognise(snapshot, about_to_send, seen, since=snapshot.first_began_at, lag=policy.visibility_lag)
    if recognised.ours is not None:
        found = find_present(snapshot, about_to_send, engagement_id=recognised.ours.engagement_id)
        return Decision(found.result, found.writes)
    return Decision(None) if recognised.reason is None else case.postpone(recognised.reason)


@dataclass(frozen=True, kw_only=True, slots=True)
class _LastLook:
    """A comment that is about to be sent again. `age` is the time since its first sending after the last requeue."""

    snapshot: Snapshot
    mine: Attempt
    age: timedelta
    policy: ReconcilePolicy

    def postpone(self, why: str) -> Decision[ClaimResult | None]:
        if self.age >= self.policy.give_up_after:
            return self._bury(why)
        pause = self.policy.pause(self.age)
        return Decision(
            Deferred(again_in=pause, reason=why),
            release(self.snapshot, self.mine, not_before=self.snapshot.now + pause),
        )

    def _bury(self, why: str) -> Decision[ClaimResult | None]:
        failure = Failure(cause=Cause.OUTCOME_UNKNOWN, message=f"Given up after {self.policy.give_up_after}: {why}.")
        ended = self.mine.after(Event.BURY, effect=Effect.UNKNOWN, ended_at=self.snapshot.now)
        buried = bury(self.snapshot, self.mine.activity_id, failure, counts=False)
        return Decision(buried.result, (SaveAttempt(ended), *buried.writes))
