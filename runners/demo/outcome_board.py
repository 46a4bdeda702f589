"""Keeps the outcome of each activity so far, from the worker's events."""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping
from datetime import datetime, timezone

from engagement_core.model.signal import Signal

__all__ = ["OutcomeBoard"]

_FINAL: Mapping[tuple[Signal, object], str] = {
    (Signal.JOB_COMPLETED, None): "executed",
    (Signal.DEAD_LETTER, None): "failed",
    (Signal.OUTCOME_RECONCILED, "executed"): "executed",
}


class OutcomeBoard:
    """Implements `engagement_core.ports.telemetry.Telemetry`. It calls `changed` at every final outcome."""

    def __init__(self, changed: Callable[[str, str, Mapping[str, object]], None]) -> None:
        self._changed = changed
        self._outcomes: dict[str, str] = {}
        self._called_at: dict[str, datetime] = {}
        self._news = threading.Condition()

    @property
    def outcomes(self) -> Mapping[str, str]:
        """`executed` or `failed` by activity id."""
        with self._news:
            return dict(self._outcomes)

    @property
    def called_at(self) -> Mapping[str, datetime]:
        """When the provider was first called, by activity id and this machine's clock."""
        with self._news:
            return dict(self._called_at)

    def emit(self, signal: Signal, **fields: object) -> None:
        """See the port."""
        if signal is Signal.CALL_STARTED:
            with self._news:
                self._called_at.setdefault(str(fields["activity_id"]), datetime.now(timezone.utc))
        verdict = fields.get("verdict") if signal is Signal.OUTCOME_RECONCILED else None
        outcome = _FINAL.get((signal, verdict))
        if outcome is None:
            return
        activity_id = str(fields["activity_id"])
        with self._news:
            self._outcomes[activity_id] = outcome
            self._news.notify_all()
        self._changed(activity_id, outcome, fields)

    def wait_for(self, activity_ids: frozenset[str], timeout: float) -> bool:
        """Block until each of them has a final outcome; False if `timeout` seconds were not enough."""
        with self._news:
            return self._news.wait_for(lambda: activity_ids <= self._outcomes.keys(), timeout)
