"""Finds threads that are stuck.

The one rule: reading never waits for a lock that a stuck thread may hold. A thread says when its work begins and ends.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import timedelta

__all__ = ["Watchdog"]


class Watchdog:
    """What each thread is doing, since when, and how long that may take. Safe to use from several threads."""

    def __init__(self, now: Callable[[], float] = time.monotonic) -> None:
        """`now`, in seconds, should not advance while the machine is suspended: its threads are then not stuck."""
        self._now = now
        self._threads: list[threading.Thread] = []
        self._at: dict[str, tuple[float, float]] = {}

    def expect(self, thread: threading.Thread) -> None:
        """This thread must stay alive until `release`."""
        self._threads.append(thread)

    def release(self) -> None:
        """The threads may end now."""
        self._threads.clear()

    @contextmanager
    def at(self, what: str, at_most: timedelta) -> Iterator[None]:
        """The block must not take longer than `at_most`. `what` names it; one name is in one block at a time."""
        self._at[what] = (self._now(), at_most.total_seconds())
        try:
            yield
        finally:
            self._at.pop(what, None)

    def is_at(self, what: str) -> bool:
        """Whether the block that `what` names is running."""
        return what in self._at

    def problems(self) -> tuple[str, ...]:
        """Which threads are stuck or have ended, one sentence each; empty if there are none."""
        now = self._now()
        stuck = (
            f"{what} is stuck: running for {now - since:.0f} s, limit {at_most:.0f} s"
            for what, (since, at_most) in list(self._at.items())
            if now - since > at_most
        )
        gone = (f"the thread {thread.name} has ended" for thread in list(self._threads) if not thread.is_alive())
        return (*stuck, *gone)
