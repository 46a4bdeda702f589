"""What the queue is told: for the job that rang, what became of its activity.

The one rule: the queue is a mirror. That it cannot be told changes nothing, and ends nobody's work.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, timezone

from engagement_core.outcome import Buried, Dropped, Executed, Outcome, Unknown, Waits
from engagement_core.ports import queue as ring
from engagement_core.ports.queue import Queue, QueueUnavailable, WakeUp
from engagement_core.ports.telemetry import Signal, Telemetry
from runners.agenda import Entry
from runners.rounds import Outages

__all__ = ["QueueMirror"]


class QueueMirror:
    """Settles jobs. Safe to use from several threads."""

    def __init__(self, *, queue: Queue, telemetry: Telemetry, outages: Outages) -> None:
        self._queue = queue
        self._telemetry = telemetry
        self._outages = outages

    def follow(self, entry: Entry, outcome: Outcome) -> None:
        """What the outcome means for the job that rang."""
        if isinstance(outcome, Waits) and outcome.again_in is not None:
            self._settle(entry, ring.Later(at=_utc_now() + outcome.again_in))
        elif isinstance(outcome, Buried):
            reason = outcome.failure.message
            if entry.wake_up is None:
                self._tell(entry.activity_id, lambda: self._queue.bury(entry.activity_id, reason))
            self._settle(entry, ring.Buried(reason=reason))
        else:
            # It has ended, or the sweep finds it when whatever blocks it is lifted.
            self._settle(entry, _done(outcome))

    def hand_back(self, received: WakeUp) -> bool:
        """Leave a job to another worker; whether the queue could be told."""
        return self._settle(Entry(received.activity_id, received), ring.Later(at=_utc_now()))

    def leave_to_the_sweep(self, entry: Entry) -> None:
        """It is in hand already, or comes again when there is room."""
        self._settle(entry, ring.Done(status="scheduled", note="it is in hand"))

    def tell_of_defect(self, activity_id: str, error: Exception) -> None:
        """A defect that one activity has met."""
        message = f"{type(error).__name__}: {error}"
        self._telemetry.emit(Signal.EXECUTION_FAILED, activity_id=activity_id, message=message)

    def _settle(self, entry: Entry, settlement: ring.Settlement) -> bool:
        wake_up = entry.wake_up
        return wake_up is None or self._tell(entry.activity_id, lambda: self._queue.settle(wake_up, settlement))

    def _tell(self, activity_id: str, tell: Callable[[], None]) -> bool:
        try:
            tell()
        except QueueUnavailable as error:
            self._outages.met(error)
        except Exception as error:  # noqa: BLE001 - nor must a defect met by one job end the thread
            self.tell_of_defect(activity_id, error)
        else:
            return True
        return False


def _done(outcome: Outcome) -> ring.Done:
    match outcome:
        case Executed():
            return ring.Done(note=outcome.provenance.value)
        case Dropped():
            return ring.Done(status=outcome.status, note=outcome.reason)
        case Waits():
            return ring.Done(status="scheduled", note=outcome.reason)
        case Unknown() | Buried():
            return ring.Done(status="scheduled", note=outcome.failure.message)


def _utc_now() -> datetime:
    return datetime.now(timezone.utc)
