"""Group commit: changes that are ready at the same time share one transaction.

The one rule: nothing waits for a group. A change that finds nobody at work begins at once, and alone. What becomes
ready meanwhile waits until that transaction ends, or for two milliseconds, whichever is sooner, and goes together.

So the busier the worker is, the more changes share a commit, and the less each costs. Where the database is far away,
a transaction lasts longer than anybody waits, and there are several at a time.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from queue import Empty, SimpleQueue
from typing import Generic, TypeVar

__all__ = ["GroupCommit"]

T = TypeVar("T")

_PATIENCE_SECONDS = 0.002
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

    def wait(self, timeout: float | None) -> bool:
        """Whether it was called within `timeout` seconds."""
        try:
            self.calls.get(timeout=timeout)
        except Empty:
            return False
        return True


class GroupCommit(Generic[T]):
    """Brings together the changes of several threads. Safe to use from several threads."""

    def __init__(self, carry_out: Callable[[list[T]], None]) -> None:
        """`carry_out` makes the changes of one group and leaves each one's result with it. It must not raise."""
        self._carry_out = carry_out
        self._lock = threading.Lock()
        self._waiting: list[_Turn[T]] = []
        self._at_work = 0

    def join(self, change: T) -> None:
        """Have the change made, by this thread or by another one; returns when it has been made.

        If this thread is interrupted while the change waits, the change is not made: nobody would hear of it.
        """
        turn = _Turn(change)
        with self._lock:
            self._waiting.append(turn)
        try:
            self._see_through(turn)
        except BaseException:
            with self._lock:
                self._waiting = [each for each in self._waiting if each is not turn]
            raise

    def _see_through(self, turn: _Turn[T]) -> None:
        is_patient = True
        while not turn.is_done:
            with self._lock:
                is_waiting = turn in self._waiting
                group = self._take() if is_waiting and not (self._at_work and is_patient) else []
            if group:
                self._lead(group, turn)
            else:
                is_patient = turn.wait(_PATIENCE_SECONDS if is_waiting else None)

    def _take(self) -> list[_Turn[T]]:
        group, self._waiting = self._waiting[:_MOST_TOGETHER], self._waiting[_MOST_TOGETHER:]
        self._at_work += 1
        return group

    def _lead(self, group: list[_Turn[T]], mine: _Turn[T]) -> None:
        try:
            self._carry_out([turn.change for turn in group])
        finally:
            with self._lock:
                self._at_work -= 1
                following = self._waiting[0] if self._waiting and not self._at_work else None
            for turn in group:
                turn.is_done = True
                if turn is not mine:
                    turn.call()
            if following is not None:
                following.call()
