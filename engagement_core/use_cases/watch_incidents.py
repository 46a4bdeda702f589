"""Use case: read the incident facts, raise the incidents that have begun and resolve those that are over.

The one rule: it only watches. Nothing that it finds, and nothing that fails here, affects an engagement.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta

from engagement_core.alerting.conditions import breaker_open
from engagement_core.alerting.judge import judge
from engagement_core.alerting.policy import IncidentPolicy
from engagement_core.model.incident_facts import IncidentFacts
from engagement_core.model.signal import Signal
from engagement_core.ports.activities import ActivityStore
from engagement_core.ports.alerts import AlertOutbox
from engagement_core.ports.incident_facts import IncidentFactsReader
from engagement_core.ports.linkedin import LinkedIn
from engagement_core.ports.queue import Queue, QueueUnavailable
from engagement_core.ports.telemetry import Telemetry

__all__ = ["Watch"]

_OFTEN = timedelta(seconds=10)
_RECENT = timedelta(seconds=15)
_SOON = timedelta(seconds=3)
"""Longer than the time between two heartbeats of a worker that has just got its database back."""


@dataclass(kw_only=True)
class Watch:
    """Watches for incidents. Every worker does so, in one thread of its own."""

    store: ActivityStore
    queue: Queue
    linkedin: LinkedIn
    reader: IncidentFactsReader
    outbox: AlertOutbox
    telemetry: Telemetry
    policy: IncidentPolicy = field(default_factory=IncidentPolicy)
    _silent_before: frozenset[tuple[str, datetime]] = field(default=frozenset(), init=False, repr=False)

    def run_once(self) -> timedelta:
        """Read the facts once, raise and resolve. Returns how long to wait before the next run.

        Raises:
            StoreUnavailable: the database failed or could not be reached; the next run finds the same.
        """
        facts, is_sure = self._in_doubt(self.reader.read(attempts_of=self.policy.attempts_of))
        judgement = judge(facts, waiting=self._waiting(), policy=self.policy)
        for alert in judgement.raised:
            self.outbox.put(alert)
        for over in judgement.over:
            self.outbox.resolve(over.incident, over.message)
        for worker in facts.silent:
            if worker.is_news:
                self.telemetry.emit(Signal.WORKER_LOST, lost=worker.worker_id, replaced_by=worker.replaced_by)
        return _OFTEN if is_sure else _SOON

    def check_breaker(self) -> None:
        """Raise an alert while the breaker is open. Call this often enough, and no opening is missed.

        Raises:
            StoreUnavailable: as above.
        """
        held_back = self.linkedin.available_in()
        if held_back > timedelta(0):
            self.outbox.put(breaker_open(held_back))

    def _waiting(self) -> int:
        due = len(self.store.due(look_ahead=timedelta(0), limit=self.policy.most_waiting + 1))
        try:
            return max(due, self.queue.depth(at_most_old=_RECENT))
        except QueueUnavailable:
            return due

    def _in_doubt(self, facts: IncidentFacts) -> tuple[IncidentFacts, bool]:
        """Only a worker that was silent in the last run, too, is news: while the database was away, all were silent."""
        doubtful = {each for each in facts.silent if (each.worker_id, each.beat_at) not in self._silent_before}
        self._silent_before = frozenset((each.worker_id, each.beat_at) for each in facts.silent)
        silent = tuple(replace(each, is_news=each.is_news and each not in doubtful) for each in facts.silent)
        return replace(facts, silent=silent), not any(each.is_news for each in doubtful)
