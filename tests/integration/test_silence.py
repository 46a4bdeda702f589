"""A network that swallows bytes without a reset, for twenty seconds in the middle of work, on each leg of a worker.

The one rule: the sandbox's ledger judges, by its own times. What was sent twice, not at all, late or while nothing
could be known stands there.
"""

from __future__ import annotations

import subprocess
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from threading import Event
from typing import Any

import pytest

from adapters.rq.queue import RqQueue
from adapters.unipile.sandbox import Sandbox
from support.commands import execute, started
from support.silent_proxy import SilentProxy, before_database, before_http, before_redis

_SILENT_FOR = 20.0
_BEFORE = 10.0
_ACCOUNTS = 8
_APART = 0.125
_COUNT = 360
"""Likes and comments are due all the time: before the silence, during it, and some seconds longer."""
_DEAD = "gone-"
"""The provider refuses these posts: their activities become dead letters."""


@dataclass(frozen=True, kw_only=True)
class _Scene:
    """A worker as a process, the servers as they are, and what the test has seen of the time."""

    database_url: str
    sandbox: Sandbox
    worker: subprocess.Popen[str]
    log: Path

    def wait_until(self, holds: Callable[[], bool], patience: float) -> None:
        """Look every 50 ms."""
        end = time.monotonic() + patience
        while not holds():
            assert self.worker.poll() is None, self._tail()
            assert time.monotonic() < end, self._tail()
            Event().wait(0.05)

    def be_silent(self, proxy: SilentProxy) -> tuple[float, float]:
        """The silence in the middle of the work: when it began and when it was over, epoch seconds."""
        began = self.effects()[0]["received_at"]
        self.wait_until(lambda: self.effects()[-1]["received_at"] - began >= _BEFORE, 30)
        silent_at = time.time()
        proxy.silence()
        Event().wait(_SILENT_FOR)
        back_at = time.time()
        proxy.resume()
        return silent_at, back_at

    def effects(self) -> list[dict[str, Any]]:
        """What the provider has applied, in this order."""
        effects: list[dict[str, Any]] = self.sandbox.ledger()["effects"]
        return effects

    def wait_until_settled(self) -> None:
        """Every activity has ended."""
        self.wait_until(
            lambda: execute(self.database_url, "SELECT 1 FROM pod_activities WHERE status = 'scheduled'") == [], 60
        )

    def lateness(self, since: float, until: float) -> list[float]:
        """Seconds, in ascending order, of what was due between these instants (epoch)."""
        due = execute(
            self.database_url,
            "SELECT post_id, extract(epoch FROM scheduled_for)::float8 FROM pod_activities"
            " WHERE status = 'executed' AND scheduled_for BETWEEN to_timestamp(%s) AND to_timestamp(%s)",
            since,
            until,
        )
        received = {effect["post_id"]: effect["received_at"] for effect in self.effects()}
        return sorted(received[post_id] - at for post_id, at in due)

    def judge(self) -> None:
        """Nothing twice, nothing lost, nothing left open."""
        count = Counter(effect["post_id"] for effect in self.effects())
        assert [post_id for post_id, times in count.items() if times > 1] == []
        wrong = "SELECT post_id, status FROM pod_activities WHERE status <> %s AND post_id NOT LIKE %s"
        assert execute(self.database_url, wrong, "executed", f"{_DEAD}%") == []
        executed = "SELECT post_id FROM pod_activities WHERE status = 'executed'"
        assert {row[0] for row in execute(self.database_url, executed)} == set(count)
        open_attempts = "SELECT 1 FROM engagement_attempts WHERE phase IN ('claimed', 'sending', 'unknown')"
        assert execute(self.database_url, open_attempts) == []

    def _tail(self) -> str:
        return self.log.read_text()[-3000:]


def _add_work(database_url: str) -> None:
    execute(
        database_url,
        f"""
        INSERT INTO linkedin_accounts (id, profile_id, unipile_account_id)
        SELECT 'account-' || n, 'profile-' || n, 'unipile-' || n FROM generate_series(0, {_ACCOUNTS - 1}) n;
        INSERT INTO pods (id, linkedin_account_id)
        SELECT 'pod-' || n, 'account-' || n FROM generate_series(0, {_ACCOUNTS - 1}) n;
        INSERT INTO pod_activities (id, pod_id, engagement_type, post_id, comment_text, scheduled_for)
        SELECT 'activity-' || n, 'pod-' || n % {_ACCOUNTS}, CASE n % 2 WHEN 0 THEN 'like' ELSE 'comment' END,
               CASE n % 15 WHEN 0 THEN '{_DEAD}' ELSE 'post-' END || n, 'Comment number ' || n,
               clock_timestamp() + n * {_APART} * interval '1 second'
          FROM generate_series(1, {_COUNT}) n
        """,
    )


@contextmanager
def _scene(folder: Path, sandbox: Sandbox, database_url: str, **environ: str) -> Iterator[_Scene]:
    """`environ` says how the worker reaches the servers, where that is not direct."""
    refusal = {"match": {"post_id": f"{_DEAD}*"}, "action": "status", "status": 404}
    sandbox.set_faults([refusal])
    _add_work(database_url)
    variables = {
        "DATABASE_URL": database_url,
        "UNIPILE_API_KEY": "sandbox-key",
        "UNIPILE_BASE_URL": sandbox.url,
        "UNIPILE_API_VERSION": "v1",
        "POD_ENGAGEMENT_JOB_TIMEOUT": "5000",
        "POD_ENGAGEMENT_VISIBILITY_LAG_MS": "1000",
        "POD_ENGAGEMENT_ORPHAN_AFTER_MS": "3000",
        "POD_ENGAGEMENT_METRICS_PORT": "0",
        **environ,
    }
    log = folder / "worker.log"
    with log.open("w") as out, started("run", environ=variables, stdout=out, stderr=out, cwd=folder) as worker:
        scene = _Scene(database_url=database_url, sandbox=sandbox, worker=worker, log=log)
        scene.wait_until(lambda: bool(scene.effects()), 20)
        yield scene


@pytest.fixture
def sandbox() -> Iterator[Sandbox]:
    """The provider."""
    with Sandbox() as made:
        yield made


def test_a_silent_database_sends_nothing_twice_and_loses_nothing(
    tmp_path: Path, sandbox: Sandbox, database_url: str, redis_url: str
) -> None:
    """Nothing reaches the provider meanwhile, and ten seconds after its return the work goes on."""
    with (
        before_database(database_url) as proxy,
        _scene(tmp_path, sandbox, database_url, DATABASE_URL=proxy.url, REDIS_URL=redis_url) as scene,
    ):
        silent_at, back_at = scene.be_silent(proxy)
        scene.wait_until(lambda: scene.effects()[-1]["received_at"] > back_at, 10)
        scene.wait_until_settled()
        scene.judge()
        # What was under way had its intent committed before.
        meanwhile = [each for each in scene.effects() if silent_at + 1 < each["received_at"] < back_at]
        assert meanwhile == []


def test_a_silent_redis_delays_nothing(tmp_path: Path, sandbox: Sandbox, database_url: str, redis_url: str) -> None:
    """Every activity has a job, some become dead letters: no thread that executes waits for Redis."""
    with before_redis(redis_url) as proxy:
        queue = RqQueue(redis_url)
        with _scene(tmp_path, sandbox, database_url, REDIS_URL=proxy.url) as scene:
            for activity_id, at in execute(database_url, "SELECT id, scheduled_for FROM pod_activities"):
                queue.ring(activity_id, at)
            queue.close()
            silent_at, back_at = scene.be_silent(proxy)
            scene.wait_until_settled()
            scene.judge()
            lateness = scene.lateness(silent_at, back_at)
            assert len(lateness) > 100
            assert lateness[-1] < 1.5


def test_a_silent_provider_gets_nothing_twice_and_loses_nothing(
    tmp_path: Path, sandbox: Sandbox, database_url: str, redis_url: str
) -> None:
    """What it was sent meanwhile is read back; ten seconds after its return the work goes on."""
    with (
        before_http(sandbox.url) as proxy,
        _scene(tmp_path, sandbox, database_url, UNIPILE_BASE_URL=proxy.url, REDIS_URL=redis_url) as scene,
    ):
        _, back_at = scene.be_silent(proxy)
        scene.wait_until(lambda: scene.effects()[-1]["received_at"] > back_at, 10)
        scene.wait_until_settled()
        scene.judge()
