"""Says how many jobs a worker may take before a thread is free for them.

The one rule: only as many as keep the threads busy for a moment. A worker whose threads do not move takes none, so that
an idle worker gets them.
"""

from __future__ import annotations

import threading
from collections import deque
from datetime import timedelta

from engagement_core.ports.clock import Clock

__all__ = ["Prefetch"]

_MOMENT = timedelta(milliseconds=250)


class Prefetch:
    """Counts the executions of the last quarter of a second. Safe to use from several threads."""

    def __init__(self, clock: Clock, *, most: int) -> None:
        """`most`: how many jobs may wait for a thread, however fast the threads are."""
        self._clock = clock
        self._ended_at: deque[float] = deque(maxlen=most)
        self._lock = threading.Lock()

    def note_execution(self) -> None:
        """A thread has executed something."""
        with self._lock:
            self._ended_at.append(self._clock.elapsed())

    def size(self) -> int:
        """How many jobs may wait for a thread at present."""
        since = self._clock.elapsed() - _MOMENT.total_seconds()
        with self._lock:
            return sum(at >= since for at in self._ended_at)
