"""The function that an RQ job names, so that a plain `rq worker` can execute engagements too.

The one rule: it does what our own worker does with a wake-up. It claims the activity, sends heartbeats while it works,
and waits in place only if the activity is due again within five seconds.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from datetime import datetime, timedelta, timezone

from engagement_core.model.outcome import Deferred, Dropped, Outcome
from engagement_core.ports.activities import StoreUnavailable
from runners.bootstrap import App, new_worker_id, open_app
from runners.bootstrap.logs import start_logging
from runners.settings import read_settings

__all__ = ["execute_engagement"]

_LONGEST_WAIT_IN_PLACE = timedelta(seconds=5)


def execute_engagement(activity_id: str) -> str:
    """Execute one activity, with its quick retries. Returns how it ended: a word, and a reason if there is one.

    Raises:
        SettingsProblem: the environment of the process lacks a setting.
        SchemaProblem, StoreUnavailable: the database cannot be used.
    """
    settings = read_settings()
    worker_id = new_worker_id()
    telemetry = start_logging(settings, worker=worker_id)
    with open_app(settings, worker_id=worker_id, telemetry=telemetry) as app, _beating(app):
        outcome = _until_it_takes_longer(app, activity_id)
        if isinstance(outcome, Deferred) and outcome.again_in is not None:
            app.queue.ring(activity_id, datetime.now(timezone.utc) + outcome.again_in)
    is_explained = isinstance(outcome, Deferred | Dropped) and outcome.reason
    return f"{outcome.kind.value}: {outcome.reason}" if is_explained else outcome.kind.value


def _until_it_takes_longer(app: App, activity_id: str) -> Outcome:
    waiting = threading.Event()
    outcome = app.executor.execute(activity_id)
    while isinstance(outcome, Deferred) and outcome.again_in is not None and outcome.again_in <= _LONGEST_WAIT_IN_PLACE:
        waiting.wait(outcome.again_in.total_seconds())
        app.executor.pending.flush(app.executor.store)
        outcome = app.executor.execute(activity_id)
    return outcome


@contextmanager
def _beating(app: App) -> Iterator[None]:
    """Send heartbeats while the block lasts: other workers take away the claim of a worker that does not beat."""
    app.maintenance.beat()
    stop = threading.Event()

    def beat() -> None:
        while not stop.wait(1.0):
            with suppress(StoreUnavailable):
                app.maintenance.beat()

    thread = threading.Thread(target=beat, name="beat", daemon=True)
    thread.start()
    try:
        yield
    finally:
        stop.set()
        thread.join()
        app.executor.pending.flush(app.executor.store)
        app.maintenance.registry.leave(app.maintenance.worker_id)
