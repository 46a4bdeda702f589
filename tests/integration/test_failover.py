"""PostgreSQL ends our connections, as at a failover: at every step of an engagement, directly and through a pooler.

The one rule: the sandbox's ledger and the rows agree in the end, and nothing happened twice.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Any, TypeVar
from urllib.parse import urlsplit

import psycopg2
import pytest

from adapters.postgres.connection import pool
from adapters.unipile.sandbox import Sandbox
from engagement_core.model.decision import Decision
from engagement_core.model.due import Due
from engagement_core.model.orphan import Orphan
from engagement_core.model.outcome import Dropped
from engagement_core.model.signal import Signal
from engagement_core.model.snapshot import Snapshot
from engagement_core.ports.activities import ActivityStore, StoreUnavailable
from engagement_core.use_cases.execute import Executor
from runners.bootstrap import open_app
from runners.process import working
from support.commands import execute
from support.servers import ServerUrls, fresh_database
from support.stage import Stage, stage_settings

T = TypeVar("T")

_END_THEM_ALL = """
SELECT count(pg_terminate_backend(pid, 5000)) FROM pg_stat_activity
 WHERE datname = current_database() AND pid <> pg_backend_pid() AND backend_type = 'client backend'
"""
_SIGNALS = (
    Signal.ACTIVITY_VALIDATED,
    Signal.COMMENT_PREPARED,
    Signal.CALL_STARTED,
    Signal.CALL_ENDED,
    Signal.DATABASE_UPDATED,
)
_STEPS = (
    *(signal.value for signal in _SIGNALS),
    *(f"in_transaction_{number}" for number in (1, 2, 3)),  # between the lock and the commit
    *(f"commit_lost_{number}" for number in (1, 2, 3)),  # applied, but nobody was told
)
_OF_COMMENTS = (Signal.COMMENT_PREPARED.value, "in_transaction_3", "commit_lost_3")


@dataclass
class _Failover:
    """Ends every connection once, when `step` comes; it is a listener and a wrapper of the store."""

    end_connections: Callable[[], object]
    store: ActivityStore
    step: str
    counts: dict[str, int] = field(default_factory=dict)
    happened: bool = False

    def passes(self, step: str) -> None:
        """The product has come to this step."""
        if step == self.step and not self.happened:
            self.happened = True
            self.end_connections()

    def count(self, what: str) -> str:
        """The name of the next step of this kind."""
        self.counts[what] = self.counts.get(what, 0) + 1
        return f"{what}_{self.counts[what]}"

    def emit(self, signal: Signal, **fields: object) -> None:
        """See `Telemetry`."""
        self.passes(signal.value)

    def change(
        self, activity_id: str, decide: Callable[[Snapshot], Decision[T]], *, crediting: tuple[str, ...] | None = None
    ) -> T:
        """See `ActivityStore`."""
        step = self.count("in_transaction")

        def decide_and_lose(snapshot: Snapshot) -> Decision[T]:
            decision = decide(snapshot)
            self.passes(step)
            return decision

        return self.store.change(activity_id, decide_and_lose, crediting=crediting)

    def submit(self, activity_id: str, decide: Callable[[Snapshot], Decision[T]]) -> Callable[[], T]:
        """See `ActivityStore`."""
        return partial(self.change, activity_id, decide)

    def due(self, **bounds: Any) -> tuple[Due, ...]:
        """See `ActivityStore`."""
        raise NotImplementedError

    def orphans(self, **bounds: Any) -> tuple[Orphan, ...]:
        """See `ActivityStore`."""
        raise NotImplementedError

    def unknowns(self, **bounds: Any) -> tuple[str, ...]:
        """See `ActivityStore`."""
        raise NotImplementedError


@dataclass
class House:
    """A database as the product reaches it, and as a person does who ends its connections."""

    url: str
    direct_url: str

    def end_connections(self) -> None:
        """As a failover does."""
        execute(self.direct_url, _END_THEM_ALL)


@pytest.fixture(params=["direct", "pooled"])
def house(request: pytest.FixtureRequest, direct_servers: ServerUrls, template_database: str) -> Iterator[House]:
    """Each way to the database."""
    with fresh_database(direct_servers.database_url, template_database) as direct_url:
        url = direct_url
        if request.param == "pooled":
            pooled_server_url: str = request.getfixturevalue("pooled_server_url")
            url = urlsplit(pooled_server_url)._replace(path=urlsplit(direct_url).path).geturl()
        yield House(url=url, direct_url=direct_url)


@pytest.mark.parametrize("kind", ["like", "comment"])
def test_connections_that_end_at_any_step_cost_no_engagement_and_double_none(
    house: House, kind: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """After the claim, before the request, after it, within each transaction, after each commit."""
    failover: _Failover | None = None

    class LossyCursor(psycopg2.extensions.cursor):
        """Loses the answer to a commit."""

        def execute(self, query: Any, parameters: Any = None) -> None:
            super().execute(query, parameters)
            if isinstance(query, bytes) and query.endswith(b"COMMIT") and failover is not None:
                step = failover.count("commit_lost")
                if step == failover.step:
                    failover.passes(step)
                    raise psycopg2.OperationalError("server closed the connection unexpectedly")

    monkeypatch.setitem(pool._CONNECT_OPTIONS, "cursor_factory", LossyCursor)
    with Sandbox() as sandbox:
        stage = Stage(stage_settings(house.url, sandbox), sandbox)
        stage.add_account(1)
        with open_app(stage.settings, worker_id="worker-1", telemetry=stage.telemetry) as app:
            app.maintenance.beat()
            for number, step in enumerate(_STEPS):
                activity_id = f"{kind}-{number}"
                stage.sql(
                    "INSERT INTO pod_activities (id, pod_id, engagement_type, post_id, comment_text, scheduled_for)"
                    " VALUES (%s, 'pod-1', %s, %s, %s, now())",
                    activity_id,
                    kind,
                    f"post-{number}",
                    "Hi!" if kind == "comment" else None,
                )
                failover = _Failover(end_connections=house.end_connections, store=app.executor.store, step=step)
                executor = replace(app.executor, store=failover, telemetry=failover)
                _execute_until_settled(executor, app.executor.store, activity_id)
                # A like has two transactions and no voice.
                assert failover.happened or (kind == "like" and step in _OF_COMMENTS), step
                failover = None
                posts = [effect["post_id"] for effect in sandbox.ledger()["effects"]]
                assert posts.count(f"post-{number}") == 1, step
        assert stage.statuses() == {"executed": len(_STEPS)}
        assert stage.sql("SELECT 1 FROM engagement_attempts WHERE phase IN ('claimed', 'sending', 'unknown')") == []


def _execute_until_settled(executor: Executor, store: ActivityStore, activity_id: str) -> None:
    """As a worker's rounds do it: what could not be written is written, then the activity is looked at again."""
    for _ in range(10):
        outcome = executor.execute(activity_id)
        executor.pending.flush(store)
        if isinstance(outcome, Dropped):
            return
    raise AssertionError(f"{activity_id} is not settled: {outcome}")


def test_a_connection_that_ends_while_it_waits_for_the_row_costs_nothing(house: House) -> None:
    """In the middle of a statement."""
    with Sandbox() as sandbox, ThreadPoolExecutor(1) as threads:
        stage = Stage(stage_settings(house.url, sandbox), sandbox)
        stage.add_account(1)
        stage.add_likes(1, 1)
        with open_app(stage.settings, worker_id="worker-1", telemetry=stage.telemetry) as app:
            app.maintenance.beat()
            with closing(psycopg2.connect(house.direct_url)) as other, other.cursor() as cursor:
                cursor.execute("SELECT 1 FROM pod_activities FOR NO KEY UPDATE")
                waiting = threads.submit(app.executor.execute, "like-1-1")
                blocked = "FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'"
                stage.until(lambda: execute(house.direct_url, f"SELECT 1 {blocked}") != [])
                execute(house.direct_url, f"SELECT pg_terminate_backend(pid, 5000) {blocked}")
                waiting.result(timeout=30)
            _execute_until_settled(app.executor, app.executor.store, "like-1-1")
        assert len(sandbox.ledger()["effects"]) == 1


def test_a_worker_outlives_many_failovers(house: House) -> None:
    """Every connection is ended again and again while sixty likes are due."""
    with Sandbox() as sandbox:
        stage = Stage(stage_settings(house.url, sandbox), sandbox)
        stage.add_account(1)
        stage.add_likes(1, 60, due_in=0.2, apart=0.03)
        quiet = threading.Event()
        with stage.working():
            for _ in range(12):
                quiet.wait(0.15)
                house.end_connections()
            stage.until(
                lambda: execute(house.direct_url, "SELECT 1 FROM pod_activities WHERE status <> 'executed'") == []
            )
        assert len(sandbox.ledger()["effects"]) == 60


def test_a_worker_that_ends_does_not_wait_for_a_database_that_is_away(house: House) -> None:
    """Each decision that waits for it would wait for as long as a connection may take."""
    tries: list[str] = []

    def away(*_: object, **__: object) -> None:
        raise StoreUnavailable("it is away")

    def tried(activity_id: str, *_: object, **__: object) -> None:
        tries.append(activity_id)
        away()

    with Sandbox() as sandbox:
        stage = Stage(stage_settings(house.url, sandbox), sandbox)
        with working(stage.settings, stage.telemetry) as (app, _):
            for number in range(3):
                app.executor.pending.add(f"like-{number}", lambda _: Decision(None))
            app.maintenance.registry.beat = away  # type: ignore[method-assign]
            app.executor.store.change = tried  # type: ignore[method-assign]
    assert tries == []
