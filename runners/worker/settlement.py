"""Tells Redis what became of a job's activity.

The one rule: the queue only mirrors the database. If Redis is away, no engagement is lost or delayed: a thread that
executes only leaves a note, and another thread waits for Redis.
"""

from __future__ import annotations

import queue as threads
from collections.abc import Callable
from datetime import datetime, timedelta, timezone

from engagement_core.model import job
from engagement_core.model.job import WakeUp
from engagement_core.model.outcome import Buried, Deferred, Dropped, Executed, Outcome, Unknown
from engagement_core.ports.queue import Queue, QueueUnavailable
from engagement_core.ports.telemetry import Telemetry
from engagement_core.use_cases.event_fields import emit_defect
from runners.worker.delay_queue import Entry
from runners.worker.periodic import Outages

__all__ = ["JobSettler"]

_MOST_NOTES = 10_000
"""At most so many settlements wait while Redis is slow or away. Further jobs are left as they are."""
_WAIT_SECONDS = 1.0
_AT_ONCE = timedelta(0)


class JobSettler:
    """Settles jobs. Safe to use from several threads; `run_once` belongs to one thread."""

    def __init__(
        self, *, queue: Queue, telemetry: Telemetry, outages: Outages, mirrors_dead_letters: bool = True
    ) -> None:
        """`mirrors_dead_letters`: copy dead letters into the queue, also those for which no job rang."""
        self._queue = queue
        self._mirrors_dead_letters = mirrors_dead_letters
        self._telemetry = telemetry
        self._outages = outages
        self._notes: threads.SimpleQueue[Callable[[], bool]] = threads.SimpleQueue()

    def run_once(self) -> timedelta:
        """Settle what was noted; wait a second for something to do."""
        try:
            settle = self._notes.get(timeout=_WAIT_SECONDS)
        except threads.Empty:
            return _AT_ONCE
        settle()
        return _AT_ONCE

    def finish(self) -> bool:
        """Settle all that was noted, in the calling thread. False as soon as Redis is away: each further settlement
        would wait for it, too."""
        while True:
            try:
                settle = self._notes.get_nowait()
            except threads.Empty:
                return True
            if not settle():
                return False

    def follow(self, entry: Entry, outcome: Outcome) -> None:
        """Note what the outcome means for the job that rang."""
        if isinstance(outcome, Deferred) and outcome.again_in is not None:
            self._note(entry, job.Later(at=_utc_now() + outcome.again_in))
        elif isinstance(outcome, Buried):
            self._note(entry, job.DeadLettered(reason=outcome.failure.message))
        else:
            # It has ended, or the sweep finds it once nothing blocks it any more.
            self._note(entry, _done(outcome))

    def hand_back(self, received: WakeUp) -> bool:
        """Leave a job to another worker; False if Redis is away."""
        return self._settle(Entry(received.activity_id, received), job.Later(at=_utc_now()))

    def leave_to_the_sweep(self, entry: Entry) -> None:
        """Note that the activity is being executed already, or that the sweep brings it again."""
        self._note(entry, job.Done(status="scheduled", note="it is in hand"))

    def tell_of_defect(self, activity_id: str, error: Exception) -> None:
        """A defect that one activity has met."""
        emit_defect(self._telemetry, error, activity_id=activity_id)

    def _note(self, entry: Entry, settlement: job.Settlement) -> None:
        is_mirrored = self._mirrors_dead_letters and isinstance(settlement, job.DeadLettered)
        has_to_be_told = entry.wake_up is not None or is_mirrored
        if has_to_be_told and self._notes.qsize() < _MOST_NOTES:
            self._notes.put(lambda: self._settle(entry, settlement))

    def _settle(self, entry: Entry, settlement: job.Settlement) -> bool:
        wake_up, activity_id = entry.wake_up, entry.activity_id
        if wake_up is not None:
            return self._tell(activity_id, lambda: self._queue.settle(wake_up, settlement))
        if isinstance(settlement, job.DeadLettered):
            reason = settlement.reason
            return self._tell(activity_id, lambda: self._queue.bury(activity_id, reason))
        return True

    def _tell(self, activity_id: str, tell: Callable[[], None]) -> bool:
        try:
            tell()
        except QueueUnavailable as error:
            self._outages.met(error)
            return False
        except Exception as error:  # noqa: BLE001 - a defect of one job must not end the thread, or skip the next
            self.tell_of_defect(activity_id, error)
        return True


def _done(outcome: Outcome) -> job.Done:
    match outcome:
        case Executed():
            return job.Done(note=outcome.provenance.value)
        case Dropped():
            return job.Done(status=outcome.status, note=outcome.reason)
        case Deferred() | Unknown() | Buried():
            return job.Done(status="scheduled", note=outcome.reason)


def _utc_now() -> datetime:
    return datetime.now(timezone.utc)
