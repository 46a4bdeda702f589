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
from dataclasses import dataclass, field
from pathlib import Path

from adapters.embedded import EmbeddedServers
from adapters.postgres.connection.pool import PostgresPool
from adapters.postgres.demo.trial import PostgresTrial
from adapters.postgres.schema.migrate import migrate
from adapters.postgres.store.intake import PostgresIntake
from adapters.rq.trial import RedisTrial
from engagement_core.model.new_activity import NewActivity
from runners.bench.failure import BenchFailed
from runners.bench.process import Process
from runners.bench.provider import Provider, provider
from runners.bench.usage import Usage, UsageMeter
from runners.bench.workload import PODS
from runners.bootstrap import build_queue
from runners.settings import Settings

__all__ = ["Stage", "staged"]

_LOOK_EVERY = 0.05
_READ_EVERY = 10
"""Connections and memory are read at every tenth check only, because that costs more."""


@dataclass(frozen=True, kw_only=True)
class Stage:
    """Running servers with pods and no activities."""

    settings: Settings
    folder: Path
    provider: Provider
    database: PostgresTrial
    redis: RedisTrial
    intake: PostgresIntake
    _numbers: Iterator[int] = field(default_factory=itertools.count)

    def clear(self) -> None:
        """Remove what the previous measurement has left: rows, jobs, the ledger and the faults."""
        self.database.empty()
        self.redis.empty()
        self.provider.forget()

    def schedule(self, planned: Iterable[NewActivity], *, ring: bool = True) -> None:
        """Add rows; with `ring`, also ring for them as E-04 would."""
        planned = tuple(planned)
        self.intake.add(planned)
        self.database.analyze()
        if not ring:
            return
        with closing(build_queue(self.settings)) as queue:
            for each in planned:
                queue.ring(each.id, each.scheduled_for)

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
        """The variables that a worker needs. Every other setting has its default."""
        return {
            "DATABASE_URL": str(self.settings.database_url),
            "REDIS_URL": str(self.settings.redis_url),
            "UNIPILE_API_KEY": str(self.settings.unipile_api_key),
            "UNIPILE_BASE_URL": self.settings.unipile_base_url,
            "UNIPILE_API_VERSION": self.settings.unipile_api_version,
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
        urls = stack.enter_context(EmbeddedServers(folder / "servers"))
        sandbox = stack.enter_context(provider(folder))
        migrate(urls.database_url)
        pool = stack.enter_context(closing(PostgresPool(urls.database_url, size=1)))
        database = PostgresTrial(pool)
        database.add_pods(PODS)
        yield Stage(
            settings=Settings(
                database_url=urls.database_url,
                redis_url=urls.redis_url,
                unipile_api_key="bench-key",
                unipile_base_url=sandbox.url,
                unipile_api_version="v1",
            ),
            folder=folder,
            provider=sandbox,
            database=database,
            redis=stack.enter_context(closing(RedisTrial(str(urls.redis_url)))),
            intake=PostgresIntake(pool),
        )
