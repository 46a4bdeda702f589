"""PostgreSQL through a real PgBouncer in transaction mode, with a password full of special characters and TLS.

The one rule: what is special about a pooler stands here; that everything else works through it is shown by the same
tests with `--pooled`.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from urllib.parse import quote

import psycopg2
import pytest
from psycopg2.extensions import make_dsn

from adapters.postgres.connection.pool import PostgresPool
from adapters.postgres.schema.migrate import migrate
from adapters.postgres.store.activities import PostgresActivityStore
from adapters.unipile.sandbox import Sandbox
from engagement_core.model.decision import Decision
from engagement_core.model.snapshot import Snapshot
from engagement_core.ports.activities import StoreUnavailable
from runners.process import working
from support.commands import Commands
from support.pooler import PASSWORD
from support.servers import fresh_database
from support.stage import Stage, stage_settings


@pytest.fixture
def pooled_url(pooled_server_url: str) -> Iterator[str]:
    """A fresh database with our schema, migrated through the pooler."""
    with fresh_database(pooled_server_url) as url:
        migrate(url)
        yield url


def test_a_burst_through_the_pooler_executes_everything_once(pooled_url: str) -> None:
    """Likes and comments, two workers' threads, fewer sessions than threads."""
    with Sandbox() as sandbox:
        stage = Stage(stage_settings(pooled_url, sandbox, concurrency=10), sandbox)
        for account in (1, 2):
            stage.add_account(account)
            stage.add_likes(account, 100)
        stage.sql("UPDATE pod_activities SET engagement_type = 'comment', comment_text = 'Hi!' WHERE id LIKE '%0'")
        with ThreadPoolExecutor(2) as threads:
            for burst in [threads.submit(_burst, stage, f"worker-{number}") for number in (1, 2)]:
                burst.result(timeout=60)
        assert stage.statuses() == {"executed": 200}
        assert len(sandbox.ledger()["effects"]) == 200


def _burst(stage: Stage, worker_id: str) -> None:
    with working(stage.settings, stage.telemetry, worker_id) as (_, worker):
        worker.burst(threading.Event())


def test_the_commands_work_through_the_pooler(pooled_url: str) -> None:
    """Schedule, look, explain, pause, resume, migrate once more."""
    engagement = Commands(environ={"DATABASE_URL": pooled_url})
    with closing(psycopg2.connect(pooled_url)) as connection, connection, connection.cursor() as cursor:
        cursor.execute(
            "INSERT INTO pods (id, linkedin_account_id) VALUES ('pod-1', 'a');"
            "INSERT INTO linkedin_accounts (id) VALUES ('a')"
        )
    added = engagement.json("schedule", "--pod", "pod-1", "--type", "like", "--post", "p", "--id", "like-1")
    assert added["ids"] == ["like-1"]
    assert engagement.json("status")["counts"]["due"]["value"] == 1
    assert engagement.json("explain", "like-1")["phase"] == "scheduled"
    assert engagement.json("pause", "--pod", "pod-1")["paused"] == "pod"
    assert len(engagement.json("resume", "--pod", "pod-1")["lifted"]) == 1
    assert engagement("migrate").stdout == "Nothing to do: the schema is complete.\n"


def test_a_decision_that_raises_leaves_no_transaction_to_the_next_client(pooled_url: str) -> None:
    """The session goes back to the pooler only when its transaction is over."""

    def fail(_: Snapshot) -> Decision[None]:
        raise ZeroDivisionError

    with closing(PostgresPool(pooled_url, size=1)) as pool:
        store = PostgresActivityStore(pool)
        for _ in range(50):
            with pytest.raises(ZeroDivisionError):
                store.change("a", fail)
        assert store.change("a", lambda shown: Decision(shown.activity)) is None
    with closing(psycopg2.connect(pooled_url)) as connection, connection.cursor() as cursor:
        cursor.execute("SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND database ="
                       " (SELECT oid FROM pg_database WHERE datname = current_database())")  # fmt: skip
        assert cursor.fetchone() == (0,)


def test_a_setting_of_one_transaction_is_not_left_to_the_next(pooled_url: str) -> None:
    """Time limits and time zone are ours for a transaction; the session is everybody's."""
    with closing(PostgresPool(pooled_url, size=1)) as pool:
        store = PostgresActivityStore(pool)
        store.change("a", lambda shown: Decision(shown.now))
        with pool.connection() as connection, connection.cursor() as cursor:
            for name, value in {"statement_timeout": "0", "lock_timeout": "0"}.items():
                cursor.execute(f"SHOW {name}")
                assert cursor.fetchone() == (value,)


def test_start_up_options_are_refused_by_the_pooler_in_one_line(pooled_url: str) -> None:
    """So we send none; whoever puts some into the URL is told what the pooler said."""
    refused = make_dsn(pooled_url, options="-c timezone=UTC")
    told = "unsupported startup parameter: options"
    with closing(PostgresPool(refused, size=1)) as pool, pytest.raises(StoreUnavailable, match=told) as problem:
        PostgresActivityStore(pool)
    assert "\n" not in str(problem.value)


def test_a_password_that_is_not_encoded_is_explained_and_never_repeated(pooled_url: str) -> None:
    """Where libpq would read it as something else."""
    url = pooled_url.replace(quote(PASSWORD, safe=""), PASSWORD)
    told = Commands(environ={"DATABASE_URL": url}).refused("status", "--json")
    assert "DATABASE_URL" in told
    assert "percent-encoded" in told
    assert "w:rd" not in told


@pytest.mark.parametrize("marks", ["#", "?", ":", "&=+", "$!*()", "'\""])
def test_marks_that_need_no_encoding_are_taken_as_they_are(pooled_url: str, marks: str) -> None:
    """What is left unencoded where libpq understands it all the same."""
    url = pooled_url
    for mark in marks:
        url = url.replace(quote(mark, safe=""), mark)
    assert url != pooled_url or not set(marks) & set(PASSWORD)
    with closing(PostgresPool(url, size=1)) as pool, pool.connection() as connection, connection.cursor() as cursor:
        cursor.execute("SELECT 1")
        assert cursor.fetchone() == (1,)


def test_without_tls_the_pooler_refuses_and_the_line_says_so(pooled_url: str) -> None:
    """As Supabase does where it is enforced."""
    plain = pooled_url.replace("sslmode=require", "sslmode=disable")
    with closing(PostgresPool(plain, size=1)) as pool, pytest.raises(StoreUnavailable, match="SSL required"):
        PostgresActivityStore(pool)
