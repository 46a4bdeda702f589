"""What this process has just executed is not looked at again when it rings."""

from __future__ import annotations

from datetime import timedelta

import pytest

from engagement_core.model.attempt import Provenance
from engagement_core.model.outcome import Deferred, Dropped, Executed, Outcome
from fakes.clock import InMemoryClock
from runners.worker.recent import RecentlyExecuted

EXECUTED = Executed(provenance=Provenance.RESPONSE)


def test_what_was_executed_is_known_for_a_minute() -> None:
    """Then its row is looked at again."""
    clock = InMemoryClock()
    recent = RecentlyExecuted(clock)
    recent.note("a-1", EXECUTED)
    clock.advance(timedelta(seconds=59))
    assert recent.outcome_of("a-1") == EXECUTED
    assert recent.outcome_of("a-2") is None
    clock.advance(timedelta(seconds=2))
    assert recent.outcome_of("a-1") is None


@pytest.mark.parametrize(
    "outcome", [Dropped(reason="it is paused"), Deferred(again_in=None, reason="the account is held")]
)
def test_nothing_but_an_execution_is_known(outcome: Outcome) -> None:
    """A person may have requeued it meanwhile."""
    recent = RecentlyExecuted(InMemoryClock())
    recent.note("a-1", outcome)
    assert recent.outcome_of("a-1") is None


def test_it_stays_small() -> None:
    """The oldest is forgotten first; one that was executed again is not old."""
    recent = RecentlyExecuted(InMemoryClock())
    recent.note("first", EXECUTED)
    for number in range(9_999):
        recent.note(f"a-{number}", EXECUTED)
    recent.note("first", EXECUTED)
    recent.note("one more", EXECUTED)
    assert recent.outcome_of("first") == recent.outcome_of("one more") == EXECUTED
    assert recent.outcome_of("a-0") is None
