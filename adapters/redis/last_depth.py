"""Remembers how deep a queue was when somebody last asked Redis.

The one rule: a count is used again only for as long as the caller allows.
"""

from __future__ import annotations

import time
from datetime import timedelta

__all__ = ["LastDepth"]


class LastDepth:
    """The last count, and when it was read. Safe to use from several threads."""

    def __init__(self) -> None:
        self._known: tuple[int, float] | None = None

    def remember(self, depth: int) -> int:
        """Keep a count that was read just now; returns it."""
        self._known = depth, time.monotonic()
        return depth

    def forget(self) -> None:
        """Keep none: the next question goes to Redis."""
        self._known = None

    def no_older_than(self, age: timedelta) -> int | None:
        """The last count if it was read within `age`."""
        known = self._known
        if known is None or time.monotonic() - known[1] >= age.total_seconds():
            return None
        return known[0]
