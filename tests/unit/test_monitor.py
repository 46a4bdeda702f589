"""The pages of a worker, with fakes: alive, ready, and what they show when a server is away."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime, timedelta, timezone

import pytest

from adapters.postgres.inspection.catalog import SchemaProblem
from adapters.telemetry.page_server import Page, PortTaken
from adapters.telemetry.prometheus import PrometheusTelemetry
from engagement_core.model.gauges import Gauges
from engagement_core.model.signal import Signal
from engagement_core.ports.activities import StoreUnavailable
from engagement_core.ports.queue import QueueUnavailable
from fakes.queue import InMemoryQueue
from fakes.telemetry import InMemoryTelemetry
from runners.settings import SettingsProblem
from runners.worker.endpoint import Monitor, Pages, Watched

NOW = datetime(2024, 3, 15, tzinfo=timezone.utc)
LEVELS = Gauges(
    due=3, runnable=2, oldest_due=timedelta(seconds=1), unknown=0, oldest_unknown=None, dead_letters=0, workers_alive=1
)


class AwayQueue(InMemoryQueue):
    """Redis is down."""

    def depth(self, *, at_most_old: timedelta = timedelta(0)) -> int:
        """See `Queue`."""
        raise QueueUnavailable("Redis at h:6379: refused")


@dataclass
class Scene:
    """A monitor whose pages can be read without a socket."""

    telemetry: InMemoryTelemetry = field(default_factory=InMemoryTelemetry)
    metrics: PrometheusTelemetry = field(default_factory=PrometheusTelemetry)
    queue: InMemoryQueue | None = field(default_factory=lambda: InMemoryQueue(now=lambda: NOW))
    gauges: Callable[[], Gauges] = lambda: LEVELS
    problems: tuple[str, ...] = ()
    is_draining: bool = False
    now: float = 0.0
    taken: int = 0
    pages: Pages = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.looked = threading.Event()
        self.monitor = Monitor(
            address="h:9464",
            listen=self._listen,  # type: ignore[arg-type] # the pages are all that is wanted of a server
            metrics=self.metrics,
            telemetry=self.telemetry,
            now=lambda: self.now,
        )

    def _listen(self, pages: Pages) -> Scene:
        if self.taken:
            self.taken -= 1
            raise PortTaken(98, "taken")
        self.pages = pages
        return self

    def close(self) -> None:
        """As a server has it."""

    def read(self) -> Gauges:
        """As a reader has it."""
        try:
            return self.gauges()
        finally:
            self.looked.set()

    @contextmanager
    def watching(self) -> Iterator[None]:
        """Watch, and wait for the first reading."""
        watched = Watched(
            gauges=self,
            queue=self.queue,
            breaker_state=lambda: "closed",
            problems=lambda: self.problems,
            is_draining=lambda: self.is_draining,
        )
        with self.monitor.watching(watched):
            assert self.looked.wait(10)
            while b"not checked yet" in self.page("/readyz").body:
                threading.Event().wait(0.001)
            yield

    def page(self, path: str) -> Page:
        """The answer."""
        return self.pages[path]()

    def told(self, path: str) -> tuple[int, dict[str, object]]:
        """Its status and its parsed JSON."""
        page = self.page(path)
        return page.status, json.loads(page.body)


def raising(error: Exception) -> Callable[[], Gauges]:
    """A reader that fails."""

    def look() -> Gauges:
        raise error

    return look


def test_worker_whose_threads_move_is_alive_and_ready() -> None:
    """Its metrics show what the database reported."""
    scene = Scene()
    with scene.monitor, scene.watching():
        assert scene.told("/healthz") == (200, {"alive": True, "problems": []})
        assert scene.told("/readyz") == (
            200,
            {"ready": True, "checks": {"postgresql": "ok", "schema": "ok", "redis": "ok"}},
        )
        assert b"engagement_due 3.0" in scene.page("/metrics").body


def test_worker_that_is_stuck_is_not_alive_and_says_why() -> None:
    """A supervisor can restart it, and its log has the reason."""
    scene = Scene(problems=("the periodic task beat is stuck: running for 200 s, limit 180 s",))
    with scene.monitor, scene.watching():
        assert scene.told("/healthz") == (503, {"alive": False, "problems": list(scene.problems)})


def test_worker_without_its_database_is_alive_but_not_ready() -> None:
    """A restart would not help. An unknown value is not shown as zero."""
    scene = Scene(gauges=raising(StoreUnavailable("PostgreSQL: refused")))
    with scene.monitor, scene.watching():
        assert scene.told("/healthz")[0] == 200
        status, told = scene.told("/readyz")
        assert (status, told["ready"]) == (503, False)
        assert told["checks"] == {"postgresql": "PostgreSQL: refused", "schema": "cannot be checked", "redis": "ok"}
        assert b"engagement_due NaN" in scene.page("/metrics").body


def test_worker_with_an_old_schema_is_not_ready_and_says_what_is_missing() -> None:
    """For example after somebody restored an older schema."""
    scene = Scene(gauges=raising(SchemaProblem("table pods is missing. Run `engagement migrate`.")))
    with scene.monitor, scene.watching():
        status, told = scene.told("/readyz")
        assert status == 503
        assert told["checks"] == {
            "postgresql": "ok",
            "schema": "table pods is missing. Run `engagement migrate`.",
            "redis": "ok",
        }


def test_worker_without_redis_is_ready_and_says_that_it_is_degraded() -> None:
    """The sweep finds everything."""
    scene = Scene(queue=AwayQueue(now=lambda: NOW))
    with scene.monitor, scene.watching():
        status, told = scene.told("/readyz")
        assert (status, told["ready"]) == (200, True)
        assert told["checks"] == {
            "postgresql": "ok",
            "schema": "ok",
            "redis": "degraded: Redis at h:6379: refused",
        }
        assert b"engagement_queue_depth NaN" in scene.page("/metrics").body


def test_worker_without_a_queue_is_ready_and_has_no_check_of_redis() -> None:
    """There is nothing to be degraded."""
    scene = Scene(queue=None)
    with scene.monitor, scene.watching():
        assert scene.told("/readyz") == (200, {"ready": True, "checks": {"postgresql": "ok", "schema": "ok"}})
        assert b"engagement_queue_depth NaN" in scene.page("/metrics").body


def test_worker_that_drains_takes_no_traffic_and_is_alive() -> None:
    """Also when no new facts are read any more."""
    scene = Scene()
    with scene.monitor:
        with scene.watching():
            pass
        scene.is_draining = True
        assert scene.told("/readyz")[0] == 503
        assert scene.told("/healthz")[0] == 200


def test_look_that_is_old_says_nothing() -> None:
    """A task that hangs must not look like a database that works."""
    scene = Scene()
    with scene.monitor, scene.watching():
        scene.now += 36
        status, told = scene.told("/readyz")
        assert status == 503
        assert "nothing was checked for 36 s" in str(told)


def test_pages_are_there_before_there_is_anything_to_show() -> None:
    """The worker is alive, and not ready."""
    scene = Scene()
    with scene.monitor:
        assert (scene.told("/healthz")[0], scene.told("/readyz")[0]) == (200, 503)
        assert b"engagement_workers_alive NaN" in scene.page("/metrics").body


def test_page_of_metrics_is_made_once_a_second_at_most() -> None:
    """Many scrapes cost as much as one."""
    scene = Scene()
    with scene.monitor, scene.watching():
        before = scene.page("/metrics").body
        scene.metrics.emit(Signal.ERROR_CLASSIFIED, error_type="api_error")
        assert scene.page("/metrics").body == before
        scene.now += 1
        assert b'engagement_errors_total{error_type="api_error"} 1.0' in scene.page("/metrics").body


def test_port_that_is_taken_is_a_warning_and_is_had_when_it_is_free() -> None:
    """The second worker of a machine works. The warning names the variable, once."""
    scene = Scene(taken=1)
    with scene.monitor:
        assert scene.pages == {}
        with scene.watching():
            assert scene.pages
    (warning,) = scene.telemetry.fields_of(Signal.METRICS_UNAVAILABLE)
    assert str(warning["message"]).startswith("POD_ENGAGEMENT_METRICS_PORT: h:9464 is taken")
    assert scene.telemetry.fields_of(Signal.METRICS_SERVED) == [{"address": "http://h:9464/metrics"}]


def test_address_that_cannot_be_listened_on_is_a_wrong_setting() -> None:
    """It names both variables."""

    def refuse(_: Pages) -> None:
        raise PermissionError(13, "Permission denied")

    monitor = Monitor(
        address="h:80",
        listen=refuse,  # type: ignore[arg-type]
        metrics=PrometheusTelemetry(),
        telemetry=InMemoryTelemetry(),
    )
    with pytest.raises(
        SettingsProblem, match=r"METRICS_HOST, POD_ENGAGEMENT_METRICS_PORT: .*h:80 \(Permission denied\)"
    ):
        monitor.__enter__()
