"""The call that a thread is making now: facts that its connection needs and that urllib3 has no place for.

The one rule: the connection itself records the instant from which the server may have acted. Nobody guesses it later
from an exception's type.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Protocol

from adapters.http.errors import TooLateToSend
from adapters.http.head import Head
from engagement_core.ports.clock import Deadline

__all__ = ["Call", "CurrentExchange", "calling", "current_call"]


class CurrentExchange(Protocol):
    """What has arrived of the answer. `head` is set once the head is read to its end.
    `is_over` is true once nothing more of this answer can arrive."""

    head: Head | None
    is_over: bool

    def read_to_end(self) -> bytes | None:
        """The body; None if it has no clear end in time, is too large, or cannot be decoded. Never raises."""
        ...


@dataclass(slots=True)
class Call:
    """One request and its answer.

    `began` becomes true right before the first byte is written. `exchange` is set once we wait for an answer.
    """

    deadline: Deadline
    began: bool = False
    exchange: CurrentExchange | None = None

    def check(self) -> None:
        """Check that there is still time.

        Raises:
            TooLateToSend: the deadline has passed.
        """
        if self.deadline.remaining() <= 0:
            raise TooLateToSend("The deadline passed before the request could be sent.")

    def begin(self) -> None:
        """Pass the point of no return, right before the first byte is written. Raises what `check` raises."""
        if not self.began:
            self.check()
            self.began = True

    def time_left(self) -> float:
        """Seconds that the next socket operation may take.

        Raises:
            TimeoutError: none are left.
        """
        left = self.deadline.remaining()
        if left <= 0:
            raise TimeoutError("the deadline has passed")
        return left


class _ThisThread(threading.local):
    call: Call | None = None


_this_thread = _ThisThread()


@contextmanager
def calling(deadline: Deadline) -> Iterator[Call]:
    """Make this thread's connections obey `deadline` inside the block."""
    call = _this_thread.call = Call(deadline)
    try:
        yield call
    finally:
        _this_thread.call = None


def current_call() -> Call:
    """The call that this thread is making."""
    call = _this_thread.call
    if call is None:
        raise RuntimeError("a connection was used outside of a call")
    return call
