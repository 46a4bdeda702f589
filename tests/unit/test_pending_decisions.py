"""Decisions that could not be committed are applied later: all of them, in order, once."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from typing import Any

import pytest

from engagement_core.model.decision import Decision
from engagement_core.model.snapshot import Snapshot
from engagement_core.ports.activities import StoreRefused, StoreUnavailable
from engagement_core.use_cases.pending_decisions import TRY_AGAIN_AFTER, PendingDecisions
from fakes.activities import InMemoryActivityStore
from fakes.clock import InMemoryClock
from support.builders import NOW, a_like


class UnreliableStore(InMemoryActivityStore):
    """Refuses to change the activities in `refuses`."""

    refuses: frozenset[str] = frozenset()

    def change(self, activity_id: str, decide: Callable[[Snapshot], Decision[Any]], **_: Any) -> Any:
        """See the port."""
        if activity_id in self.refuses:
            raise StoreUnavailable("it is away")
        return super().change(activity_id, decide)


@pytest.fixture
def store() -> UnreliableStore:
    """A store with three activities."""
    return UnreliableStore(now=lambda: NOW, activities={key: a_like(id=key) for key in "abc"})


@pytest.fixture
def decided() -> list[str]:
    """The activities that were decided about, in order."""
    return []


@pytest.fixture
def pending(decided: list[str]) -> PendingDecisions:
    """One decision about each activity."""

    def note(snapshot: Snapshot) -> Decision[None]:
        assert snapshot.activity is not None
        decided.append(snapshot.activity.id)
        return Decision(None)

    waiting = PendingDecisions()
    for key in "abc":
        waiting.add(key, note)
    return waiting


def test_everything_is_handed_over_oldest_first(
    pending: PendingDecisions, store: UnreliableStore, decided: list[str]
) -> None:
    """Afterwards nothing is pending."""
    assert pending.flush(store) == 3
    assert (decided, len(pending)) == (["a", "b", "c"], 0)
    assert pending.flush(store) == 0
    assert decided == ["a", "b", "c"]


def test_nothing_is_lost_while_the_store_is_away(
    pending: PendingDecisions, store: UnreliableStore, decided: list[str]
) -> None:
    """It is tried again with the next flush, in the same order."""
    store.refuses = frozenset("abc")
    assert pending.flush(store) == 0
    assert len(pending) == 3
    store.refuses = frozenset()
    assert pending.flush(store) == 3
    assert decided == ["a", "b", "c"]


def test_one_row_that_the_store_refuses_does_not_hold_back_the_others(
    pending: PendingDecisions, store: UnreliableStore, decided: list[str]
) -> None:
    """The store says `StoreUnavailable` for a single locked row too."""
    store.refuses = frozenset("a")
    pending.flush(store)
    assert (decided, len(pending)) == (["b", "c"], 1)


def test_decision_that_raises_does_not_hold_back_the_others(store: UnreliableStore, decided: list[str]) -> None:
    """A defect in one decision must not stop the others."""

    def broken(_: Snapshot) -> Decision[None]:
        raise ValueError("a defect")

    def fine(_: Snapshot) -> Decision[None]:
        decided.append("fine")
        return Decision(None)

    pending = PendingDecisions()
    pending.add("a", broken)
    pending.add("b", fine)
    for _ in range(2):
        with suppress(ValueError):
            pending.flush(store)
    assert decided == ["fine"]


class RefusingStore(UnreliableStore):
    """A store that can be reached and refuses the activities in `forbids`."""

    forbids: frozenset[str] = frozenset()

    def change(self, activity_id: str, decide: Callable[[Snapshot], Decision[Any]], **_: Any) -> Any:
        """See the port."""
        if activity_id in self.forbids:
            raise StoreRefused("a trigger forbids it", code="P0001")
        return super().change(activity_id, decide)


def _as_it_is(snapshot: Snapshot) -> Decision[None]:
    return Decision(None)


def _refused_backlog(clock: InMemoryClock) -> tuple[PendingDecisions, RefusingStore]:
    """Verdicts of three activities, all refused."""
    pending = PendingDecisions(clock)
    for key in "abc":
        pending.add(key, _as_it_is, kind="Applied", refused=StoreRefused("a trigger forbids it", code="P0001"))
    return pending, RefusingStore(now=lambda: NOW, activities={key: a_like(id=key) for key in "abc"})


def test_each_that_was_refused_has_its_turn_and_the_first_that_is_taken_opens_the_way() -> None:
    """A row that is always refused neither delays the others nor stops the sending for ever."""
    clock = InMemoryClock()
    pending, store = _refused_backlog(clock)
    store.forbids = frozenset("a")
    assert pending.stops_sending
    for _ in range(3):
        clock.advance(TRY_AGAIN_AFTER)
        pending.flush(store)
    assert (len(pending), "a" in pending, pending.stops_sending) == (1, True, False)


def test_what_was_refused_is_tried_one_at_a_time_and_not_at_once() -> None:
    """A table that refuses everything is asked only once in a while."""
    clock = InMemoryClock()
    pending, store = _refused_backlog(clock)
    assert pending.flush(store) == 0
    assert len(pending) == 3
    clock.advance(TRY_AGAIN_AFTER)
    assert pending.flush(store) == 3


def test_a_row_that_is_refused_again_does_not_count_with_another_s_first_refusal() -> None:
    """Other rows succeed in between: the table works, and each of the two has a reason of its own."""
    clock = InMemoryClock()
    refusal = StoreRefused("a trigger forbids it", code="P0001")
    pending, store = PendingDecisions(clock), RefusingStore(now=lambda: NOW, activities={"a": a_like(id="a")})
    store.forbids = frozenset("a")
    pending.add("a", _as_it_is, kind="Applied", refused=refusal)
    pending.accepted("Applied")
    clock.advance(TRY_AGAIN_AFTER)
    pending.flush(store)
    pending.add("b", _as_it_is, kind="Applied", refused=refusal)
    assert not pending.stops_sending
