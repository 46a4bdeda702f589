"""One process wired together: what executes, what maintains, and what shows it."""

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

from adapters.clock import SystemClock
from adapters.no_queue import NoQueue
from adapters.postgres.readers.gauges import PostgresGauges
from adapters.rq.queue import RqQueue
from adapters.telemetry.fan_out import FanOutTelemetry
from adapters.telemetry.page_server import PageServer
from adapters.telemetry.prometheus import PrometheusTelemetry
from engagement_core.ports.telemetry import Telemetry
from engagement_core.use_cases.execute import Executor
from runners.bootstrap.parts import open_parts
from runners.bootstrap.use_cases import build_executor, build_maintenance
from runners.bootstrap.voice import takes_time
from runners.settings import Settings
from runners.worker.delay_queue import DelayQueue
from runners.worker.endpoint import Monitor
from runners.worker.maintenance import Maintenance
from runners.worker.policy import WorkerPolicy
from runners.worker.worker import Worker

if TYPE_CHECKING:
    from adapters.bullmq.queue import BullmqQueue

__all__ = ["App", "build_monitor", "build_worker", "new_worker_id", "open_app"]

_PREPARING = 2


@dataclass(frozen=True, kw_only=True)
class App:
    """Everything that one process needs to execute engagements."""

    executor: Executor
    maintenance: Maintenance
    queue: RqQueue | BullmqQueue | NoQueue
    clock: SystemClock
    gauges: PostgresGauges
    breaker_state: Callable[[], str]


def new_worker_id() -> str:
    """A name that no other worker has or had."""
    return f"{socket.gethostname()}:{os.getpid()}:{uuid.uuid4().hex[:8]}"


@contextmanager
def open_app(
    settings: Settings, *, worker_id: str, telemetry: Telemetry, metrics: Telemetry | None = None
) -> Iterator[App]:
    """The wired application; its connections are closed at the end of the `with` block.

    Args:
        settings: what it is made of.
        worker_id: its name.
        telemetry: hears what happens; so does `metrics`, if given.
        metrics: counts what happens.

    Raises:
        SettingsProblem, SchemaProblem, StoreUnavailable: see `open_parts`.
    """
    listeners = (telemetry,) if metrics is None else (telemetry, metrics)
    with open_parts(settings, worker_id=worker_id, listeners=listeners) as parts:
        executor = build_executor(parts)
        yield App(
            executor=executor,
            maintenance=build_maintenance(parts, executor.pending),
            queue=parts.queue,
            clock=parts.clock,
            gauges=PostgresGauges(parts.pool, silent_for=settings.orphan_after),
            breaker_state=lambda: parts.linkedin.breaker_state,
        )


def build_worker(app: App, settings: Settings) -> Worker:
    """A worker on the application's adapters."""
    return Worker(
        executor=app.executor,
        store=app.executor.store,
        queue=app.queue,
        clock=app.clock,
        telemetry=app.executor.telemetry,
        delay_queue=DelayQueue(app.clock, bulkhead=app.executor.calls, threads=settings.concurrency),
        maintenance=app.maintenance.tasks(),
        report_unreadable=app.maintenance.report_unreadable,
        policy=WorkerPolicy(
            concurrency=settings.concurrency,
            has_queue=settings.has_queue,
            preparing=_PREPARING if takes_time(settings) else 0,
            poll_interval=min(max(settings.poll_interval, timedelta(seconds=1)), timedelta(seconds=5)),
            # Beyond its deadline an attempt has its verdict to write, to a database that may be slow.
            stuck_after=settings.job_timeout + timedelta(minutes=1),
        ),
        slow_calls=app.executor.calls.slow_calls,
        calls_beyond_share=app.executor.calls.calls_beyond_share,
    )


def build_monitor(settings: Settings, telemetry: Telemetry) -> tuple[Monitor, PrometheusTelemetry]:
    """What shows the worker to Prometheus and to supervisors, and the metrics that it shows."""
    metrics = PrometheusTelemetry()
    host, port = settings.metrics_host, settings.metrics_port
    monitor = Monitor(
        address=f"[{host}]:{port}" if ":" in host else f"{host}:{port}",
        listen=partial(PageServer, host, port),
        metrics=metrics,
        telemetry=FanOutTelemetry(telemetry),  # a log that cannot be written must not end the monitor
    )
    return monitor, metrics
