"""What one engagement costs at the database and at Redis, counted at the drivers."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing
from datetime import datetime, timedelta, timezone
from typing import Any

import psycopg2
import psycopg2.extensions
import pytest
from redis.connection import AbstractConnection

from adapters.postgres.connection import pool
from adapters.unipile.sandbox import Sandbox
from engagement_core.model.job import Done, WakeUp
from engagement_core.model.outcome import Executed
from fakes.telemetry import InMemoryTelemetry
from runners.bootstrap import App, open_app
from runners.settings import Settings
from support.queues import receive_one, settle_one

_MESSAGES: list[str] = []


class _CountingCursor(psycopg2.extensions.cursor):
    def execute(self, query: Any, parameters: Any = None) -> None:
        _MESSAGES.append(query.decode() if isinstance(query, bytes) else str(query))
        super().execute(query, parameters)


@pytest.fixture
def app(database_url: str, redis_url: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[App]:
    """A wired application whose database messages are counted, with a like and a comment to execute."""
    monkeypatch.setitem(pool._CONNECT_OPTIONS, "cursor_factory", _CountingCursor)
    with closing(psycopg2.connect(database_url)) as connection, connection, connection.cursor() as cursor:
        cursor.execute(
            "INSERT INTO voice_cartridges VALUES ('voice', 'concise', 'friendly', NULL);"
            "INSERT INTO pods VALUES ('pod', 'voice', 'account');"
            "INSERT INTO linkedin_accounts (id, unipile_account_id) VALUES ('account', 'unipile');"
            "INSERT INTO pod_activities (id, pod_id, engagement_type, post_id, comment_text, scheduled_for)"
            " VALUES ('like', 'pod', 'like', 'post', NULL, now()), ('comment', 'pod', 'comment', 'post', 'Hi!', now())"
        )
    with Sandbox() as sandbox:
        settings = Settings(
            database_url=database_url,
            redis_url=redis_url,
            unipile_api_key="key",
            unipile_base_url=sandbox.url,
            unipile_api_version="v1",
            job_timeout=timedelta(seconds=5),
        )
        with open_app(settings, worker_id="worker", telemetry=InMemoryTelemetry()) as opened:
            yield opened


@pytest.mark.parametrize(("activity_id", "commits"), [("like", 2), ("comment", 3)])
def test_the_happy_path_costs_two_commits_for_a_like_and_three_for_a_comment(
    app: App, activity_id: str, commits: int
) -> None:
    """Each commit is two messages: one that locks and shows, one that writes and commits."""
    _MESSAGES.clear()
    assert isinstance(app.executor.execute(activity_id), Executed)
    assert sum(message.endswith("COMMIT") for message in _MESSAGES) == commits
    assert len(_MESSAGES) == 2 * commits


@pytest.mark.parametrize(("activity_id", "messages"), [("like", 4 + 1), ("comment", 6 + 2)])
def test_an_account_with_a_limit_costs_one_message_more_for_each_look_at_the_gate(
    app: App, activity_id: str, messages: int
) -> None:
    """Its sends are counted for the claim and for the begin, under a lock; the verdict neither counts nor waits."""
    with app.executor.store._pool.connection() as connection, connection.cursor() as cursor:  # type: ignore[attr-defined]
        cursor.execute("UPDATE linkedin_accounts SET daily_limit = 5")
    _MESSAGES.clear()
    assert isinstance(app.executor.execute(activity_id), Executed)
    assert len(_MESSAGES) == messages


def test_an_idle_sweep_is_one_message(app: App) -> None:
    """However often it comes, and however many wait for a later time."""
    app.executor.store.due(look_ahead=timedelta(seconds=8), limit=1000)
    _MESSAGES.clear()
    app.executor.store.due(look_ahead=timedelta(seconds=8), limit=1000)
    assert len(_MESSAGES) == 1


def test_a_lone_job_costs_three_commands_and_an_activity_that_nobody_rang_for_none(
    app: App, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Received, started, finished. A script is one command, whatever it does inside."""
    queue = app.queue
    for name in ("warm-up-1", "warm-up-2"):
        queue.ring(name, datetime.now(timezone.utc))
        _receive_and_settle(app)  # the first one asks what is there already, the second one waits: both connections
    sent = _commands_sent(monkeypatch)
    assert isinstance(app.executor.execute("comment"), Executed)
    assert sent == []
    queue.ring("like", datetime.now(timezone.utc))
    sent.clear()
    _receive_and_settle(app)
    assert len(sent) == 3


def test_many_jobs_cost_as_many_commands_as_one(app: App, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whoever listens takes them together, and settles them together."""
    for number in range(51):
        app.queue.ring(f"activity-{number}", datetime.now(timezone.utc))
    _receive_and_settle(app)
    sent = _commands_sent(monkeypatch)
    received = app.queue.receive(timedelta(seconds=1), at_most=100)
    app.queue.settle([(each, Done()) for each in received if isinstance(each, WakeUp)])
    assert (len(received), len(sent)) == (50, 2)


def _receive_and_settle(app: App) -> None:
    wake_up = receive_one(app.queue, timedelta(milliseconds=10))
    assert isinstance(wake_up, WakeUp)
    settle_one(app.queue, wake_up, Done())


def _commands_sent(monkeypatch: pytest.MonkeyPatch) -> list[object]:
    """What goes out to Redis from now on, one entry for each message."""
    sent: list[object] = []
    send = AbstractConnection.send_packed_command

    def count(self: AbstractConnection, command: object, *rest: Any, **named: Any) -> Any:
        sent.append(command)
        return send(self, command, *rest, **named)

    monkeypatch.setattr(AbstractConnection, "send_packed_command", count)
    return sent
