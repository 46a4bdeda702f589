"""What one engagement costs at the database, counted at the driver."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing
from datetime import timedelta
from typing import Any

import psycopg2
import psycopg2.extensions
import pytest

from adapters.in_memory.telemetry import InMemoryTelemetry
from adapters.postgres import pool
from adapters.unipile.sandbox import Sandbox
from engagement_core.outcome import Executed
from runners.bootstrap import App, open_app
from runners.settings import Settings

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
