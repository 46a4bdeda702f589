"""What this process knows and the database does not yet: decisions that could not be committed.

The one rule: nothing leaves the backlog before the store has accepted it. It lives as long as the process does.

While the database refuses what was sent, it would refuse what is sent next: one row's refusal concerns that row, the
same refusal of two rows in a row stops all sending. One of what waits is tried again and again, and the first one that
is accepted opens the way.
"""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from engagement_core.model.decision import Decision
from engagement_core.model.snapshot import Snapshot
from engagement_core.ports.activities import ActivityStore, StoreRefused, StoreUnavailable
from engagement_core.ports.clock import Clock

__all__ = ["TRY_AGAIN_AFTER", "PendingDecisions", "write_instead"]

TRY_AGAIN_AFTER = timedelta(seconds=10)
"""How long the store is not asked again for what it has refused."""

_ROWS_THAT_STOP = 2

_Decide = Callable[[Snapshot], Decision[Any]]
_Tell = Callable[[Any], None]
_Instead = Callable[[StoreRefused], _Decide]


@dataclass(slots=True, eq=False)
class _Waiting:
    activity_id: str
    decide: _Decide
    tell: _Tell
    kind: str
    instead: _Instead | None
    was_refused: bool


class PendingDecisions:
    """Decisions waiting for the database, oldest first. Safe to use from several threads.

    Each must be safe to decide twice: the commit that failed may have been applied after all.
    """

    def __init__(self, clock: Clock | None = None) -> None:
        """By `clock`, what was refused is tried again after `TRY_AGAIN_AFTER`, one at a time; without it, each time."""
        self._clock = clock
        self._waiting: deque[_Waiting] = deque()
        self._lock = threading.Lock()
        self._refused: dict[tuple[str, str], set[str]] = {}
        self._refused_lock = threading.Lock()
        self._try_again_at = 0.0

    def __len__(self) -> int:
        return len(self._waiting)

    def __contains__(self, activity_id: str) -> bool:
        """Whether the database has yet to be told something about the activity."""
        return any(each.activity_id == activity_id for each in tuple(self._waiting))

    @property
    def activity_ids(self) -> frozenset[str]:
        """The activities of which the database has yet to be told something."""
        return frozenset(each.activity_id for each in tuple(self._waiting))

    @property
    def stops_sending(self) -> bool:
        """The store has refused what became of one activity after the other: what is sent could not be recorded."""
        return any(len(rows) >= _ROWS_THAT_STOP for rows in tuple(self._refused.values()))

    def add(
        self,
        activity_id: str,
        decide: _Decide,
        tell: _Tell = lambda _: None,
        *,
        kind: str = "",
        instead: _Instead | None = None,
        refused: StoreRefused | None = None,
    ) -> None:
        """Keep a decision about an activity until the store takes it.

        Args:
            activity_id: the activity.
            decide: the decision.
            tell: hears its result, and never raises.
            kind: what sort of verdict it is, see `accepted`; empty for what is no verdict, and stops no sending.
            instead: what to write down each time that the store refuses it.
            refused: the store's refusal of it, if that is why it is kept.
        """
        if refused is not None:
            self._postpone()
            self._count(activity_id, kind, refused)
        self._waiting.append(_Waiting(activity_id, decide, tell, kind, instead, refused is not None))

    def accepted(self, kind: str) -> None:
        """The store has taken a decision of this kind: refusals before it do not stop others of the kind any more."""
        if self._refused:
            with self._refused_lock:
                self._refused = {key: rows for key, rows in self._refused.items() if key[0] != kind}

    def flush(self, store: ActivityStore) -> int:
        """Hand over what waits; how many were accepted. What is not stays, behind the others.

        Raises:
            Exception: whatever a decision raised, once all had their turn; it stays too.
        """
        accepted, defect = 0, None
        refused: list[_Waiting] = []
        with self._lock:
            for _ in range(len(self._waiting)):
                each = self._waiting[0]
                self._waiting.rotate(-1)
                if each.was_refused and not self._may_try_again():
                    continue
                try:
                    self._hand_over(store, each)
                    accepted += 1
                except StoreRefused as error:
                    self._keep_refused(store, each, error)
                    refused.append(each)
                except StoreUnavailable:
                    pass  # perhaps this row alone is locked: the next one has its turn
                except Exception as error:  # noqa: BLE001 - one defect must not hold back the others' evidence
                    defect = error
            for each in refused:  # behind those that were not tried: next time it is their turn
                self._waiting.remove(each)
                self._waiting.append(each)
        if defect is not None:
            raise defect
        return accepted

    def _hand_over(self, store: ActivityStore, each: _Waiting) -> None:
        result = store.change(each.activity_id, each.decide)
        self._waiting.remove(each)
        self._try_again_at = 0.0
        self.accepted(each.kind)
        each.tell(result)

    def _keep_refused(self, store: ActivityStore, each: _Waiting, error: StoreRefused) -> None:
        self._postpone()
        if not each.was_refused:
            self._count(each.activity_id, each.kind, error)
        each.was_refused = True
        write_instead(store, each.activity_id, each.instead, error)

    def _postpone(self) -> None:
        if self._clock is not None:
            self._try_again_at = self._clock.elapsed() + TRY_AGAIN_AFTER.total_seconds()

    def _count(self, activity_id: str, kind: str, error: StoreRefused) -> None:
        """Each row once, when it is refused first: what is only tried again says nothing new of the table."""
        if kind:
            with self._refused_lock:
                self._refused.setdefault((kind, error.code), set()).add(activity_id)

    def _may_try_again(self) -> bool:
        return self._clock is None or self._clock.elapsed() >= self._try_again_at


def write_instead(store: ActivityStore, activity_id: str, instead: _Instead | None, refused: StoreRefused) -> None:
    """Write down what can be written of a decision that was refused. It is best effort: the decision itself is kept."""
    if instead is not None:
        # Whatever stands in the way of this too, the next try of the decision comes here again.
        with suppress(Exception):
            store.change(activity_id, instead(refused))
