"""A worker in the test's own process between a real PostgreSQL and the sandbox, so that its steps can be waited for.

The one rule: nothing is told to the product that its settings could not say, but for times that are too long for tests.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from datetime import timedelta
from functools import partial
from itertools import count, pairwise
from typing import Any

from adapters.postgres.connection.pool import PostgresPool
from adapters.postgres.store.activities import PostgresActivityStore
from adapters.unipile.sandbox import Sandbox
from engagement_core.decisions.account_recovery import HealthPolicy
from engagement_core.model.signal import Signal
from fakes.telemetry import InMemoryTelemetry
from runners.bootstrap import App, build_worker, open_app
from runners.settings import Settings
from runners.worker.worker import Worker
from support.commands import execute

__all__ = ["Stage", "stage_settings"]

_NOWHERE = "redis://127.0.0.1:1/0"
"""No doorbell: the sweep finds everything."""


def stage_settings(database_url: str, sandbox: Sandbox, **changes: Any) -> Settings:
    """v1, five threads, and short times."""
    settings = Settings(
        database_url=database_url,
        redis_url=_NOWHERE,
        unipile_api_key="key",
        unipile_base_url=sandbox.url,
        unipile_api_version="v1",
        job_timeout=timedelta(seconds=5),
        visibility_lag=timedelta(milliseconds=200),
        poll_interval=timedelta(seconds=1),
    )
    return replace(settings, **changes)


@dataclass
class Stage:
    """Where an engagement happens. `spacing` is the pace of an account that comes back."""

    settings: Settings
    sandbox: Sandbox
    spacing: timedelta = timedelta(milliseconds=20)
    health: HealthPolicy = field(default_factory=HealthPolicy)
    telemetry: InMemoryTelemetry = field(default_factory=InMemoryTelemetry)
    _numbers: Iterator[int] = field(default_factory=partial(count, 1), init=False, repr=False)

    def sql(self, statement: str, *parameters: Any) -> list[tuple[Any, ...]]:
        """One statement, on a connection of its own."""
        return execute(str(self.settings.database_url), statement, *parameters)

    def add_account(self, number: int, **columns: Any) -> None:
        """Account `account-N` of `pod-N`, which the provider calls `unipile-N`, with the token `token-N`."""
        self.sql("INSERT INTO pods VALUES (%s, NULL, %s)", f"pod-{number}", f"account-{number}")
        given = {
            "id": f"account-{number}",
            "unipile_account_id": f"unipile-{number}",
            "access_token": f"token-{number}",
            **columns,
        }
        places = ", ".join(["%s"] * len(given))
        self.sql(f"INSERT INTO linkedin_accounts ({', '.join(given)}) VALUES ({places})", *given.values())

    def add_likes(self, number: int, count: int, *, due_in: float = 0.0, apart: float = 0.0) -> None:
        """Likes `like-N-1` and so on of `account-N`, each of a post of its own."""
        self.sql(
            "INSERT INTO pod_activities (id, pod_id, engagement_type, post_id, scheduled_for)"
            " SELECT format('like-%%s-%%s', %s, n), %s, 'like', format('post-%%s-%%s', %s, n),"
            " clock_timestamp() + (%s + n * %s) * interval '1 second' FROM generate_series(1, %s) n",
            number,
            f"pod-{number}",
            number,
            due_in,
            apart,
            count,
        )

    @contextmanager
    def app(self) -> Iterator[App]:
        """The wired application, with this stage's times."""
        # Another process is another worker: two of one name would give their attempts the same tokens.
        worker_id = f"worker-{next(self._numbers)}"
        with open_app(self.settings, worker_id=worker_id, telemetry=self.telemetry) as app:
            pool = PostgresPool(str(self.settings.database_url), size=10)
            store = PostgresActivityStore(pool, spacing=self.spacing)
            reconciler = replace(app.maintenance.reconciler, store=store)
            care = replace(app.maintenance.care, policy=self.health)
            maintenance = replace(app.maintenance, store=store, reconciler=reconciler, care=care)
            maintenance.beat()
            try:
                yield replace(app, executor=replace(app.executor, store=store), maintenance=maintenance)
            finally:
                pool.close()

    @contextmanager
    def working(self) -> Iterator[App]:
        """A worker that works, and is drained in the end."""
        with self.app() as app, self.worker(app):
            yield app

    @contextmanager
    def worker(self, app: App) -> Iterator[Worker]:
        """One that works for `app`, can be looked into, and is drained in the end."""
        worker = build_worker(app, self.settings)
        worker.start()
        try:
            yield worker
        finally:
            worker.drain(timedelta(seconds=10))

    def wait_for(self, signal: Signal, count: int, patience: float = 40.0) -> None:
        """Block until something was told so often."""
        assert self.telemetry.wait_for(lambda told: sum(each.signal is signal for each in told) >= count, patience), (
            f"{signal} did not come {count} times: {self.telemetry.told[-10:]}"
        )

    def until(self, holds: Callable[[], bool], patience: float = 20.0) -> None:
        """Block until the database says so."""
        end = time.monotonic() + patience
        while not holds():
            assert time.monotonic() < end, "it did not happen"
            time.sleep(0.02)

    def statuses(self) -> dict[str, int]:
        """How many activities have which public status."""
        return dict(self.sql("SELECT status, count(*) FROM pod_activities GROUP BY 1"))

    def distances(self, account_id: str, since: float) -> list[float]:
        """Between the account's sends, in seconds, of those that began after an instant (epoch)."""
        rows = self.sql(
            "SELECT extract(epoch FROM began_at)::float8 FROM engagement_attempts"
            " WHERE account_id = %s AND event <> 'release' AND began_at >= to_timestamp(%s) ORDER BY began_at",
            account_id,
            since,
        )
        begun = [row[0] for row in rows]
        return [later - sooner for sooner, later in pairwise(begun)]
