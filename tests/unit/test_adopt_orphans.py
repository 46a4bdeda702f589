"""What becomes of an attempt that nobody works on any more."""

from __future__ import annotations

from collections import Counter
from contextlib import suppress
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from engagement_core.decisions.orphans import decide_orphan
from engagement_core.model.decision import Decision, MarkScheduled, SaveAttempt
from engagement_core.model.errors import Effect
from engagement_core.model.lifecycle import Event, Phase
from engagement_core.model.orphan import Orphan
from engagement_core.model.provider import Engagement, ReadBack
from engagement_core.model.signal import Signal
from engagement_core.ports.activities import StoreUnavailable
from engagement_core.ports.clock import Deadline
from engagement_core.use_cases.adopt_orphans import OrphanPolicy, adopt_orphans
from engagement_core.use_cases.reconcile import Reconciler
from fakes.activities import InMemoryActivityStore
from fakes.clock import InMemoryClock
from fakes.linkedin import InMemoryLinkedIn
from fakes.telemetry import InMemoryTelemetry
from support.builders import NOW, SECOND, a_like, a_snapshot, an_account, an_attempt, the

ORPHAN = Orphan(activity_id="activity-1", number=1, reason="its worker is silent")


def test_orphan_that_had_not_begun_is_released_at_once() -> None:
    """Nothing can have been sent; the crash is counted, no attempt is charged."""
    decision = decide_orphan(a_snapshot(attempts=(an_attempt(Phase.CLAIMED),)), orphan=ORPHAN)
    assert decision.result is Phase.SCHEDULED
    saved = the(SaveAttempt, decision).attempt
    assert (saved.event, saved.effect, saved.crashed, saved.ended_at) == (Event.RELEASE, Effect.NONE, True, NOW)
    assert the(MarkScheduled, decision).counts is False


def test_orphan_that_had_begun_becomes_unknown() -> None:
    """It may have been sent: nothing else is sent until that is known."""
    mine = an_attempt(Phase.SENDING)
    decision = decide_orphan(a_snapshot(attempts=(mine,)), orphan=ORPHAN)
    assert decision.result is Phase.UNKNOWN
    saved = the(SaveAttempt, decision).attempt
    assert (saved.phase, saved.effect, saved.crashed) == (Phase.UNKNOWN, Effect.UNKNOWN, True)
    assert saved.look_at == mine.deadline_at
    assert saved.error == {
        "cause": "worker_lost",
        "error_type": "outcome_unknown",
        "message": "The worker was lost while the call was made (its worker is silent).",
    }


@pytest.mark.parametrize("phase", [Phase.SCHEDULED, Phase.UNKNOWN, Phase.EXECUTED, Phase.FAILED])
def test_rescuer_that_lost_the_race_against_the_finisher_changes_nothing(phase: Phase) -> None:
    """The verdict was recorded first."""
    assert decide_orphan(a_snapshot(attempts=(an_attempt(phase),)), orphan=ORPHAN) == Decision(None)


def test_rescuer_takes_only_the_attempt_that_it_found() -> None:
    """Meanwhile another worker may have claimed the activity anew."""
    attempts = (an_attempt(Phase.SCHEDULED), an_attempt(Phase.CLAIMED, number=2, token="worker-2/1"))
    assert decide_orphan(a_snapshot(attempts=attempts), orphan=ORPHAN) == Decision(None)
    assert decide_orphan(a_snapshot(), orphan=ORPHAN) == Decision(None)


def test_release_of_an_orphan_never_schedules_what_somebody_took_away() -> None:
    """The activity was cancelled while a dead worker held it."""
    snapshot = a_snapshot(a_like(status="cancelled"), attempts=(an_attempt(Phase.CLAIMED),))
    assert not [write for write in decide_orphan(snapshot, orphan=ORPHAN).writes if isinstance(write, MarkScheduled)]


def test_adopting_tells_whom_it_found_and_counts_them() -> None:
    """Each is reported once; the second run finds nothing."""
    store, telemetry = InMemoryActivityStore(now=lambda: NOW), InMemoryTelemetry()
    for number, phase in enumerate((Phase.CLAIMED, Phase.SENDING, Phase.UNKNOWN)):
        key = f"activity-{number}"
        store.activities[key] = a_like(id=key)
        store.attempts[key] = {1: replace(an_attempt(phase), activity_id=key, token=key)}
    assert adopt_orphans(store, telemetry, OrphanPolicy()) == 2
    assert [(told["activity_id"], told["phase"]) for told in telemetry.fields_of(Signal.ORPHAN_FOUND)] == [
        ("activity-0", "scheduled"),
        ("activity-1", "unknown"),
    ]
    assert adopt_orphans(store, telemetry, OrphanPolicy()) == 0


def test_letter_of_what_a_newer_release_left_is_told_like_every_other() -> None:
    """This comes after a day in which its own release could have adopted it."""
    store, telemetry = InMemoryActivityStore(now=lambda: NOW + timedelta(days=2)), InMemoryTelemetry()
    store.activities["activity-1"] = a_like()
    store.attempts["activity-1"] = {1: replace(an_attempt(Phase.SENDING), event=Event("handed_over"))}
    assert adopt_orphans(store, telemetry, OrphanPolicy()) == 1
    assert set(store.dead_letters) == {"activity-1"}
    (told,) = telemetry.fields_of(Signal.DEAD_LETTER)
    assert (told["activity_id"], told["error_type"]) == ("activity-1", "outcome_unknown")


def test_worker_that_beats_keeps_what_it_holds() -> None:
    """A running attempt is not adopted too early; past its deadline and the margin it is."""
    now = NOW
    store = InMemoryActivityStore(now=lambda: now)
    mine = an_attempt(Phase.SENDING)
    store.activities["activity-1"], store.attempts["activity-1"] = a_like(), {1: mine}
    policy = OrphanPolicy(silent_for=6 * SECOND, margin=5 * SECOND)
    store.beats["worker-1"] = NOW - 6 * SECOND
    assert adopt_orphans(store, InMemoryTelemetry(), policy) == 0
    now = store.beats["worker-1"] = mine.deadline_at + policy.margin
    assert adopt_orphans(store, InMemoryTelemetry(), policy) == 0
    now = now + timedelta(microseconds=1)
    assert adopt_orphans(store, InMemoryTelemetry(), policy) == 1


class OneRowLocked(InMemoryActivityStore):
    """Refuses every change of the first activity, like a store whose row is locked by another session."""

    def change(self, activity_id: str, decide: Any, **crediting: Any) -> Any:
        """See the port."""
        if activity_id == "activity-0":
            raise StoreUnavailable("canceling statement due to lock timeout")
        return super().change(activity_id, decide, **crediting)


def two_attempts(phase: Phase) -> OneRowLocked:
    """Two activities, each with an attempt that must be adopted or settled."""
    store = OneRowLocked(now=lambda: NOW)
    for number in range(2):
        key = f"activity-{number}"
        store.activities[key] = a_like(id=key)
        store.attempts[key] = {1: replace(an_attempt(phase), activity_id=key, token=key, look_at=NOW)}
    return store


def test_one_row_that_the_store_refuses_does_not_keep_the_other_orphans() -> None:
    """The store says `StoreUnavailable` for a single locked row too."""
    store = two_attempts(Phase.CLAIMED)
    with suppress(StoreUnavailable):
        adopt_orphans(store, InMemoryTelemetry(), OrphanPolicy())
    assert store.attempts["activity-1"][1].phase is Phase.SCHEDULED


def test_one_row_that_the_store_refuses_does_not_keep_the_other_unknown_outcomes() -> None:
    """The same holds for unknown outcomes."""
    clock = InMemoryClock(origin=NOW)
    store = two_attempts(Phase.UNKNOWN)
    reconciler = Reconciler(store=store, linkedin=InMemoryLinkedIn(), telemetry=InMemoryTelemetry(), clock=clock)
    with suppress(StoreUnavailable):
        reconciler.settle_all()
    assert store.attempts["activity-1"][1].look_at != NOW


class SlowReads(InMemoryLinkedIn):
    """Advances the clock by ten seconds for each read of one account, and counts the reads of each."""

    def __init__(self, clock: InMemoryClock, slow: str) -> None:
        super().__init__(now=clock.now)
        self.clock, self.slow, self.reads = clock, slow, Counter[str]()

    def read_back(self, engagement: Engagement, deadline: Deadline) -> ReadBack:
        """See the port."""
        self.reads[engagement.account.id] += 1
        if engagement.account.id == self.slow:
            self.clock.advance(10 * SECOND)
        return super().read_back(engagement, deadline)


def test_account_whose_reads_are_slow_does_not_keep_the_others_unknown_outcomes() -> None:
    """It is read once per turn. What was skipped is tried again soon, and first."""
    clock = InMemoryClock(origin=NOW)
    store = InMemoryActivityStore(now=clock.now)
    for number, account_id in enumerate(("slow", "slow", "slow", "quick", "quick")):
        key = f"activity-{number}"
        store.accounts[account_id] = an_account(id=account_id, profile_id=account_id)
        store.activities[key] = a_like(id=key, profile_id=account_id)
        lost = replace(an_attempt(Phase.UNKNOWN), activity_id=key, token=key, look_at=NOW, account_id=account_id)
        store.attempts[key] = {1: lost}
    linkedin = SlowReads(clock, slow="slow")
    reconciler = Reconciler(store=store, linkedin=linkedin, telemetry=InMemoryTelemetry(), clock=clock)
    reconciler.settle_all()
    assert linkedin.reads == {"slow": 1, "quick": 2}
    passed_over = store.attempts["activity-1"][1]
    assert (passed_over.phase, passed_over.look_at) == (Phase.UNKNOWN, clock.now() + reconciler.policy.shortest_pause)
    clock.advance(reconciler.policy.shortest_pause)
    assert store.unknowns(limit=1) == ("activity-1",)
