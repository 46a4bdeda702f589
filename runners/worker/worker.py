"""The worker: the parts of this room put together, started and drained.

The one rule: an activity goes one way: feeder, delay queue, thread, execution, claim, call, settlement.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from datetime import timedelta

from engagement_core.model.job import Unreadable
from engagement_core.model.signal import Signal
from engagement_core.ports.activities import ActivityStore, StoreUnavailable
from engagement_core.ports.clock import Clock
from engagement_core.ports.queue import Queue, QueueUnavailable
from engagement_core.ports.telemetry import Telemetry
from engagement_core.use_cases.execute import Executor
from runners.worker.delay_queue import DelayQueue
from runners.worker.execution import Execution
from runners.worker.feeder import Feeder
from runners.worker.periodic import Outages, PeriodicTask, PeriodicTasks
from runners.worker.policy import WorkerPolicy
from runners.worker.prefetch import Prefetch
from runners.worker.preparation import Preparation
from runners.worker.recent import RecentlyExecuted
from runners.worker.settlement import JobSettler
from runners.worker.thread_pool import ThreadPool
from runners.worker.watchdog import Watchdog

__all__ = ["Worker"]

_LOOK_FOR_MORE_SECONDS = 1.0
_ADVANCE_SOON = timedelta(seconds=1)
_ADVANCE = timedelta(seconds=4)
"""Well below the look-ahead: what is due in the schedule still comes some seconds early."""
_WHOLE_SECOND = timedelta(seconds=1)
"""The queue's schedule has whole seconds, so a job may come by that much too early."""


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
        maintenance: tuple[PeriodicTask, ...],
        report_unreadable: Callable[[Unreadable], None],
        policy: WorkerPolicy,
        slow_calls: Callable[[], int] = lambda: 0,
        calls_beyond_share: Callable[[], int] = lambda: 0,
    ) -> None:
        """
        Args:
            executor: executes activities.
            store: knows what is due.
            queue: rings for activities; if the policy says that there is none, no task waits for it.
            clock: measures time.
            telemetry: hears what happens.
            delay_queue: holds what is due soon.
            maintenance: runs for as long as the worker does.
            report_unreadable: hears of jobs that name no activity.
            policy: how it works.
            slow_calls, calls_beyond_share: see `ThreadPool`.
        """
        self._executor = executor
        self._queue = queue
        self._store = store
        self._telemetry = telemetry
        self._policy = policy
        self._delay_queue = delay_queue
        self._maintenance = maintenance
        self._draining = threading.Event()
        self._watchdog = Watchdog()
        self._outages = Outages(telemetry)
        self._periodic_tasks = PeriodicTasks(telemetry=telemetry, outages=self._outages, watchdog=self._watchdog)
        self._settler = JobSettler(
            queue=queue, telemetry=telemetry, outages=self._outages, mirrors_dead_letters=policy.has_queue
        )
        prefetch = Prefetch(clock, most=policy.prefetch * policy.concurrency)
        recent = RecentlyExecuted(clock)
        self._feeder = Feeder(
            store=store,
            queue=queue,
            clock=clock,
            telemetry=telemetry,
            outages=self._outages,
            delay_queue=delay_queue,
            settler=self._settler,
            prefetch=prefetch,
            recent=recent,
            draining=self._draining,
            report_unreadable=report_unreadable,
            policy=policy,
        )
        execution = Execution(
            executor=executor,
            clock=clock,
            delay_queue=delay_queue,
            settler=self._settler,
            prefetch=prefetch,
            recent=recent,
            look_ahead=policy.look_ahead,
        )
        self._thread_pool = ThreadPool(
            size=policy.concurrency,
            delay_queue=delay_queue,
            watchdog=self._watchdog,
            carry_out=execution.carry_out,
            slow_calls=slow_calls,
            calls_beyond_share=calls_beyond_share,
            stuck_after=policy.stuck_after,
        )

    def start(self) -> None:
        """Begin to work."""
        self._telemetry.emit(Signal.WORKER_STARTED, concurrency=self._policy.concurrency)
        self._thread_pool.start()
        self._periodic_tasks.start((*self._maintenance, *self._tasks()))

    def burst(self, stop: threading.Event) -> None:
        """Execute everything that is due, its retries included, and return; earlier when `stop` is set.

        Raises:
            StoreUnavailable: the database did not do its part.
        """
        self._telemetry.emit(Signal.WORKER_STARTED, concurrency=self._policy.concurrency, burst=True)
        self._thread_pool.start()
        self._periodic_tasks.start((*self._maintenance, *self._of_queue()))
        met_before: frozenset[str] = frozenset()
        while not stop.is_set():
            due = self._feeder.sweep(timedelta(0))
            if not (self._feeder.listen_while_it_rings() or due or not self._delay_queue.is_idle()):
                return
            is_idle = self._delay_queue.wait_until_idle(_LOOK_FOR_MORE_SECONDS)
            if is_idle and due and due == met_before:
                return  # what is left cannot be executed now, and the log says why
            met_before = due

    def drain(self, grace: timedelta) -> bool:
        """Claim nothing new, finish what is in flight within `grace`, hand back the rest.

        Returns:
            False if something was not finished: it is an orphan then, and another worker settles it.
        """
        self._telemetry.emit(Signal.WORKER_DRAINING, grace_s=grace.total_seconds())
        self._draining.set()
        self._watchdog.release()
        left = self._delay_queue.close()
        if self._policy.has_queue:
            self._feeder.stop_listening()
        finished = self._delay_queue.wait_until_idle(grace.total_seconds())
        self._settler.end()
        self._periodic_tasks.stop(5.0)
        if finished:
            self._thread_pool.join()
        if self._settler.finish():
            self._settler.hand_back([entry.wake_up for entry in left if entry.wake_up is not None])
        self._telemetry.emit(Signal.WORKER_STOPPED, finished=finished)
        return finished

    def is_draining(self) -> bool:
        """Whether it takes no new work any more."""
        return self._draining.is_set()

    def problems(self) -> tuple[str, ...]:
        """What does not move although it should, one sentence each; empty when all is well."""
        return () if self.is_draining() else (*self._watchdog.problems(), *self._thread_pool.problems())

    def _of_queue(self) -> tuple[PeriodicTask, ...]:
        """What keeps the queue moving, also in a burst. A queue that is not there needs none of it."""
        if not self._policy.has_queue:
            return ()
        return (
            PeriodicTask(name="queue", do=self._advance, needs=QueueUnavailable),
            PeriodicTask(name="mirror", do=self._settler.run_once, needs=None),
        )

    def _listening(self) -> tuple[PeriodicTask, ...]:
        if not self._policy.has_queue:
            return ()
        return (PeriodicTask(name="listen", do=self._feeder.listen_once, needs=QueueUnavailable),)

    def _advance(self) -> timedelta:
        return _ADVANCE_SOON if self._queue.advance(self._policy.look_ahead - _WHOLE_SECOND) else _ADVANCE

    def _tasks(self) -> tuple[PeriodicTask, ...]:
        return (
            PeriodicTask(name="sweep", do=self._feeder.sweep_once, needs=StoreUnavailable),
            *self._listening(),
            PeriodicTask(name="relieve", do=self._thread_pool.compensate, needs=None),
            *self._of_queue(),
            *self._preparing(),  # last: a drain waits for the tasks in this order, and a voice may take its time
        )

    def _preparing(self) -> tuple[PeriodicTask, ...]:
        if not self._policy.preparing:
            return ()
        preparation = Preparation(
            store=self._store,
            preparer=self._executor.preparer,
            telemetry=self._telemetry,
            outages=self._outages,
            draining=self._draining,
            ahead=self._policy.prepare_ahead,
        )
        return tuple(
            PeriodicTask(
                name=f"prepare-{number}",
                do=preparation.run_once,
                needs=StoreUnavailable,
                at_most=timedelta(minutes=3) + self._policy.stuck_after,
            )
            for number in range(self._policy.preparing)
        )
