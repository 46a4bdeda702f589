"""The periodic tasks of every worker: send the heartbeat, adopt orphans, settle unknown outcomes, alert.

The one rule: the heartbeat has its own thread. Whatever else is slow, other workers never take a living worker for
dead. Each heartbeat also tells what there is to do, and wakes the tasks that do it. So an idle worker asks the database
one thing every two seconds. What it tells is a hint: a task looks by itself, and runs now and then without a hint.
"""

from __future__ import annotations

import os
import socket
import threading
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import timedelta

from engagement_core.model.chore import Chore
from engagement_core.model.decision import RaiseAlert
from engagement_core.model.incident import IncidentKind
from engagement_core.model.job import Unreadable
from engagement_core.ports.activities import ActivityStore, StoreUnavailable
from engagement_core.ports.alerts import AlertOutbox
from engagement_core.ports.retention import Retention
from engagement_core.ports.telemetry import Telemetry
from engagement_core.ports.workers import WorkerRegistry
from engagement_core.use_cases.adopt_orphans import OrphanPolicy, adopt_orphans
from engagement_core.use_cases.deliver_alerts import Delivery
from engagement_core.use_cases.pending_decisions import PendingDecisions
from engagement_core.use_cases.reconcile import READ_BACKS_PER_TURN, Reconciler
from engagement_core.use_cases.recover_accounts import AccountRecovery
from engagement_core.use_cases.watch_incidents import Watch
from runners.worker.periodic import PeriodicTask

__all__ = ["Maintenance"]

_BEAT = timedelta(seconds=2)
_OFTEN = timedelta(seconds=1)
_UNLESS_WOKEN = timedelta(minutes=1)
_FORGET = timedelta(hours=1)
_KEPT_FOR = timedelta(days=30)
_FORGOTTEN_AT_ONCE = 1_000
_AT_ONCE = timedelta(0)


@dataclass(frozen=True, kw_only=True)
class Maintenance:
    """What the periodic tasks need. Two heartbeats are at most a third of `orphans.silent_for` apart.

    `wakes`: set one, and the task that does this chore runs at once.
    """

    worker_id: str
    concurrency: int
    store: ActivityStore
    registry: WorkerRegistry
    pending: PendingDecisions
    reconciler: Reconciler
    outbox: AlertOutbox
    watch: Watch
    delivery: Delivery
    care: AccountRecovery
    retention: Retention
    telemetry: Telemetry
    orphans: OrphanPolicy
    wakes: Mapping[Chore, threading.Event] = field(
        default_factory=lambda: {chore: threading.Event() for chore in Chore}, repr=False
    )

    def tasks(self) -> tuple[PeriodicTask, ...]:
        """All periodic tasks."""
        return (
            PeriodicTask(name="beat", do=self._beat, needs=StoreUnavailable),
            PeriodicTask(name="backlog", do=self._hand_over, needs=None),
            PeriodicTask(name="rescue", do=self._rescue, needs=StoreUnavailable, wake=self.wakes[Chore.ORPHANS]),
            PeriodicTask(
                name="settle",
                do=self._settle,
                needs=StoreUnavailable,
                at_most=self._many_reads,
                wake=self.wakes[Chore.UNKNOWNS],
            ),
            PeriodicTask(name="health", do=self._care, needs=StoreUnavailable, wake=self.wakes[Chore.ACCOUNTS]),
            PeriodicTask(name="watch", do=self.watch.run_once, needs=StoreUnavailable),
            PeriodicTask(name="breaker", do=self._check_breaker, needs=None),
            PeriodicTask(name="forget", do=self._forget, needs=StoreUnavailable),
            # Last, because a drain waits for the tasks in this order.
            PeriodicTask(name="alerts", do=self._deliver, needs=StoreUnavailable, wake=self.wakes[Chore.ALERTS]),
        )

    @property
    def _many_reads(self) -> timedelta:
        """The longest time that one turn of read-backs may take, and three minutes more."""
        return READ_BACKS_PER_TURN * self.reconciler.read_timeout + timedelta(minutes=3)

    def beat(self) -> frozenset[Chore]:
        """Record that this worker is alive. Returns what there is to do.

        Raises:
            StoreUnavailable: the database cannot be used, or refused it.
        """
        return self.registry.beat(
            self.worker_id, host=socket.gethostname(), pid=os.getpid(), concurrency=self.concurrency
        )

    def report_unreadable(self, job: Unreadable) -> None:
        """Alert people that a job in the queue names no activity. There is one alert while the incident lasts.

        Raises:
            StoreUnavailable: the database cannot be used, or refused it.
        """
        next_step = "find the program that created the job, and delete the job."
        self.outbox.put(
            RaiseAlert(
                incident=IncidentKind.UNREADABLE_PAYLOAD.value,
                kind=IncidentKind.UNREADABLE_PAYLOAD.value,
                message=f"A job cannot be read: {job.reason}. It is in the dead-letter queue as {job.receipt}."
                f" Next: {next_step}",
                activity_id=None,
                next_step=next_step,
            )
        )
        self.wakes[Chore.ALERTS].set()

    def _beat(self) -> timedelta:
        found = frozenset(Chore)  # unless the heartbeat tells, each task has to look
        try:
            found = self.beat()
        finally:
            for chore in found:
                self.wakes[chore].set()
        return min(_BEAT, self.orphans.silent_for / 3)

    def _hand_over(self) -> timedelta:
        self.pending.flush(self.store)
        return _OFTEN

    def _rescue(self) -> timedelta:
        adopt_orphans(self.store, self.telemetry, self.orphans)
        return _UNLESS_WOKEN

    def _settle(self) -> timedelta:
        return _AT_ONCE if self.reconciler.settle_all() else _UNLESS_WOKEN

    def _care(self) -> timedelta:
        self.care.run_once()
        return _UNLESS_WOKEN

    def _check_breaker(self) -> timedelta:
        self.watch.check_breaker()
        return _BEAT

    def _deliver(self) -> timedelta:
        self.delivery.run_once()
        return _UNLESS_WOKEN

    def _forget(self) -> timedelta:
        forgotten = self.retention.forget(older_than=_KEPT_FOR, limit=_FORGOTTEN_AT_ONCE)
        return _BEAT if forgotten >= _FORGOTTEN_AT_ONCE else _FORGET
