"""Keeps idle connections for the next call, whichever thread makes it.

The one rule: the number of idle connections is limited by how many calls were made at once, not by how many threads
there have been. A connection that was idle for too long is closed at the next access.
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
        """Whether the connection was used recently enough to be used again."""
        ...

    def close(self) -> None:
        """Close its socket."""
        ...


class IdleConnections:
    """Replaces urllib3's queue. It gives out the connection used last, so that surplus connections grow old."""

    def __init__(self, maxsize: int) -> None:
        self._most = maxsize
        self._lock = threading.Lock()
        self._waiting: deque[_Connection] = deque()

    def put(self, connection: _Connection | None, block: bool = True, timeout: float | None = None) -> None:  # noqa: ARG002 - the queue's signature
        """Keep an idle connection, and close those that were idle for too long. urllib3 puts None for "none yet"; it is
        not kept."""
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
        """The connection that was used last.

        Raises:
            queue.Empty: no connection is idle; urllib3 then makes a new one.
        """
        try:
            return self._waiting.pop()
        except IndexError:
            raise queue.Empty from None

    def qsize(self) -> int:
        """How many connections are idle."""
        return len(self._waiting)
