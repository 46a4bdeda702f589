"""Fills the delay queue: with the jobs that ring, and with what the sweep finds.

The one rule: it only brings hints. What is executed, and when, is decided by the claim.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta

from engagement_core.model.job import Unreadable, WakeUp
from engagement_core.model.signal import Signal
from engagement_core.ports.activities import ActivityStore, StoreUnavailable
from engagement_core.ports.clock import Clock
from engagement_core.ports.queue import Queue, QueueUnavailable
from engagement_core.ports.telemetry import Telemetry
from runners.worker.delay_queue import DelayQueue, Entry
from runners.worker.periodic import Outages
from runners.worker.policy import WorkerPolicy
from runners.worker.prefetch import Prefetch
from runners.worker.recent import RecentlyExecuted
from runners.worker.settlement import JobSettler

__all__ = ["Feeder"]

_FASTEST_SWEEP = timedelta(seconds=1)
_MOST_JOBS_AT_ONCE = 100
_INTERRUPT_EVERY_SECONDS = 0.02
_INTERRUPT_FOR_SECONDS = 1.0


@dataclass(kw_only=True)
class Feeder:
    """`listen_once` and `sweep_once` belong to one thread each."""

    store: ActivityStore
    queue: Queue
    clock: Clock
    telemetry: Telemetry
    outages: Outages
    delay_queue: DelayQueue
    settler: JobSettler
    prefetch: Prefetch
    recent: RecentlyExecuted
    draining: threading.Event
    report_unreadable: Callable[[Unreadable], None]
    policy: WorkerPolicy

    def __post_init__(self) -> None:
        self._interval = self.policy.poll_interval
        self._listens_no_more = threading.Event()
        self._listens_no_more.set()

    def listen_once(self) -> timedelta:
        """Wait for jobs and bring their activities: as many as the threads can use soon. Returns when to listen again.

        Raises:
            QueueUnavailable: Redis did not do its part.
        """
        self._listens_no_more.clear()  # before it looks whether the worker drains: see `stop_listening`
        try:
            at_most = self._await_room()
            if at_most:
                self._take_in(self.queue.receive(self.policy.listen, at_most=min(at_most, _MOST_JOBS_AT_ONCE)))
            return timedelta(0) if at_most else self.policy.listen
        finally:
            self._listens_no_more.set()

    def stop_listening(self) -> None:
        """End the wait for jobs. Call it when the worker drains and its delay queue is closed."""
        until = time.monotonic() + _INTERRUPT_FOR_SECONDS
        while not self._listens_no_more.is_set() and time.monotonic() < until:
            try:
                self.queue.interrupt()
            except QueueUnavailable as error:
                self.outages.met(error)
            self._listens_no_more.wait(_INTERRUPT_EVERY_SECONDS)

    def listen_while_it_rings(self) -> bool:
        """Bring the activity of every job that rings at present; whether there was one."""
        found = False
        try:
            while received := self.queue.receive(timedelta(0), at_most=_MOST_JOBS_AT_ONCE):
                for each in received:
                    self._bring_job(each)
                found = True
        except QueueUnavailable as error:
            self.outages.met(error)
        return found

    def sweep_once(self) -> timedelta:
        """Bring what is due soon; returns when to sweep again.

        Raises:
            StoreUnavailable: the database did not do its part.
        """
        found = len(self.sweep(self.policy.look_ahead))
        slowest = self.policy.poll_interval
        self._interval = max(_FASTEST_SWEEP, self._interval / 2) if found else min(slowest, self._interval * 2)
        if found < self.delay_queue.capacity:
            return self._interval
        # There is more. Before half of this has gone, a sweep would mostly bring what is here already.
        self.delay_queue.await_half(self._interval.total_seconds())
        return timedelta(0)

    def sweep(self, look_ahead: timedelta) -> frozenset[str]:
        """Bring what is due within `look_ahead`; returns which activities were found. Raises as `sweep_once`."""
        with self.delay_queue.reading():
            before = self.clock.elapsed()
            due = self.store.due(look_ahead=look_ahead, limit=self.delay_queue.capacity)
            # The read happened somewhere between `before` and now; the claim corrects the rest.
            read_at = (before + self.clock.elapsed()) / 2
            for each in due:
                entry = Entry(each.activity_id, account_id=each.account_id)
                self._bring(entry, read_at + each.due_in.total_seconds())
        return frozenset(each.activity_id for each in due)

    def _await_room(self) -> int:
        """How many jobs to take; 0 if the worker drains."""
        # Jobs are left to an idle worker. (It does not return meanwhile: that would say that Redis is there.)
        while not self.draining.is_set():
            room = self.delay_queue.await_room(self.prefetch.size, self.policy.listen.total_seconds())
            if room:
                return room
        return 0

    def _take_in(self, received: tuple[WakeUp | Unreadable, ...]) -> None:
        # Every thread may have become busy while we listened, or the worker may drain by now.
        if received and not self.delay_queue.room(self.prefetch.size):
            self.settler.hand_back([each for each in received if isinstance(each, WakeUp)])
            received = tuple(each for each in received if isinstance(each, Unreadable))
        for each in received:
            self._bring_job(each)

    def _bring_job(self, received: WakeUp | Unreadable) -> None:
        if isinstance(received, Unreadable):
            self.telemetry.emit(Signal.PAYLOAD_UNREADABLE, job=received.receipt, reason=received.reason)
            self._report(received)
            return
        activity_id, entry = received.activity_id, Entry(received.activity_id, received)
        self.telemetry.emit(Signal.JOB_RECEIVED, activity_id=activity_id, job=received.receipt)
        executed = self.recent.outcome_of(activity_id)
        if executed is None:
            self._bring(entry, self.clock.elapsed())
        else:
            self.settler.follow(entry, executed)

    def _bring(self, entry: Entry, at: float) -> None:
        left = self.delay_queue.add(entry, at)
        if left is not None:
            self.settler.leave_to_the_sweep(left)

    def _report(self, received: Unreadable) -> None:
        try:
            self.report_unreadable(received)
        except StoreUnavailable as error:
            self.outages.met(error)  # the log has it, and so has the dead-letter queue
