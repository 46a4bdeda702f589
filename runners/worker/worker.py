"""The worker: threads that execute, one that listens to the queue, and the rounds.

The one rule: every path to a call of the provider goes delay queue, claim, call. The queue and the sweep only fill the
delay queue.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta

from engagement_core.model.job import Unreadable, WakeUp
from engagement_core.model.outcome import Deferred, Outcome
from engagement_core.model.signal import Signal
from engagement_core.ports.activities import ActivityStore, StoreRefused, StoreUnavailable
from engagement_core.ports.clock import Clock
from engagement_core.ports.queue import Queue, QueueUnavailable
from engagement_core.ports.telemetry import Telemetry
from engagement_core.use_cases.execute import Executor
from runners.worker.delay_queue import DelayQueue, Entry
from runners.worker.periodic import Outages, PeriodicTask, PeriodicTasks
from runners.worker.settlement import JobSettler
from runners.worker.thread_pool import ThreadPool
from runners.worker.watchdog import Watchdog

__all__ = ["Worker", "WorkerPolicy"]


@dataclass(frozen=True, kw_only=True, slots=True)
class WorkerPolicy:
    """`look_ahead`: how far into the future the delay_queue reaches; `listen`: how long one wait for a job lasts.

    An execution that lasts longer than `stuck_after` is stuck; so is an activity that waits so long for a thread while
    one is idle. `preparing`: how many threads ask the voice for comments that are due within `prepare_ahead`.
    """

    concurrency: int = 5
    poll_interval: timedelta = timedelta(seconds=2)
    look_ahead: timedelta = timedelta(seconds=8)
    listen: timedelta = timedelta(seconds=1)
    preparing: int = 0
    prepare_ahead: timedelta = timedelta(seconds=60)
    stuck_after: timedelta = timedelta(minutes=2)


_PREPARED_AHEAD = 500
"""How many activities are looked at for their words; with more than that in a minute, the voice is the bottleneck."""


class Worker:
    """One worker process. `start`, then `drain`; or `burst` for all due work."""

    def __init__(
        self,
        *,
        executor: Executor,
        store: ActivityStore,
        queue: Queue,
        clock: Clock,
        telemetry: Telemetry,
        delay_queue: DelayQueue,
        rounds: tuple[PeriodicTask, ...],
        report_unreadable: Callable[[Unreadable], None],
        policy: WorkerPolicy,
        slow_calls: Callable[[], int] = lambda: 0,
    ) -> None:
        """`slow_calls`: see `ThreadPool`."""
        self._executor = executor
        self._store = store
        self._queue = queue
        self._clock = clock
        self._telemetry = telemetry
        self._delay_queue = delay_queue
        self._report_unreadable = report_unreadable
        self._policy = policy
        self._outages = Outages(telemetry)
        self._watchdog = Watchdog()
        self._periodic_tasks = PeriodicTasks(telemetry=telemetry, outages=self._outages, watchdog=self._watchdog)
        self._maintenance_tasks = rounds
        self._settler = JobSettler(queue=queue, telemetry=telemetry, outages=self._outages)
        self._settling = PeriodicTask(name="settle", do=self._settler.run_once, needs=None)
        self._thread_pool = ThreadPool(
            size=policy.concurrency,
            delay_queue=delay_queue,
            watchdog=self._watchdog,
            carry_out=self._carry_out,
            slow_calls=slow_calls,
            stuck_after=policy.stuck_after,
        )
        self._draining = threading.Event()
        self._interval = policy.poll_interval

    def start(self) -> None:
        """Begin to work."""
        self._telemetry.emit(Signal.WORKER_STARTED, concurrency=self._policy.concurrency)
        self._thread_pool.start()
        sweep = PeriodicTask(name="sweep", do=self._sweep_round, needs=StoreUnavailable)
        listen = PeriodicTask(name="listen", do=self._listen_round, needs=QueueUnavailable)
        # Last, because a drain waits for the rounds in this order, and a voice may take its time.
        prepare = (
            PeriodicTask(
                name=f"prepare-{number}",
                do=self._prepare_round,
                needs=StoreUnavailable,
                at_most=timedelta(minutes=3) + self._policy.stuck_after,
            )
            for number in range(self._policy.preparing)
        )
        compensate = PeriodicTask(name="compensate", do=self._thread_pool.compensate, needs=None)
        self._periodic_tasks.start((*self._maintenance_tasks, sweep, listen, compensate, self._settling, *prepare))

    def burst(self, stop: threading.Event) -> None:
        """Execute everything that is due, its retries included, and return; earlier when `stop` is set.

        Raises:
            StoreUnavailable: the database did not do its part.
        """
        self._telemetry.emit(Signal.WORKER_STARTED, concurrency=self._policy.concurrency, burst=True)
        self._thread_pool.start()
        self._periodic_tasks.start((*self._maintenance_tasks, self._settling))
        met_before: frozenset[str] = frozenset()
        while not stop.is_set():
            due = self._sweep(timedelta(0))
            if not (self._drain_queue() or due or not self._delay_queue.is_idle()):
                return
            is_idle = self._delay_queue.wait_until_idle(self._policy.listen.total_seconds())
            if is_idle and due and due == met_before:
                return  # what is left cannot be executed now, and the log says why
            met_before = due

    def drain(self, grace: timedelta) -> bool:
        """Claim nothing new, finish what is in flight within `grace`, give back the rest; False if some was not
        finished (it is an orphan then, and another worker settles it)."""
        self._telemetry.emit(Signal.WORKER_DRAINING, grace_s=grace.total_seconds())
        self._draining.set()
        self._watchdog.release()
        left = self._delay_queue.close()
        finished = self._delay_queue.wait_until_idle(grace.total_seconds())
        self._periodic_tasks.stop(5.0)
        if finished:
            self._thread_pool.join()
        if self._settler.finish():
            for entry in left:
                if entry.wake_up is not None and not self._settler.hand_back(entry.wake_up):
                    break  # each of the others would wait for a server that is away, too
        self._telemetry.emit(Signal.WORKER_STOPPED, finished=finished)
        return finished

    def is_draining(self) -> bool:
        """Whether it takes no new work any more."""
        return self._draining.is_set()

    def problems(self) -> tuple[str, ...]:
        """What does not move although it should, one sentence each; empty when all is well."""
        return () if self.is_draining() else (*self._watchdog.problems(), *self._thread_pool.problems())

    def _carry_out(self, entry: Entry) -> None:
        outcome = self._outcome_of(entry)
        left = self._delay_queue.done(entry, self._again_at(outcome))
        if left is entry:
            self._settler.follow(entry, outcome)
        elif left is not None:
            self._settler.leave_to_the_sweep(left)

    def _outcome_of(self, entry: Entry) -> Outcome:
        try:
            return self._executor.execute(entry.activity_id)
        except Exception as error:  # noqa: BLE001 - a defect met by one activity must not end the thread
            self._settler.tell_of_defect(entry.activity_id, error)
            # For the sweep to bring again: a job that rang anew at once would do nothing else.
            return Deferred(again_in=None, reason="a defect ended its execution")

    def _again_at(self, outcome: Outcome) -> float | None:
        """When it is to be looked at again, if that is soon enough for the delay queue."""
        if not isinstance(outcome, Deferred) or outcome.again_in is None or outcome.again_in > self._policy.look_ahead:
            return None
        return self._clock.elapsed() + outcome.again_in.total_seconds()

    def _listen_round(self) -> timedelta:
        # Jobs are left to an idle worker. (The round does not end meanwhile: that would say that Redis is there.)
        while not self._delay_queue.await_free_thread(self._policy.listen.total_seconds()):
            if self._draining.is_set():
                return self._policy.listen
        received = self._queue.receive(self._policy.listen)
        if isinstance(received, WakeUp) and not self._delay_queue.await_free_thread(0):
            self._settler.hand_back(received)  # every thread has become busy while we listened
        else:
            self._note(received)
        return timedelta(0)

    def _note(self, received: WakeUp | Unreadable | None) -> None:
        if isinstance(received, Unreadable):
            self._telemetry.emit(Signal.PAYLOAD_UNREADABLE, job=received.receipt, reason=received.reason)
            self._report(received)
        elif received is not None:
            self._telemetry.emit(Signal.JOB_RECEIVED, activity_id=received.activity_id, job=received.receipt)
            self._bring(Entry(received.activity_id, received), self._clock.elapsed())

    def _bring(self, entry: Entry, at: float) -> None:
        left = self._delay_queue.add(entry, at)
        if left is not None:
            self._settler.leave_to_the_sweep(left)

    def _report(self, received: Unreadable) -> None:
        try:
            self._report_unreadable(received)
        except StoreUnavailable as error:
            self._outages.met(error)  # the log has it, and so has the dead-letter queue

    def _sweep_round(self) -> timedelta:
        found = len(self._sweep(self._policy.look_ahead))
        if found >= self._delay_queue.capacity:
            return timedelta(milliseconds=200)
        fastest, slowest = timedelta(seconds=1), self._policy.poll_interval
        self._interval = max(fastest, self._interval / 2) if found else min(slowest, self._interval * 2)
        return self._interval

    def _prepare_round(self) -> timedelta:
        """Ask the voice for one comment, so that a drain waits for one at most."""
        for due in self._store.due(look_ahead=self._policy.prepare_ahead, limit=_PREPARED_AHEAD):
            if self._draining.is_set():
                break
            if self._prepare(due.activity_id):
                return timedelta(0)
        return timedelta(seconds=1)

    def _prepare(self, activity_id: str) -> bool:
        try:
            return self._executor.preparer.prepare(activity_id)
        except StoreRefused as error:
            self._outages.met(error)
        except StoreUnavailable:
            raise
        except Exception as error:  # noqa: BLE001 - a defect that one row meets must not keep the others waiting
            self._settler.tell_of_defect(activity_id, error)
        return False

    def _sweep(self, look_ahead: timedelta) -> frozenset[str]:
        """Bring what is due soon into the delay queue; which activities were found."""
        before = self._clock.elapsed()
        due = self._store.due(look_ahead=look_ahead, limit=self._delay_queue.capacity)
        # The read happened somewhere between `before` and now; the claim corrects the rest.
        read_at = (before + self._clock.elapsed()) / 2
        for each in due:
            self._bring(Entry(each.activity_id), read_at + each.due_in.total_seconds())
        return frozenset(each.activity_id for each in due)

    def _drain_queue(self) -> bool:
        """Note every job that rings at present; whether there was one."""
        found = False
        try:
            while (received := self._queue.receive(timedelta(milliseconds=10))) is not None:
                self._note(received)
                found = True
        except QueueUnavailable as error:
            self._outages.met(error)
        return found
