"""Serves a worker's metrics, and whether it is alive and ready.

The one rule: a request for a page costs the work nothing. A periodic task reads the facts every ten seconds, and every
page is made of these. So no client, however often it asks or slowly it reads, reaches the database or a thread that
executes.
"""

from __future__ import annotations

import json
import math
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta
from types import TracebackType
from typing import Any

from adapters.postgres.inspection.catalog import SchemaProblem
from adapters.telemetry.page_server import Page, PageServer, PortTaken
from adapters.telemetry.prometheus import CONTENT_TYPE, PrometheusTelemetry
from engagement_core.model.signal import Signal
from engagement_core.ports.activities import StoreUnavailable
from engagement_core.ports.gauges import GaugesReader
from engagement_core.ports.queue import Queue, QueueUnavailable
from engagement_core.ports.telemetry import Telemetry
from runners.settings import SettingsProblem
from runners.worker.periodic import Outages, PeriodicTask, PeriodicTasks
from runners.worker.watchdog import Watchdog

__all__ = ["Monitor", "Pages", "Watched"]

Pages = Mapping[str, Callable[[], Page]]

_EVERY = timedelta(seconds=10)
_RECENT = timedelta(seconds=15)
"""The queue is looked at anyway, and more often than this."""
_OLD = 35.0
"""Seconds after which the facts are too old to use: three readings were missed."""
_FRESH = 1.0
"""Seconds for which the same page of metrics is served: more scrapers do not cost more."""
_PATIENCE = 2.0
_OK, _NOT_YET = "ok", "not checked yet"
_STATUS_OK, _STATUS_UNAVAILABLE = 200, 503


@dataclass(frozen=True, kw_only=True)
class Watched:
    """What the pages show. `queue` is None if there is none. `problems` says what is stuck; `is_draining`, whether the
    worker claims nothing new."""

    gauges: GaugesReader
    queue: Queue | None
    breaker_state: Callable[[], str]
    problems: Callable[[], tuple[str, ...]]
    is_draining: Callable[[], bool]


class Monitor:
    """Listens while its `with` block lasts, and shows a worker from `watching` on."""

    def __init__(
        self,
        *,
        address: str,
        listen: Callable[[Pages], PageServer],
        metrics: PrometheusTelemetry,
        telemetry: Telemetry,
        now: Callable[[], float] = time.monotonic,
    ) -> None:
        """
        Args:
            address: host and port, for messages.
            listen: creates the server; raises `OSError` and `PortTaken` as the server does.
            metrics: what `/metrics` shows.
            telemetry: learns whether the pages are served.
            now: seconds; measures the age of a reading.
        """
        self._address = address
        self._listen = listen
        self._metrics = metrics
        self._telemetry = telemetry
        self._now = now
        self._server: PageServer | None = None
        self._watched: Watched | None = None
        self._checks = {"postgresql": _NOT_YET, "schema": _NOT_YET}
        self._looked_at = now()
        self._rendering = threading.Lock()
        self._rendered, self._stale_at = b"", -math.inf
        self._watchdog = Watchdog()
        self._periodic_tasks = PeriodicTasks(telemetry=telemetry, outages=Outages(telemetry), watchdog=self._watchdog)

    def __enter__(self) -> Monitor:
        """Listen.

        Raises:
            SettingsProblem: nobody can ever listen there. A port that is taken raises nothing and is tried again: a
                second worker on the same machine works without it.
        """
        try:
            self._open()
        except OSError as error:
            raise SettingsProblem(
                f"POD_ENGAGEMENT_METRICS_HOST, POD_ENGAGEMENT_METRICS_PORT: cannot listen on {self._address}"
                f" ({(error.strerror or str(error)).partition(' (')[0]}); port 0 turns metrics off"
            ) from error
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        if self._server is not None:
            self._server.close()

    @contextmanager
    def watching(self, watched: Watched) -> Iterator[None]:
        """Read the facts regularly inside the block. After it, while the worker drains, the last facts are shown."""
        self._watched = watched
        self._metrics.show_breaker(watched.breaker_state)
        self._tell_address()
        self._periodic_tasks.start((PeriodicTask(name="monitor", do=self._turn, needs=None),))
        try:
            yield
        finally:
            self._periodic_tasks.stop(_PATIENCE)

    def _open(self) -> bool:
        pages: Pages = {"/metrics": self._metrics_page, "/healthz": self._health_page, "/readyz": self._ready_page}
        try:
            self._server = self._listen(pages)
        except PortTaken:
            return False
        return True

    def _turn(self) -> timedelta:
        if self._server is None and self._open():
            self._tell_address()
        if self._watched is not None:
            self._look(self._watched)
        return _EVERY

    def _tell_address(self) -> None:
        if self._server is not None:
            self._telemetry.emit(Signal.METRICS_SERVED, address=f"http://{self._address}/metrics")
            return
        self._telemetry.emit(
            Signal.METRICS_UNAVAILABLE,
            message=f"POD_ENGAGEMENT_METRICS_PORT: {self._address} is taken, perhaps by another worker. Metrics and"
            " health are served there when it is free. To have them now, set another port; to turn them off, set 0.",
        )

    def _look(self, watched: Watched) -> None:
        checks = {"postgresql": _OK, "schema": _OK}
        gauges = None
        try:
            gauges = watched.gauges.read()
        except SchemaProblem as error:
            checks["schema"] = str(error)
        except StoreUnavailable as error:
            checks |= {"postgresql": str(error), "schema": "cannot be checked"}
        self._metrics.show_levels(gauges)
        if watched.queue is not None:
            checks["redis"] = self._look_at_queue(watched.queue)
        self._checks, self._looked_at = checks, self._now()

    def _look_at_queue(self, queue: Queue) -> str:
        """What the page says of it."""
        try:
            self._metrics.show_queue_depth(queue.depth(at_most_old=_RECENT))
        except QueueUnavailable as error:
            self._metrics.show_queue_depth(None)
            return f"degraded: {error}"
        return _OK

    def _metrics_page(self) -> Page:
        with self._rendering:
            if self._now() >= self._stale_at:
                self._rendered, self._stale_at = self._metrics.page(), self._now() + _FRESH
            return Page(body=self._rendered, content_type=CONTENT_TYPE)

    def _health_page(self) -> Page:
        watched = self._watched
        problems = (*self._watchdog.problems(), *(watched.problems() if watched is not None else ()))
        return _as_json({"alive": not problems, "problems": problems}, is_good=not problems)

    def _ready_page(self) -> Page:
        checks = dict(self._checks)
        age = self._now() - self._looked_at
        if age > _OLD:
            checks["monitor"] = f"nothing was checked for {age:.0f} s"
        if self._watched is not None and self._watched.is_draining():
            checks["worker"] = "the worker is draining"
        # Without Redis the worker is still ready: the sweep finds everything.
        is_ready = all(said == _OK for name, said in checks.items() if name != "redis")
        return _as_json({"ready": is_ready, "checks": checks}, is_good=is_ready)


def _as_json(content: dict[str, Any], *, is_good: bool) -> Page:
    return Page(body=json.dumps(content).encode() + b"\n", status=_STATUS_OK if is_good else _STATUS_UNAVAILABLE)
