"""Dead letters in memory: a view of what the store's writes have filed."""

from __future__ import annotations

import itertools
from collections import Counter
from collections.abc import Mapping

from engagement_core.model.activity import Activity
from engagement_core.model.errors import ErrorType
from engagement_core.model.letter_file import FiledLetter, LetterFilter
from fakes.activities import InMemoryActivityStore

__all__ = ["InMemoryDeadLetters"]


class InMemoryDeadLetters:
    """Fills `engagement_core.ports.dead_letters.DeadLetters` from the letters of `store`."""

    def __init__(self, store: InMemoryActivityStore) -> None:
        self._store = store
        self._numbers: dict[str, int] = {}
        self._next = itertools.count(1)

    def page(self, wanted: LetterFilter, *, limit: int, after: int = 0) -> tuple[FiledLetter, ...]:
        """See the port."""
        found = (filed for filed in self._all() if filed.number > after and _is_wanted(filed, wanted))
        return tuple(found)[:limit]

    def count(self, wanted: LetterFilter) -> Mapping[ErrorType, int]:
        """See the port."""
        counted = Counter(filed.letter.error_type for filed in self._all() if _is_wanted(filed, wanted))
        return dict(sorted(counted.items(), key=lambda item: (-item[1], item[0].value)))

    def find(self, activity_id: str) -> FiledLetter | None:
        """See the port."""
        return next((filed for filed in self._all() if filed.letter.activity_id == activity_id), None)

    def _all(self) -> list[FiledLetter]:
        open_ones = self._store.dead_letters
        known = {activity_id: number for activity_id, number in self._numbers.items() if activity_id in open_ones}
        self._numbers = {each: known[each] if each in known else next(self._next) for each in open_ones}
        return [self._filed(number, activity_id) for activity_id, number in self._numbers.items()]

    def _filed(self, number: int, activity_id: str) -> FiledLetter:
        activity = self._store.activities.get(activity_id)
        attempts = self._store.attempts.get(activity_id, {})
        account_id = attempts[max(attempts)].account_id if attempts else None
        return FiledLetter(
            number=number,
            letter=self._store.dead_letters[activity_id],
            pod_id=activity.pod_id if isinstance(activity, Activity) else None,
            account_id=account_id,
        )


def _is_wanted(filed: FiledLetter, wanted: LetterFilter) -> bool:
    return (
        wanted.error_type in (None, filed.letter.error_type)
        and wanted.pod_id in (None, filed.pod_id)
        and wanted.account_id in (None, filed.account_id)
        and (wanted.since is None or filed.letter.buried_at >= wanted.since)
    )
