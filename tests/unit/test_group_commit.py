"""Group commit: who waits, for how long, and what becomes of those who wait if the thread that works for them fails."""

from __future__ import annotations

import random
import threading
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor

import pytest

from adapters.postgres.store import group_commit
from adapters.postgres.store.group_commit import GroupCommit

_FOREVER = 60.0
"""Longer than any test may take: a change that waits for so long makes its test fail."""


class _Groups:
    """Notes which groups are made, by which thread. The group of the change "first" lasts until `go_on` is set."""

    def __init__(self) -> None:
        self.made: list[list[str]] = []
        self.threads: list[int] = []
        self.has_begun, self.go_on = threading.Event(), threading.Event()

    def carry_out(self, changes: list[str]) -> None:
        self.made.append(list(changes))
        self.threads.append(threading.get_ident())
        if "first" in changes:
            self.has_begun.set()
            assert self.go_on.wait(_FOREVER)


@pytest.fixture
def patient(monkeypatch: pytest.MonkeyPatch) -> None:
    """What waits for a group waits until it is called."""
    for name in ("_PATIENCE_SECONDS", "_PATIENCE_FAR_SECONDS"):
        monkeypatch.setattr(group_commit, name, _FOREVER)


def _until(is_true: Callable[[], bool]) -> None:
    for _ in range(5000):
        if is_true():
            return
        threading.Event().wait(0.002)
    raise AssertionError("it did not come to that")


def _join_all(threads: ThreadPoolExecutor, together: GroupCommit[str], names: list[str]) -> list[Future[None]]:
    """Each from a thread of its own; returns once all of them wait."""
    waiting = len(together._waiting)
    joined = [threads.submit(together.join, name) for name in names]
    _until(lambda: len(together._waiting) == waiting + len(names))
    return joined


@pytest.mark.usefixtures("patient")
def test_a_change_that_finds_nobody_at_work_is_made_at_once_by_its_own_thread() -> None:
    """Alone, one after the other: if it waited, it would wait for ever."""
    groups = _Groups()
    together = GroupCommit(groups.carry_out, most_at_work=10)
    for name in ("a", "b"):
        together.join(name)
    assert (groups.made, set(groups.threads)) == ([["a"], ["b"]], {threading.get_ident()})


@pytest.mark.usefixtures("patient")
def test_what_becomes_ready_meanwhile_goes_together_in_its_order() -> None:
    """In one group, as soon as the transaction before it has ended."""
    groups = _Groups()
    together = GroupCommit(groups.carry_out, most_at_work=10)
    with ThreadPoolExecutor(6) as threads:
        first = threads.submit(together.join, "first")
        assert groups.has_begun.wait(_FOREVER)
        others = [each for name in "abcde" for each in _join_all(threads, together, [name])]
        groups.go_on.set()
        for each in (first, *others):
            each.result(_FOREVER / 2)
    assert groups.made == [["first"], ["a", "b", "c", "d", "e"]]


def test_nobody_waits_for_a_transaction_that_lasts() -> None:
    """After a moment the next group goes beside it."""
    groups = _Groups()
    together = GroupCommit(groups.carry_out, most_at_work=10)
    with ThreadPoolExecutor(1) as threads:
        first = threads.submit(together.join, "first")
        assert groups.has_begun.wait(_FOREVER)
        together.join("second")
        assert not first.done()
        groups.go_on.set()
        first.result(_FOREVER / 2)


def test_more_than_a_group_holds_are_all_made_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """Also by a thread whose own change stands behind those that it makes."""
    monkeypatch.setattr(group_commit, "_MOST_TOGETHER", 4)
    for name in ("_PATIENCE_SECONDS", "_PATIENCE_FAR_SECONDS"):
        monkeypatch.setattr(group_commit, name, 0.05)
    groups = _Groups()
    together = GroupCommit(groups.carry_out, most_at_work=10)
    names = [f"change-{number}" for number in range(30)]
    with ThreadPoolExecutor(31) as threads:
        first = threads.submit(together.join, "first")
        assert groups.has_begun.wait(_FOREVER)
        others = [threads.submit(together.join, name) for name in names]
        groups.go_on.set()
        for each in (first, *others):
            each.result(_FOREVER / 2)
    assert sorted(name for group in groups.made for name in group) == sorted([*names, "first"])
    assert max(map(len, groups.made)) <= 4


def test_every_change_of_many_threads_is_made_once_though_some_groups_fail(seed: int) -> None:
    """No wake-up is lost: each `join` returns, or raises what befell its own thread; and nothing is at work then."""
    chance = random.Random(seed)  # noqa: S311 - repeatable on purpose
    pauses = [chance.choice((0.0, 0.0, 0.001, 0.004)) for _ in range(997)]
    made: list[str] = []
    failed: list[int] = []
    count = iter(range(10**9))

    def carry_out(changes: list[str]) -> None:
        number = next(count)
        threading.Event().wait(pauses[number % len(pauses)])
        made.extend(changes)
        if number % 7 == 3:
            failed.append(number)
            raise SystemExit(1) if number % 2 else ZeroDivisionError

    together = GroupCommit(carry_out, most_at_work=10)

    def work(thread: int) -> int:
        raised = 0
        for number in range(40):
            threading.Event().wait(pauses[(thread * 41 + number) % len(pauses)])
            try:
                together.join(f"{thread}/{number}")
            except (ZeroDivisionError, SystemExit):
                raised += 1
        return raised

    with ThreadPoolExecutor(40) as threads:
        raised = sum(threads.map(work, range(40), timeout=_FOREVER / 2))
    assert len(made) == len(set(made)) == 40 * 40
    assert raised == len(failed) > 0
    assert (together._waiting, together._began) == ([], [])


@pytest.mark.usefixtures("patient")
@pytest.mark.parametrize("raised", [ZeroDivisionError, KeyboardInterrupt])
def test_a_thread_that_fails_while_it_works_for_others_lets_them_go(raised: type[BaseException]) -> None:
    """It alone hears of it, and who waits behind them is called."""
    go_on, has_begun = threading.Event(), threading.Event()
    made = []

    def carry_out(changes: list[str]) -> None:
        made.append(list(changes))
        if "first" in changes:
            has_begun.set()
            assert go_on.wait(_FOREVER)
            raise raised

    together = GroupCommit(carry_out, most_at_work=10)
    with ThreadPoolExecutor(3) as threads:
        first = threads.submit(together.join, "first")
        assert has_begun.wait(_FOREVER)
        others = _join_all(threads, together, ["a", "b"])
        go_on.set()
        with pytest.raises(raised):
            first.result(_FOREVER / 2)
        for each in others:
            each.result(_FOREVER / 2)
    together.join("next")
    assert (made[0], sorted(made[1]), made[2]) == (["first"], ["a", "b"], ["next"])


@pytest.mark.usefixtures("patient")
def test_a_thread_that_is_interrupted_while_it_waits_leaves_nothing_to_be_made(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Nobody would hear what became of it; and who is called next is somebody that is there."""
    groups = _Groups()
    together = GroupCommit(groups.carry_out, most_at_work=10)
    with ThreadPoolExecutor(2) as threads:
        first = threads.submit(together.join, "first")
        assert groups.has_begun.wait(_FOREVER)

        def interrupt(_: object, __: float | None) -> bool:
            raise KeyboardInterrupt

        with monkeypatch.context() as patch:
            patch.setattr(group_commit._Turn, "wait", interrupt)
            with pytest.raises(KeyboardInterrupt):
                together.join("interrupted")
        (other,) = _join_all(threads, together, ["other"])
        groups.go_on.set()
        first.result(_FOREVER / 2)
        other.result(_FOREVER / 2)
    assert groups.made == [["first"], ["other"]]


def test_a_far_database_has_several_groups_at_work_as_far_as_there_are_connections() -> None:
    """To wait for one would take longer than it saves. What finds no connection goes together with the next."""
    at_work, go_on = threading.Semaphore(0), threading.Event()
    made: list[list[str]] = []

    def carry_out(changes: list[str]) -> None:
        made.append(list(changes))
        at_work.release()
        if changes == ["far"]:
            threading.Event().wait(0.02)
        else:
            assert go_on.wait(_FOREVER)

    together = GroupCommit(carry_out, most_at_work=2)
    together.join("far")
    assert at_work.acquire(timeout=_FOREVER)
    with ThreadPoolExecutor(4) as threads:
        one = threads.submit(together.join, "one")
        assert at_work.acquire(timeout=_FOREVER)
        two = threads.submit(together.join, "two")
        assert at_work.acquire(timeout=_FOREVER)
        others = _join_all(threads, together, ["three"]) + _join_all(threads, together, ["four"])
        go_on.set()
        for each in (one, two, *others):
            each.result(_FOREVER / 2)
    assert made == [["far"], ["one"], ["two"], ["three", "four"]]
