"""A small world for acceptance: real servers, the simulated provider, and the product as a process."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import psycopg2
import pytest

from adapters.unipile.sandbox import Sandbox
from support.commands import execute

_PATIENCE = 20.0


@dataclass
class World:
    """One database, one Redis (or none), one provider, any number of workers."""

    database_url: str
    redis_url: str | None
    sandbox: Sandbox
    folder: Path
    processes: list[subprocess.Popen[str]] = field(default_factory=list)

    def environment(self, **more: str) -> dict[str, str]:
        """What a user would set."""
        return {
            "PATH": os.environ["PATH"],
            "DATABASE_URL": self.database_url,
            **({} if self.redis_url is None else {"REDIS_URL": self.redis_url}),
            "UNIPILE_API_KEY": "the-api-key",
            "UNIPILE_BASE_URL": self.sandbox.url,
            **more,
        }

    def engagement(self, *arguments: str, **more: str) -> subprocess.CompletedProcess[str]:
        """Run a command to its end."""
        return self.python("-m", "runners", *arguments, **more)

    def python(self, *arguments: str, **more: str) -> subprocess.CompletedProcess[str]:
        """Run this Python to its end, in the environment of a user."""
        return subprocess.run(
            [sys.executable, *arguments],
            env=self.environment(**more),
            cwd=self.folder,
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )

    def start_worker(self, **more: str) -> subprocess.Popen[str]:
        """`engagement run`, in the background; returns when it has started to work."""
        log = self.folder / f"worker-{len(self.processes)}.log"
        with log.open("w") as out:
            process = subprocess.Popen(
                [sys.executable, "-m", "runners", "run"],
                env=self.environment(**more),
                cwd=self.folder,
                stdout=out,
                stderr=out,
                text=True,
            )
        self.processes.append(process)
        self.until(lambda: "worker_started" in log.read_text() or process.poll() is not None)
        assert process.poll() is None, log.read_text()
        return process

    def stop(self, process: subprocess.Popen[str]) -> int:
        """SIGTERM, and its exit code."""
        process.send_signal(signal.SIGTERM)
        return process.wait(timeout=40)

    def sql(self, statement: str, *parameters: Any) -> list[tuple[Any, ...]]:
        """Bare SQL, as another service would send it."""
        return execute(self.database_url, statement, *parameters)

    def activity(self, activity_id: str) -> dict[str, Any]:
        """One row of `pod_activities`."""
        with closing(psycopg2.connect(self.database_url)) as connection, connection.cursor() as cursor:
            cursor.execute("SELECT * FROM pod_activities WHERE id = %s", (activity_id,))
            row = cursor.fetchone()
            assert row is not None
            return dict(zip((column.name for column in cursor.description or ()), row, strict=True))

    def add(self, activity_id: str, **columns: Any) -> None:
        """A row of `pod_activities`; a like of post-1 by pod-1, due now, unless said otherwise."""
        values = {"pod_id": "pod-1", "engagement_type": "like", "post_id": "post-1", "due_in": 0.0} | columns
        due_in = values.pop("due_in")
        names = ", ".join(values)
        places = ", ".join(["%s"] * len(values))
        self.sql(
            f"INSERT INTO pod_activities (id, {names}, scheduled_for)"
            f" VALUES (%s, {places}, clock_timestamp() + %s * interval '1 second')",
            activity_id,
            *values.values(),
            due_in,
        )

    def wait_for(self, activity_id: str, status: str) -> dict[str, Any]:
        """The row, as soon as it has this status."""
        self.until(lambda: self.activity(activity_id)["status"] == status)
        return self.activity(activity_id)

    def effects(self) -> list[dict[str, Any]]:
        """What the provider has applied."""
        effects: list[dict[str, Any]] = self.sandbox.ledger()["effects"]
        return effects

    @staticmethod
    def until(done: Callable[[], bool]) -> None:
        """Block until it is true."""
        give_up_at = time.monotonic() + _PATIENCE
        while not done():
            assert time.monotonic() < give_up_at, "it did not happen in time"
            time.sleep(0.02)


@pytest.fixture
def world(database_url: str, redis_url: str, tmp_path: Path) -> Iterator[World]:
    """Two pods with an account each: pod-1 speaks with a voice, pod-2 has none."""
    with _a_world(database_url, redis_url, tmp_path) as here:
        yield here


@pytest.fixture
def world_without_redis(database_url: str, tmp_path: Path) -> Iterator[World]:
    """The same. Nothing in it knows a Redis."""
    with _a_world(database_url, None, tmp_path) as here:
        yield here


@contextmanager
def _a_world(database_url: str, redis_url: str | None, folder: Path) -> Iterator[World]:
    with Sandbox() as sandbox:
        here = World(database_url=database_url, redis_url=redis_url, sandbox=sandbox, folder=folder)
        here.sql(
            "INSERT INTO voice_cartridges VALUES ('voice-1', NULL, NULL,"
            """ '{"rewrites": {"Great post!": ["This is a fantastic post and I love the insights!"]}}');"""
            "INSERT INTO pods VALUES ('pod-1', 'voice-1', 'account-1'), ('pod-2', NULL, 'account-2');"
            "INSERT INTO linkedin_accounts (id, profile_id, unipile_account_id, access_token)"
            " VALUES ('account-1', 'profile-1', 'unipile-1', 'token-1'),"
            "        ('account-2', 'profile-2', 'unipile-2', 'token-2')"
        )
        try:
            yield here
        finally:
            for process in here.processes:
                if process.poll() is None:
                    process.kill()
                    process.wait()
