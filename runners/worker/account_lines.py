"""Activities that wait, in one line for each account, so that one account's line can be passed over.

The one rule: each line is in the order of time. Not safe to use from several threads: the delay queue locks.
"""

from __future__ import annotations

import heapq
from collections import Counter
from collections.abc import Callable, Collection
from itertools import count
from typing import NamedTuple

__all__ = ["AccountLines", "Place"]


_MOST_LEFT = 16


class Place(NamedTuple):
    """Where an activity stands. Of two with the same time, the one that came first is first."""

    at: float
    number: int
    activity_id: str
    account_id: str | None


class AccountLines:
    """The lines, and each activity's place. Those whose account nobody knows have a line of their own."""

    def __init__(self) -> None:
        self._places: dict[str, Place] = {}
        self._sizes: Counter[str | None] = Counter()
        # Heaps. A place that was left stays in its line, and is dropped when it comes to the head.
        self._lines: dict[str | None, list[Place]] = {}
        # The head of each line, again in the order of time; one that is no head any more is dropped later, too.
        self._heads: list[Place] = []
        self._numbers = count()

    def __len__(self) -> int:
        return len(self._places)

    def __contains__(self, activity_id: str) -> bool:
        return activity_id in self._places

    def put(self, activity_id: str, at: float, account_id: str | None) -> None:
        """Stand in the account's line; an activity that stands elsewhere leaves that place."""
        self.remove(activity_id)
        place = Place(at, next(self._numbers), activity_id, account_id)
        self._places[activity_id] = place
        self._sizes[account_id] += 1
        line = self._lines.setdefault(account_id, [])
        if len(line) > 2 * self._sizes[account_id] + _MOST_LEFT:
            self._compact(line)
        heapq.heappush(line, place)
        if line[0] is place:
            heapq.heappush(self._heads, place)

    def remove(self, activity_id: str) -> None:
        """Leave the line, if the activity is in one."""
        place = self._places.pop(activity_id, None)
        if place is None:
            return
        self._sizes[place.account_id] -= 1
        self._tidy(place.account_id)

    def place_of(self, activity_id: str) -> Place:
        """Where the activity stands."""
        return self._places[activity_id]

    def places(self) -> Collection[Place]:
        """All places, in no order."""
        return self._places.values()

    def accounts(self) -> Collection[str | None]:
        """Those that have a line."""
        return self._lines.keys()

    def size(self, account_id: str | None) -> int:
        """How long the account's line is."""
        return self._sizes[account_id]

    def largest(self) -> str | None:
        """The account with the longest line."""
        return max(self._sizes, key=self._sizes.__getitem__)

    def latest(self, account_id: str | None) -> Place:
        """The last in the account's line."""
        return max(place for place in self._places.values() if place.account_id == account_id)

    def first(self, may_go: Callable[[str | None], bool]) -> Place | None:
        """The first of all whose account may go."""
        passed_over = []
        try:
            while self._heads:
                place = self._heads[0]
                if not self._is_head(place):
                    heapq.heappop(self._heads)
                elif may_go(place.account_id):
                    return place
                else:
                    passed_over.append(heapq.heappop(self._heads))
            return None
        finally:
            for place in passed_over:
                heapq.heappush(self._heads, place)

    def _is_head(self, place: Place) -> bool:
        line = self._lines.get(place.account_id)
        return line is not None and line[0] is place

    def _compact(self, line: list[Place]) -> None:
        """Drop all places that were left. The head stays: it is tidy."""
        line[:] = [place for place in line if self._places.get(place.activity_id) is place]
        heapq.heapify(line)

    def _tidy(self, account_id: str | None) -> None:
        """Drop places that were left from the head of a line, and the line itself if nobody is in it."""
        line = self._lines[account_id]
        head = line[0]
        while line and self._places.get(line[0].activity_id) is not line[0]:
            heapq.heappop(line)
        if not line:
            del self._lines[account_id], self._sizes[account_id]
        elif line[0] is not head:
            heapq.heappush(self._heads, line[0])
