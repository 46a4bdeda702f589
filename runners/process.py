"""A worker as a process: started, stopped by signals, drained.

The one rule: the first signal drains, the second one ends the process at once. Neither can lose or double anything.
An attempt that is not finished is an orphan, which the next worker adopts.
"""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext, suppress
from types import FrameType

from engagement_core.ports.activities import StoreUnavailable
from engagement_core.ports.telemetry import Telemetry
from runners.bootstrap import App, build_monitor, build_worker, new_worker_id, open_app
from runners.settings import Settings
from runners.worker.endpoint import Watched
from runners.worker.worker import Worker

__all__ = ["run_burst", "run_worker", "working"]

_MOST_SHOWN = 5
_SIGNALS = (signal.SIGINT, signal.SIGTERM)


@contextmanager
def working(
    settings: Settings, telemetry: Telemetry, worker_id: str | None = None, *, metrics: Telemetry | None = None
) -> Iterator[tuple[App, Worker]]:
    """A registered worker, not yet started; it is drained and signed off at the end of the `with` block.

    Raises:
        SettingsProblem, SchemaProblem, StoreUnavailable: see `open_app`.
    """
    name = worker_id or new_worker_id()
    with open_app(settings, worker_id=name, telemetry=telemetry, metrics=metrics) as app:
        app.maintenance.beat()  # before the first claim: an attempt of a worker nobody knows is an orphan
        worker = build_worker(app, settings)
        try:
            yield app, worker
        finally:
            worker.drain(settings.shutdown_grace)
            with suppress(StoreUnavailable):
                app.maintenance.beat()  # a database that is away would be waited for by each pending decision
                app.executor.pending.flush(app.executor.store)
                app.maintenance.registry.leave(app.maintenance.worker_id)


def run_worker(settings: Settings, telemetry: Telemetry, worker_id: str) -> None:
    """Work until a signal comes, then drain.

    Raises:
        SettingsProblem, SchemaProblem, StoreUnavailable: it could not start.
    """
    with (
        _told_to_stop() as stop,
        # Outside of the worker, so that the pages are there until the last call has ended: a drain can be watched.
        _monitored(settings, telemetry) as (metrics, watching),
        working(settings, telemetry, worker_id, metrics=metrics) as (app, worker),
        watching(app, worker),
    ):
        worker.start()
        stop.wait()


_Watching = Callable[[App, Worker], AbstractContextManager[None]]


@contextmanager
def _monitored(settings: Settings, telemetry: Telemetry) -> Iterator[tuple[Telemetry | None, _Watching]]:
    """Metrics and health for the length of the block, unless they are turned off; bound before anything else starts."""
    if settings.metrics_port == 0:
        yield None, lambda _app, _worker: nullcontext()
        return
    monitor, metrics = build_monitor(settings, telemetry)
    with monitor:
        yield metrics, lambda app, worker: monitor.watching(_watched(app, worker, has_queue=settings.has_queue))


def _watched(app: App, worker: Worker, *, has_queue: bool) -> Watched:
    return Watched(
        gauges=app.gauges,
        queue=app.queue if has_queue else None,
        breaker_state=app.breaker_state,
        problems=worker.problems,
        is_draining=worker.is_draining,
    )


def run_burst(settings: Settings, telemetry: Telemetry, worker_id: str) -> None:
    """Do all due work, then return; a signal ends it earlier.

    Raises:
        SettingsProblem, SchemaProblem, StoreUnavailable: it could not start, or lost the database.
            The latter also when it has not taken what became of some activities.
    """
    with _told_to_stop() as stop, working(settings, telemetry, worker_id) as (app, worker):
        worker.burst(stop)
    unrecorded = sorted(app.executor.pending.activity_ids)
    if unrecorded:
        shown = ", ".join(unrecorded[:_MOST_SHOWN]) + (", ..." if len(unrecorded) > _MOST_SHOWN else "")
        raise StoreUnavailable(
            f"the database has not taken what became of these activities, {len(unrecorded)} in all: {shown}. Nothing is"
            " sent twice: the next run settles them. `engagement doctor --try-write` says what stands in the way."
        )


@contextmanager
def _told_to_stop() -> Iterator[threading.Event]:
    """An event that the first SIGINT or SIGTERM sets; the second one ends the process."""
    stop = threading.Event()

    def on_signal(number: int, _: FrameType | None) -> None:
        if stop.is_set():
            os._exit(128 + number)
        stop.set()

    before = {number: signal.signal(number, on_signal) for number in _SIGNALS}
    try:
        yield stop
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
