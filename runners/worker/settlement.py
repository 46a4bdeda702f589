"""Tells Redis what became of a job's activity.

The one rule: the queue only mirrors the database. If Redis is away, no engagement is lost or delayed: a thread that
executes only leaves a note, and another thread waits for Redis.
"""

from __future__ import annotations

import queue as threads
import time
from collections.abc import Callable, Sequence
from datetime import datetime, timedelta, timezone
from functools import partial

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
_MOST_AT_ONCE = 100
_WAIT_SECONDS = 1.0
_GATHER_SECONDS = 0.05
"""Nobody waits for a settlement: under load one command settles what ended within this time."""
_AT_ONCE = timedelta(0)

_Note = tuple[Entry, job.Settlement]


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
        self._notes: threads.SimpleQueue[_Note | None] = threads.SimpleQueue()
        self._has_ended = False

    def run_once(self) -> timedelta:
        """Settle what was noted, at most 100 jobs; wait a second for something to do."""
        if self._has_ended:
            return timedelta(seconds=_WAIT_SECONDS)
        notes = self._take_notes(time.monotonic() + _WAIT_SECONDS, at_most=1)
        if notes:
            notes += self._take_notes(time.monotonic() + _GATHER_SECONDS, at_most=_MOST_AT_ONCE - 1)
            self._settle(notes)
        return _AT_ONCE

    def end(self) -> None:
        """Let `run_once` return soon and do nothing more; `finish` does the rest."""
        self._has_ended = True
        self._notes.put(None)

    def finish(self) -> bool:
        """Settle all that was noted, in the calling thread. False as soon as Redis is away: each further settlement
        would wait for it, too."""
        while self._notes.qsize():
            if not self._settle(self._take_notes(0.0, at_most=_MOST_AT_ONCE)):
                return False
        return True

    def follow(self, entry: Entry, outcome: Outcome) -> None:
        """Note what the outcome means for the job that rang."""
        if isinstance(outcome, Deferred) and outcome.again_in is not None:
            self._note(entry, job.Later(at=_utc_now() + outcome.again_in))
        elif isinstance(outcome, Buried):
            self._note(entry, job.DeadLettered(reason=outcome.failure.message))
        else:
            # It has ended, or the sweep finds it once nothing blocks it any more.
            self._note(entry, _done(outcome))

    def hand_back(self, received: Sequence[WakeUp]) -> None:
        """Leave jobs to another worker."""
        for first in range(0, len(received), _MOST_AT_ONCE):
            some = received[first : first + _MOST_AT_ONCE]
            if not self._settle([(Entry(each.activity_id, each), job.Later(at=_utc_now())) for each in some]):
                return  # each of the others would wait for a server that is away, too

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
            self._notes.put((entry, settlement))

    def _take_notes(self, until: float, *, at_most: int) -> list[_Note]:
        """Up to so many notes; wait for them until then (monotonic seconds), or until `end`."""
        notes: list[_Note] = []
        while len(notes) < at_most:
            try:
                note = self._notes.get(timeout=max(until - time.monotonic(), 0))
            except threads.Empty:
                break
            if note is None:
                until = 0.0
            else:
                notes.append(note)
        return notes

    def _settle(self, notes: list[_Note]) -> bool:
        """Settle all of these; False as soon as Redis is away."""
        rang = [(entry.wake_up, settlement) for entry, settlement in notes if entry.wake_up is not None]
        did_not_ring = [(entry.activity_id, settlement) for entry, settlement in notes if entry.wake_up is None]
        return self._settle_jobs(rang) and all(
            self._tell(activity_id, partial(self._queue.bury, activity_id, settlement.reason))
            for activity_id, settlement in did_not_ring
            if isinstance(settlement, job.DeadLettered)
        )

    def _settle_jobs(self, rang: list[tuple[WakeUp, job.Settlement]]) -> bool:
        try:
            if rang:
                self._queue.settle(rang)
        except QueueUnavailable as error:
            self._outages.met(error)
            return False
        except Exception:  # noqa: BLE001 - one of them has met a defect: each goes alone, and the log says which
            return all(self._tell(each[0].activity_id, partial(self._queue.settle, [each])) for each in rang)
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
