"""One process wired together: what executes, what looks after it, and what shows it."""

from __future__ import annotations

import os
import socket
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta
from functools import partial
from typing import TYPE_CHECKING

from adapters.alerts.log import LogAlerts
from adapters.alerts.webhook import WebhookAlerts
from adapters.clock import SystemClock
from adapters.http.session import HttpSession
from adapters.postgres.connection.pool import PostgresPool
from adapters.postgres.readers.gauges import PostgresGauges
from adapters.postgres.readers.incident_facts import PostgresIncidentFacts
from adapters.postgres.store.accounts import PostgresAccountRegister
from adapters.postgres.store.activities import PostgresActivityStore
from adapters.postgres.store.alerts import PostgresAlertOutbox
from adapters.postgres.store.retention import PostgresRetention
from adapters.postgres.store.workers import PostgresWorkerRegistry
from adapters.rq.queue import RqQueue
from adapters.telemetry.fan_out import FanOutTelemetry
from adapters.telemetry.page_server import PageServer
from adapters.telemetry.prometheus import PrometheusTelemetry
from adapters.unipile.gateway import DIALECTS
from engagement_core.decisions.claim import ClaimPolicy
from engagement_core.decisions.judge_read_back import ReconcilePolicy
from engagement_core.decisions.retry import RetryPolicy
from engagement_core.ports.telemetry import Telemetry
from engagement_core.ports.voice import Voice
from engagement_core.use_cases.adopt_orphans import OrphanPolicy
from engagement_core.use_cases.deliver_alerts import Delivery
from engagement_core.use_cases.execute import Executor
from engagement_core.use_cases.pending_decisions import PendingDecisions
from engagement_core.use_cases.reconcile import Reconciler
from engagement_core.use_cases.recover_accounts import AccountRecovery
from engagement_core.use_cases.watch_incidents import Watch
from runners.bootstrap.provider import build_gateway
from runners.bootstrap.queue import build_queue
from runners.bootstrap.voice import build_voice, needed_by_voice, takes_time
from runners.settings import Settings
from runners.worker.delay_queue import DelayQueue
from runners.worker.endpoint import Monitor
from runners.worker.maintenance import Maintenance
from runners.worker.policy import WorkerPolicy
from runners.worker.worker import Worker

if TYPE_CHECKING:
    from adapters.bullmq.queue import BullmqQueue

__all__ = ["App", "build_monitor", "build_worker", "claim_policy", "connections_of", "new_worker_id", "open_app"]

_MOST_CONNECTIONS = 10
_PREPARING = 2
_LONGEST_STATEMENT = timedelta(minutes=2)
"""For what a worker reads: less than the time after which a periodic task counts as stuck."""


@dataclass(frozen=True, kw_only=True)
class App:
    """Everything that one process needs to execute engagements."""

    executor: Executor
    maintenance: Maintenance
    queue: RqQueue | BullmqQueue
    clock: SystemClock
    gauges: PostgresGauges
    breaker_state: Callable[[], str]


def new_worker_id() -> str:
    """A name that no other worker has or had."""
    return f"{socket.gethostname()}:{os.getpid()}:{uuid.uuid4().hex[:8]}"


@contextmanager
def open_app(settings: Settings, *, worker_id: str, telemetry: Telemetry) -> Iterator[App]:
    """The wired application; its connections are closed at the end of the `with` block.

    Raises:
        SettingsProblem: a setting is missing, or no adapter takes its value.
        SchemaProblem: the database lacks something.
        StoreUnavailable: it cannot be reached.
    """
    settings.need("database_url", "redis_url", "unipile_api_key", *needed_by_voice(settings))
    clock = SystemClock()
    pool = PostgresPool(str(settings.database_url), size=connections_of(settings), answers_within=_LONGEST_STATEMENT)
    queue = build_queue(settings)
    session = HttpSession()
    voice_session = HttpSession() if takes_time(settings) else session
    try:
        store = PostgresActivityStore(pool)
        yield _wire(
            settings,
            worker_id=worker_id,
            telemetry=telemetry,
            clock=clock,
            pool=pool,
            queue=queue,
            store=store,
            session=session,
            voice=build_voice(settings, clock, voice_session),
        )
    finally:
        queue.close()
        voice_session.close()
        session.close()
        pool.close()


def claim_policy(settings: Settings) -> ClaimPolicy:
    """What the workers of these settings claim by."""
    return ClaimPolicy(job_timeout=settings.job_timeout, max_lateness=settings.max_lateness)


def connections_of(settings: Settings) -> int:
    """How many database connections a worker opens at most."""
    # The rounds borrow a connection now and then; two is the least that never makes them wait for a call to end.
    return min(max(settings.concurrency, 2), _MOST_CONNECTIONS)


def build_worker(app: App, settings: Settings) -> Worker:
    """A worker on the application's adapters."""
    return Worker(
        executor=app.executor,
        store=app.executor.store,
        queue=app.queue,
        clock=app.clock,
        telemetry=app.executor.telemetry,
        delay_queue=DelayQueue(app.clock),
        maintenance=app.maintenance.tasks(),
        report_unreadable=app.maintenance.report_unreadable,
        policy=WorkerPolicy(
            concurrency=settings.concurrency,
            preparing=_PREPARING if takes_time(settings) else 0,
            poll_interval=min(max(settings.poll_interval, timedelta(seconds=1)), timedelta(seconds=5)),
            # Beyond its deadline an attempt has its verdict to write, to a database that may be slow.
            stuck_after=settings.job_timeout + timedelta(minutes=1),
        ),
        slow_calls=app.executor.calls.slow_calls,
    )


def build_monitor(settings: Settings, telemetry: Telemetry) -> tuple[Monitor, Telemetry]:
    """What shows the worker to Prometheus and to supervisors, and the listener that counts for it as well."""
    metrics = PrometheusTelemetry()
    listeners = FanOutTelemetry(telemetry, metrics)
    host, port = settings.metrics_host, settings.metrics_port
    monitor = Monitor(
        address=f"[{host}]:{port}" if ":" in host else f"{host}:{port}",
        listen=partial(PageServer, host, port),
        metrics=metrics,
        telemetry=listeners,
    )
    return monitor, listeners


def _wire(
    settings: Settings,
    *,
    worker_id: str,
    telemetry: Telemetry,
    clock: SystemClock,
    pool: PostgresPool,
    queue: RqQueue | BullmqQueue,
    store: PostgresActivityStore,
    session: HttpSession,
    voice: Voice,
) -> App:
    telemetry = FanOutTelemetry(telemetry)
    retry = RetryPolicy(max_attempts=settings.max_retries, backoff=settings.retry_backoff)
    reconcile = ReconcilePolicy(visibility_lag=settings.visibility_lag, retry=retry)
    linkedin = build_gateway(settings, clock, session)
    pending = PendingDecisions(clock)
    executor = Executor(
        worker_id=worker_id,
        store=store,
        linkedin=linkedin,
        voice=voice,
        telemetry=telemetry,
        clock=clock,
        pending=pending,
        claim_policy=claim_policy(settings),
        retry_policy=retry,
        reconcile_policy=reconcile,
        # The other half of an attempt's time belongs to the call: a voice that takes all of it costs no comment.
        voice_timeout=min(settings.voice_timeout, settings.job_timeout / 2),
        most_slow_calls=max(settings.concurrency // 2, 1),
    )
    reconciler = Reconciler(
        store=store,
        linkedin=linkedin,
        telemetry=telemetry,
        clock=clock,
        policy=reconcile,
        read_timeout=settings.job_timeout,
    )
    outbox = PostgresAlertOutbox(pool)
    watch = Watch(
        store=store,
        queue=queue,
        linkedin=linkedin,
        reader=PostgresIncidentFacts(pool, silent_for=settings.orphan_after),
        outbox=outbox,
        telemetry=telemetry,
    )
    webhook = _webhook(settings, session, clock)
    # Where the dialect cannot be asked (v0), only a person lifts a hold.
    can_ask = DIALECTS[settings.unipile_api_version].reads is not None
    care = AccountRecovery(
        register=PostgresAccountRegister(pool),
        probe=linkedin if can_ask else None,
        clock=clock,
        telemetry=telemetry,
    )
    maintenance = Maintenance(
        worker_id=worker_id,
        concurrency=settings.concurrency,
        store=store,
        registry=PostgresWorkerRegistry(pool, silent_for=settings.orphan_after),
        pending=pending,
        reconciler=reconciler,
        queue=queue,
        outbox=outbox,
        watch=watch,
        care=care,
        retention=PostgresRetention(pool),
        delivery=Delivery(outbox=outbox, log=LogAlerts(telemetry), webhook=webhook, telemetry=telemetry),
        telemetry=telemetry,
        orphans=OrphanPolicy(silent_for=settings.orphan_after),
        look_ahead=timedelta(seconds=3),
    )
    return App(
        executor=executor,
        maintenance=maintenance,
        queue=queue,
        clock=clock,
        gauges=PostgresGauges(pool, silent_for=settings.orphan_after),
        breaker_state=lambda: linkedin.breaker_state,
    )


def _webhook(settings: Settings, session: HttpSession, clock: SystemClock) -> WebhookAlerts | None:
    if settings.alert_webhook_url is None:
        return None
    return WebhookAlerts(settings.alert_webhook_url, session=session, clock=clock)
