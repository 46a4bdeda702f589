"""Group commit: changes that are ready at the same time share one transaction.

The one rule: nobody waits longer than a transaction of his own would take. A change that finds nobody at work begins at
once, and alone. What becomes ready meanwhile waits until that transaction ends, and goes together. So the busier the
worker is, the more changes share a commit, and the less each costs.

A transaction that takes long is not waited for: it waits for somebody's lock, or the database is far away. A far
database has several at work at a time, since waiting for one would take longer than it saves.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from queue import Empty, SimpleQueue
from typing import Generic, TypeVar

__all__ = ["GroupCommit"]

T = TypeVar("T")

_NEAR_SECONDS = 0.005
"""A database is near if its fastest transactions take less."""
_PATIENCE_SECONDS = 0.025
_PATIENCE_FAR_SECONDS = 0.002
_FORGETS = 1.005
"""By how much the fastest transaction fades with each other one, so that a database that has moved away is noticed."""
_MOST_TOGETHER = 32


class _Turn(Generic[T]):
    """One change while it waits."""

    __slots__ = ("calls", "change", "is_done")

    def __init__(self, change: T) -> None:
        self.change = change
        self.is_done = False
        self.calls: SimpleQueue[None] = SimpleQueue()

    def call(self) -> None:
        """Wake its thread: the change is done, or it is its turn."""
        self.calls.put(None)

    def wait(self, timeout: float | None) -> None:
        """Wait until it is called, or for `timeout` seconds."""
        with suppress(Empty):
            self.calls.get(timeout=timeout)


@dataclass(frozen=True, slots=True)
class _Group(Generic[T]):
    """What goes together. `began` is on the monotonic clock, in seconds."""

    turns: list[_Turn[T]]
    began: float


class GroupCommit(Generic[T]):
    """Brings together the changes of several threads. Safe to use from several threads."""

    def __init__(self, carry_out: Callable[[list[T]], None], *, most_at_work: int) -> None:
        """
        Args:
            carry_out: makes the changes of one group and leaves each one's result with it. It must not raise.
            most_at_work: how many groups may be made at a time.
        """
        self._carry_out = carry_out
        self._most_at_work = most_at_work
        self._lock = threading.Lock()
        self._waiting: list[_Turn[T]] = []
        self._began: list[float] = []
        """When each group began that is being made now, the latest last."""
        self._fastest: float | None = None
        """Seconds that the fastest transactions take; None before the first one has ended."""

    def join(self, change: T) -> None:
        """Have the change made, by this thread or by another one; returns when it has been made.

        If this thread is interrupted while the change waits, the change is not made: nobody would hear of it.
        """
        self.submit(change)()

    def submit(self, change: T) -> Callable[[], None]:
        """Let the next group take the change along. The function that is returned must be called; it does what `join`
        does."""
        turn = _Turn(change)
        with self._lock:
            self._waiting.append(turn)
        return partial(self._join, turn)

    def _join(self, turn: _Turn[T]) -> None:
        try:
            self._see_through(turn)
        except BaseException:
            with self._lock:
                self._waiting = [each for each in self._waiting if each is not turn]
            raise

    def _see_through(self, turn: _Turn[T]) -> None:
        while not turn.is_done:
            with self._lock:
                wait = self._wait() if turn in self._waiting else None
                group = self._take(turn) if wait == 0 else None
            if group is not None:
                self._lead(group, turn)
            else:
                turn.wait(wait)

    def _wait(self) -> float | None:
        """How long to wait for a group that is being made, in seconds; None: until one has been made."""
        if len(self._began) >= self._most_at_work:
            return None
        is_near = self._fastest is None or self._fastest < _NEAR_SECONDS
        patience = _PATIENCE_SECONDS if is_near else _PATIENCE_FAR_SECONDS
        return max(self._began[-1] + patience - time.monotonic(), 0) if self._began else 0

    def _take(self, mine: _Turn[T]) -> _Group[T]:
        """The changes that have waited longest, and the one of this thread: whatever befalls it befalls its own."""
        turns = self._waiting[:_MOST_TOGETHER]
        if mine not in turns:
            turns[-1] = mine
        self._waiting = [turn for turn in self._waiting if turn not in turns]
        group = _Group(turns=turns, began=time.monotonic())
        self._began.append(group.began)
        return group

    def _lead(self, group: _Group[T], mine: _Turn[T]) -> None:
        try:
            self._carry_out([turn.change for turn in group.turns])
        finally:
            with self._lock:
                self._began.remove(group.began)
                took = time.monotonic() - group.began
                self._fastest = took if self._fastest is None else min(self._fastest * _FORGETS, took)
                following = self._waiting[0] if self._waiting else None
            for turn in group.turns:
                turn.is_done = True
                if turn is not mine:
                    turn.call()
            if following is not None:
                following.call()
