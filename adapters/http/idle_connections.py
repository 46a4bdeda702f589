"""Where connections wait for their next call, whichever thread makes it.

The one rule: what waits here is bounded by how many calls were made at once, not by how many threads there have been;
and what has waited too long is closed as soon as anybody looks.
"""

from __future__ import annotations

import queue
import threading
from collections import deque
from contextlib import suppress
from typing import Protocol

__all__ = ["IdleConnections"]


class _Connection(Protocol):
    @property
    def is_fresh(self) -> bool:
        """Whether it is still young enough to be used again."""
        ...

    def close(self) -> None:
        """Let go of its socket."""
        ...


class IdleConnections:
    """Takes the place of urllib3's queue. The one used last is given out first, so that those too many grow old."""

    def __init__(self, maxsize: int) -> None:
        self._most = maxsize
        self._lock = threading.Lock()
        self._waiting: deque[_Connection] = deque()

    def put(self, connection: _Connection | None, block: bool = True, timeout: float | None = None) -> None:  # noqa: ARG002 - the queue's signature
        """Let it wait, and close those that have waited too long. urllib3's None, for "none yet", is not kept."""
        if connection is None:
            return
        left = []
        with self._lock:
            self._waiting.append(connection)
            while self._waiting and (len(self._waiting) > self._most or not self._waiting[0].is_fresh):
                left.append(self._waiting.popleft())
        for each in left:
            with suppress(OSError):
                each.close()

    def get(self, block: bool = True, timeout: float | None = None) -> _Connection:  # noqa: ARG002 - the queue's signature
        """The one that was used last.

        Raises:
            queue.Empty: none waits; urllib3 makes a new one.
        """
        try:
            return self._waiting.pop()
        except IndexError:
            raise queue.Empty from None

    def qsize(self) -> int:
        """How many wait."""
        return len(self._waiting)
