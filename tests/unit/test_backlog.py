"""What could not be committed is handed over later: all of it, in order, once."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from typing import Any

import pytest

from adapters.in_memory.activities import InMemoryActivityStore
from core_side import NOW, a_like
from engagement_core.backlog import Backlog
from engagement_core.ports.activities import Decision, Snapshot, StoreUnavailable


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
def backlog(decided: list[str]) -> Backlog:
    """One decision about each activity."""

    def note(snapshot: Snapshot) -> Decision[None]:
        assert snapshot.activity is not None
        decided.append(snapshot.activity.id)
        return Decision(None)

    waiting = Backlog()
    for key in "abc":
        waiting.add(key, note)
    return waiting


def test_everything_is_handed_over_oldest_first(backlog: Backlog, store: UnreliableStore, decided: list[str]) -> None:
    """And then there is nothing left."""
    assert backlog.flush(store) == 3
    assert (decided, len(backlog)) == (["a", "b", "c"], 0)
    assert backlog.flush(store) == 0
    assert decided == ["a", "b", "c"]


def test_nothing_is_lost_while_the_store_is_away(backlog: Backlog, store: UnreliableStore, decided: list[str]) -> None:
    """It is tried again with the next flush, in the same order."""
    store.refuses = frozenset("abc")
    assert backlog.flush(store) == 0
    assert len(backlog) == 3
    store.refuses = frozenset()
    assert backlog.flush(store) == 3
    assert decided == ["a", "b", "c"]


def test_one_row_that_the_store_refuses_does_not_hold_back_the_others(
    backlog: Backlog, store: UnreliableStore, decided: list[str]
) -> None:
    """The store says `StoreUnavailable` for a single locked row too."""
    store.refuses = frozenset("a")
    backlog.flush(store)
    assert (decided, len(backlog)) == (["b", "c"], 1)


def test_decision_that_raises_does_not_hold_back_the_others(store: UnreliableStore, decided: list[str]) -> None:
    """A defect met by one activity must not end the rescue of all."""

    def broken(_: Snapshot) -> Decision[None]:
        raise ValueError("a defect")

    def fine(_: Snapshot) -> Decision[None]:
        decided.append("fine")
        return Decision(None)

    backlog = Backlog()
    backlog.add("a", broken)
    backlog.add("b", fine)
    for _ in range(2):
        with suppress(ValueError):
            backlog.flush(store)
    assert decided == ["fine"]
