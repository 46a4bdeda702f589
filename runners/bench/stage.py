"""Starts what the bench needs: embedded servers, the sandbox, and workers as processes, all in one temporary folder.

The one rule: the bench uses only what it has started itself, and removes it afterwards. It never touches another
database.
"""

from __future__ import annotations

import itertools
import tempfile
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import ExitStack, closing, contextmanager
from pathlib import Path

from adapters.embedded import EmbeddedServers, EmbeddedUrls
from adapters.postgres.demo.trial import PostgresTrial
from adapters.rq.trial import RedisTrial
from engagement_core.model.new_activity import NewActivity
from runners.bench.delay_proxy import at_port, delay_proxy
from runners.bench.failure import BenchFailed
from runners.bench.first_day import FirstDay
from runners.bench.process import Process
from runners.bench.provider import Provider, provider
from runners.bench.usage import Usage, UsageMeter
from runners.bootstrap import build_queue
from runners.settings import Settings

__all__ = ["Stage", "staged"]

_LOOK_EVERY = 0.05
_READ_EVERY = 10
"""Connections and memory are read at every tenth check only, because that costs more."""


class Stage:
    """Running servers with pods and no activities."""

    def __init__(self, *, urls: EmbeddedUrls, folder: Path, provider: Provider, redis: RedisTrial) -> None:
        self.folder = folder
        self.provider = provider
        self.redis = redis
        self._urls = urls
        self._numbers = itertools.count(1)
        self._day: FirstDay | None = None
        self._far_port: int | None = None

    @property
    def day(self) -> FirstDay:
        """The database of the present measurement."""
        if self._day is None:
            self._day = FirstDay(self._urls.database_url, next(self._numbers))
        return self._day

    @property
    def database(self) -> PostgresTrial:
        """Reads the present database."""
        return self.day.trial

    def clear(self) -> None:
        """Begin a new measurement: a new database, no jobs, an empty ledger, no faults."""
        self.close()
        self.redis.empty()
        self.provider.forget()

    def close(self) -> None:
        """Drop the present database."""
        day, self._day = self._day, None
        if day is not None:
            day.close()

    @contextmanager
    def far(self, ms: float) -> Iterator[None]:
        """Until the end of the `with` block, workers reach the database over a way of `ms` milliseconds each way."""
        with delay_proxy(self._urls.database_url, ms, log=self.folder / "delay-proxy.log") as port:
            self._far_port = port
            try:
                yield
            finally:
                self._far_port = None

    def schedule(self, planned: Iterable[NewActivity], *, ring: bool = True) -> None:
        """Add rows; with `ring`, also ring for them as E-04 would."""
        planned = tuple(planned)
        self.day.intake.add(planned)
        if not ring:
            return
        with closing(build_queue(self.settings)) as queue:
            for each in planned:
                queue.ring(each.id, each.scheduled_for)

    @property
    def settings(self) -> Settings:
        """The settings of a worker. Every other setting has its default."""
        url = self.day.url
        return Settings(
            database_url=url if self._far_port is None else at_port(url, self._far_port),
            redis_url=self._urls.redis_url,
            unipile_api_key="bench-key",
            unipile_base_url=self.provider.url,
            unipile_api_version="v1",
        )

    @contextmanager
    def worker(self, concurrency: int, **environment: str) -> Iterator[Process]:
        """`engagement run`, once it has started. It is killed at the end of the `with` block if it still runs."""
        log = self.folder / f"worker-{next(self._numbers)}.log"
        with Process.of_engagement(
            "run", "--concurrency", str(concurrency), log=log, environment={**self.environment(), **environment}
        ) as process:
            process.wait_until_it_says("worker_started")
            yield process

    def environment(self) -> dict[str, str]:
        """The settings as a worker's variables."""
        settings = self.settings
        return {
            "DATABASE_URL": str(settings.database_url),
            "REDIS_URL": str(settings.redis_url),
            "UNIPILE_API_KEY": str(settings.unipile_api_key),
            "UNIPILE_BASE_URL": settings.unipile_base_url,
            "UNIPILE_API_VERSION": settings.unipile_api_version,
        }

    def meter(self, *processes: Process) -> UsageMeter:
        """Measures what these processes use from now on."""
        return UsageMeter([each.pid for each in processes], database=self.database, redis=self.redis)

    def work_off(self, *processes: Process, patience: float) -> Usage:
        """Wait until no activity is scheduled any more. Returns what the processes used.

        Raises:
            BenchFailed: a process ended, or `patience` seconds were not enough.
        """
        meter = self.meter(*processes)
        looks = itertools.count(1)

        def is_done() -> bool:
            for each in processes:
                each.insist_that_it_runs()
            if next(looks) % _READ_EVERY == 0:
                meter.read()
            return self.database.is_settled()

        wait_until(is_done, patience, "the activities were not executed")
        return meter.total()


def wait_until(is_done: Callable[[], bool], patience: float, failing: str, every: float = _LOOK_EVERY) -> None:
    """Check `is_done` every `every` seconds until it is true.

    Raises:
        BenchFailed: `patience` seconds were not enough; the message begins with `failing`.
    """
    give_up_at = time.monotonic() + patience
    while not is_done():
        if time.monotonic() > give_up_at:
            raise BenchFailed(f"{failing} within {patience:.0f} s")
        time.sleep(every)


@contextmanager
def staged() -> Iterator[Stage]:
    """Start everything; stop it at the end of the `with` block.

    Raises:
        EmbeddedServersFailed, BenchFailed: something does not start.
    """
    with ExitStack() as stack:
        prefix = "engagement-bench-"
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix=prefix, ignore_cleanup_errors=True)))
        urls = stack.enter_context(EmbeddedServers(folder / "servers", tcp=True))
        stage = Stage(
            urls=urls,
            folder=folder,
            provider=stack.enter_context(provider(folder)),
            redis=stack.enter_context(closing(RedisTrial(str(urls.redis_url)))),
        )
        stack.enter_context(closing(stage))
        yield stage
