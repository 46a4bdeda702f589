"""A simulation that finds nothing proves nothing: each of these bugs is put into the core, and must be found.

The one rule: a bug is planted from outside, by replacing one function where it is used.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from typing import Any, TypeVar

import pytest

from engagement_core.decisions import begin, claim, verdict
from engagement_core.decisions import judge_read_back as findings
from engagement_core.decisions.release import release
from engagement_core.decisions.retry import RetryDecision, RetryPolicy
from engagement_core.model.attempt import Attempt
from engagement_core.model.decision import Decision
from engagement_core.model.errors import Cause, Effect, Failure
from engagement_core.model.lifecycle import Phase
from engagement_core.model.orphan import Orphan
from engagement_core.model.snapshot import Snapshot
from engagement_core.use_cases import adopt_orphans as sweep
from engagement_core.use_cases import execute, reconcile
from simulation.store import WorkersStore, commit, name_of
from simulation.temper import Script, Temper
from simulation.world import SMALL, Size, broken

T = TypeVar("T")
_CROWD = replace(SMALL, workers=4, activities=10)


def test_verdict_without_a_fence_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    """A late refusal that closes another worker's attempt sends again what that worker is sending."""
    monkeypatch.setattr(verdict, "_find", lambda snapshot, _: snapshot.attempts[-1])
    stopping = Temper(stop=0.04, deaf=0.2, provider={Script.RATE_LIMITED: 1, Script.DONE_UNHEARD: 1})
    _found_within(600, {"no proof", "twice", "letter denies effect"}, temper=stopping, size=_CROWD)


def test_begin_without_a_fence_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    """A worker that trusts its own memory begins to send with a claim that it has lost."""
    monkeypatch.setattr(begin, "still_claimed", lambda _, mine: mine)
    _found_within(300, {"rivals", "lost"})


def test_unknown_outcome_that_is_sent_again_blindly_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    """This is the bug that every other executor has."""
    decide = RetryPolicy.decide

    def blind(self: RetryPolicy, failure: Failure, **facts: Any) -> RetryDecision:
        was_unknown = failure.effect is Effect.UNKNOWN
        return decide(self, replace(failure, cause=Cause.NOT_SENT) if was_unknown else failure, **facts)

    monkeypatch.setattr(RetryPolicy, "decide", blind)
    _found_within(100, {"no proof", "twice"})


def test_absence_that_is_believed_too_early_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    """Reads lag behind writes: what is not shown yet may be there."""
    decide = findings.decide_reconcile

    def hasty(snapshot: Snapshot, **facts: Any) -> Decision[Any]:
        return decide(snapshot, **facts | {"policy": replace(facts["policy"], visibility_lag=timedelta(0))})

    monkeypatch.setattr(reconcile, "decide_reconcile", hasty)
    _found_within(100, {"no proof", "twice"})


def test_verdict_without_the_row_lock_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    """Between what a decision was shown and what it writes, another worker has decided."""
    locked = WorkersStore.change

    def unlocked(
        self: WorkersStore,
        activity_id: str,
        decide: Callable[[Snapshot], Decision[T]],
        *,
        crediting: tuple[str, ...] | None = None,
    ) -> T:
        if name_of(decide) != "decide_verdict":
            return locked(self, activity_id, decide, crediting=crediting)
        decision = decide(self.worker.world.tables.show(activity_id, crediting))
        self.worker.step("between show and apply", 20_000)
        return commit(self.worker.world, activity_id, lambda _: decision)

    monkeypatch.setattr(WorkersStore, "change", unlocked)
    busy = Temper(stop=0.04, deaf=0.3, unavailable=0.1, lost=0.1, provider={Script.RATE_LIMITED: 1, Script.DONE: 1})
    _found_within(600, {"lost", "rivals", "too often", "no proof", "twice"}, temper=busy, size=_CROWD)


def test_orphan_in_sending_that_is_released_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    """The death of a worker says nothing about its request."""

    def careless(snapshot: Snapshot, *, orphan: Orphan) -> Decision[Phase | None]:
        mine = next((attempt for attempt in snapshot.attempts if attempt.number == orphan.number), None)
        if mine is None or mine.phase not in (Phase.CLAIMED, Phase.SENDING):
            return Decision(None)
        return Decision(Phase.SCHEDULED, release(snapshot, mine, crashed=True))

    monkeypatch.setattr(sweep, "decide_orphan", careless)
    _found_within(50, {"no proof", "twice"})


def test_claim_given_back_by_activity_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    """Only the token says whose claim it is: another worker may have the activity by now."""

    def too_much(snapshot: Snapshot, *, token: str) -> Decision[None]:
        anybodys = next((attempt for attempt in snapshot.attempts if attempt.is_open), None)
        return Decision(None, () if anybodys is None else release(snapshot, anybodys))

    monkeypatch.setattr(execute, "give_back", too_much)
    _found_within(150, {"no proof", "twice"})


def test_evidence_that_nobody_reads_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    """What is recorded as done must not be sent again."""

    def blind(snapshot: Snapshot) -> Attempt | None:
        return None

    for module in (begin, claim, findings, verdict):
        monkeypatch.setattr(module, "find_late_proof", blind)
    stopping = Temper(stop=0.04, deaf=0.5, provider={Script.RATE_LIMITED: 1, Script.DONE: 1})
    _found_within(900, {"evidence ignored"}, temper=stopping, size=_CROWD, reads_back=False)


def _found_within(
    worlds: int, rules: set[str], *, temper: Temper | None = None, size: Size = SMALL, reads_back: bool | None = None
) -> None:
    hits = ((seed, error) for seed in range(worlds) if (error := broken(seed, size, temper, reads_back)) is not None)
    found = next(hits, None)
    assert found is not None, f"{worlds} worlds, and nobody noticed"
    seed, error = found
    print(f"found in world {seed + 1} of at most {worlds}: {error}")  # noqa: T201 - shown with -rP
    assert error.rule in rules
