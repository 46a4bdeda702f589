"""Pending decisions: this process made them, but the database has not accepted them yet.

The one rule: a decision stays pending until the store has accepted it. It lives as long as the process does.

If the database refuses the outcomes of what was sent, it would refuse the next outcomes, too. So the refusal of one row
concerns that row alone, but the same refusal of two rows in a row stops all sending. One pending decision is then tried
again and again; the first one that is accepted lets sending continue.
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
"""How long to wait before a decision that the store has refused is tried again."""

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
    """Decisions that wait for the database, oldest first. Safe to use from several threads.

    Each must be safe to decide twice: the commit that failed may have been applied after all.
    """

    def __init__(self, clock: Clock | None = None) -> None:
        """With a `clock`, refused decisions are tried again after `TRY_AGAIN_AFTER`, one at a time; else every time."""
        self._clock = clock
        self._waiting: deque[_Waiting] = deque()
        self._lock = threading.Lock()
        self._refused: dict[tuple[str, str], set[str]] = {}
        self._refused_lock = threading.Lock()
        self._try_again_at = 0.0

    def __len__(self) -> int:
        return len(self._waiting)

    def __contains__(self, activity_id: str) -> bool:
        """Whether a decision about the activity is pending."""
        return any(each.activity_id == activity_id for each in tuple(self._waiting))

    @property
    def activity_ids(self) -> frozenset[str]:
        """The activities about which a decision is pending."""
        return frozenset(each.activity_id for each in tuple(self._waiting))

    @property
    def stops_sending(self) -> bool:
        """The store has refused the outcomes of several activities: that of a new send could not be recorded."""
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
        """Keep a decision about an activity until the store accepts it.

        Args:
            activity_id: the activity.
            decide: the decision.
            tell: receives its result, and must not raise.
            kind: the kind of verdict, see `accepted`; empty for a decision that is no verdict and stops no sending.
            instead: what to write each time that the store refuses it.
            refused: the store's refusal of it, if that is why it is kept.
        """
        if refused is not None:
            self._postpone()
            self._count(activity_id, kind, refused)
        self._waiting.append(_Waiting(activity_id, decide, tell, kind, instead, refused is not None))

    def accepted(self, kind: str) -> None:
        """The store has accepted a decision of this kind: earlier refusals of the kind no longer stop the sending."""
        if self._refused:
            with self._refused_lock:
                self._refused = {key: rows for key, rows in self._refused.items() if key[0] != kind}

    def flush(self, store: ActivityStore) -> int:
        """Try all pending decisions; returns how many were accepted. The others stay, refused ones behind the rest.

        Raises:
            Exception: what a decision raised, after all were tried; that decision stays, too.
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
                    pass  # perhaps only this row is locked: go on with the next one
                except Exception as error:  # noqa: BLE001 - one defect must not stop the other decisions
                    defect = error
            for each in refused:  # behind those that were not tried: these are tried next
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
        """Count each row once, when it is first refused. A repeated try says nothing new about the table."""
        if kind:
            with self._refused_lock:
                self._refused.setdefault((kind, error.code), set()).add(activity_id)

    def _may_try_again(self) -> bool:
        return self._clock is None or self._clock.elapsed() >= self._try_again_at


def write_instead(store: ActivityStore, activity_id: str, instead: _Instead | None, refused: StoreRefused) -> None:
    """Write what can be written of a refused decision. This is best effort: the decision itself stays pending."""
    if instead is not None:
        # If this fails, too, the next try of the decision comes here again.
        with suppress(Exception):
            store.change(activity_id, instead(refused))
