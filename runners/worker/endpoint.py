"""What a worker shows of itself: metrics, whether it is alive, whether it is ready.

The one rule: showing costs the work nothing. A round of its own looks every ten seconds; a page is made of what that
round has seen, so that nobody who asks, however often or slowly, reaches the database or a thread that executes.
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
_OLD = 35.0
"""Seconds after which what was seen says nothing: three looks were missed."""
_FRESH = 1.0
"""Seconds for which a page of metrics is shown again: no number of scrapers makes it cost more."""
_PATIENCE = 2.0
_OK, _NOT_YET = "ok", "not looked at yet"
_STATUS_OK, _STATUS_UNAVAILABLE = 200, 503


@dataclass(frozen=True, kw_only=True)
class Watched:
    """What is shown. `problems` says what is stuck, `is_draining` that no new work is taken."""

    gauges: GaugesReader
    queue: Queue
    breaker_state: Callable[[], str]
    problems: Callable[[], tuple[str, ...]]
    is_draining: Callable[[], bool]


class Monitor:
    """Listens while its `with` block lasts, and tells of a worker from `watch` on."""

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
            listen: makes the server; raises `OSError` and `PortTaken` as that does.
            metrics: what is shown.
            telemetry: told whether it is.
            now: seconds; for how old a look is.
        """
        self._address = address
        self._listen = listen
        self._metrics = metrics
        self._telemetry = telemetry
        self._now = now
        self._server: PageServer | None = None
        self._watched: Watched | None = None
        self._checks = {"postgresql": _NOT_YET, "schema": _NOT_YET, "redis": _NOT_YET}
        self._looked_at = now()
        self._rendering = threading.Lock()
        self._rendered, self._stale_at = b"", -math.inf
        self._watchdog = Watchdog()
        self._periodic_tasks = PeriodicTasks(telemetry=telemetry, outages=Outages(telemetry), watchdog=self._watchdog)

    def __enter__(self) -> Monitor:
        """Listen.

        Raises:
            SettingsProblem: it can never be listened there. A port that is taken is tried again: the next worker on the
                same machine works all the same.
        """
        try:
            self._open()
        except OSError as error:
            raise SettingsProblem(
                f"POD_ENGAGEMENT_METRICS_HOST, POD_ENGAGEMENT_METRICS_PORT: cannot listen on {self._address}"
                f" ({(error.strerror or str(error)).partition(' (')[0]}); 0 as the port turns metrics off"
            ) from error
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        if self._server is not None:
            self._server.close()

    @contextmanager
    def watching(self, watched: Watched) -> Iterator[None]:
        """Look at this inside of the block; what was seen last is shown after it, while the worker drains."""
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
            message=f"POD_ENGAGEMENT_METRICS_PORT: {self._address} is taken, by another worker perhaps. Metrics and"
            " health are served there as soon as it is free; set another port to have them now, or 0 to do without.",
        )

    def _look(self, watched: Watched) -> None:
        checks = {"postgresql": _OK, "schema": _OK, "redis": _OK}
        gauges = depth = None
        try:
            gauges = watched.gauges.read()
        except SchemaProblem as error:
            checks["schema"] = str(error)
        except StoreUnavailable as error:
            checks |= {"postgresql": str(error), "schema": "cannot be looked at"}
        try:
            depth = watched.queue.depth()
        except QueueUnavailable as error:
            checks["redis"] = f"degraded: {error}"
        self._metrics.show_levels(gauges)
        self._metrics.show_queue_depth(depth)
        self._checks, self._looked_at = checks, self._now()

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
            checks["monitor"] = f"nothing was looked at for {age:.0f} s"
        if self._watched is not None and self._watched.is_draining():
            checks["worker"] = "it is draining"
        # Without Redis everything is executed all the same, found by the sweep.
        is_ready = all(said == _OK for name, said in checks.items() if name != "redis")
        return _as_json({"ready": is_ready, "checks": checks}, is_good=is_ready)


def _as_json(content: dict[str, Any], *, is_good: bool) -> Page:
    return Page(body=json.dumps(content).encode() + b"\n", status=_STATUS_OK if is_good else _STATUS_UNAVAILABLE)
