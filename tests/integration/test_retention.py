"""What is told and over goes after a month; what is open, in force or undelivered stays, however old it is."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta

import pytest

from adapters.postgres.connection.pool import PostgresPool
from adapters.postgres.store.retention import PostgresRetention
from adapters.unipile.sandbox import Sandbox
from support.stage import Stage, stage_settings

MONTH = timedelta(days=30)

ALERTS = """
INSERT INTO engagement_alerts (incident, kind, message, raised_at, delivered_at, resolved_at, state)
SELECT name, 'dead_letter', name, now() - interval '90 days', now() - told, now() - over, 'raised'
  FROM (VALUES ('over', interval '31 days', interval '31 days'), ('told late', '29 days', '31 days'),
               ('over late', '31 days', '29 days'), ('open', '60 days', NULL), ('untold', NULL, '60 days')
       ) v (name, told, over)
"""
CONTROLS = """
INSERT INTO engagement_controls (kind, scope, scope_id, until, reason, lifted_at)
SELECT 'hold', 'account', name, NULL, name, now() - lifted
  FROM (VALUES ('lifted', interval '31 days'), ('lifted late', '29 days'), ('in force', NULL)) v (name, lifted)
"""


@pytest.fixture
def stage(database_url: str) -> Iterator[Stage]:
    """Rows of all ages."""
    with Sandbox() as sandbox:
        here = Stage(settings=stage_settings(database_url, sandbox), sandbox=sandbox)
        here.sql(ALERTS)
        here.sql(CONTROLS)
        yield here


def kept(stage: Stage) -> set[str]:
    """Which rows are left."""
    rows = stage.sql("SELECT incident FROM engagement_alerts UNION ALL SELECT scope_id FROM engagement_controls")
    return {row[0] for row in rows}


def test_only_what_is_over_for_a_month_goes(stage: Stage) -> None:
    """Asked again, there is nothing more to forget."""
    pool = PostgresPool(str(stage.settings.database_url), size=1)
    retention = PostgresRetention(pool)
    assert retention.forget(older_than=MONTH, limit=10) == 2
    assert retention.forget(older_than=MONTH, limit=10) == 0
    pool.close()
    assert kept(stage) == {"told late", "over late", "open", "untold", "lifted late", "in force"}


def test_no_more_goes_at_once_than_was_asked_for(stage: Stage) -> None:
    """A long past is forgotten in small steps."""
    stage.sql(ALERTS.replace("('over',", "('over too',").replace("'open'", "'open too'").replace("'untold'", "'else'"))
    pool = PostgresPool(str(stage.settings.database_url), size=1)
    retention = PostgresRetention(pool)
    assert [retention.forget(older_than=MONTH, limit=1) for _ in range(3)] == [2, 1, 0]
    pool.close()


def test_a_worker_forgets_by_itself(stage: Stage) -> None:
    """It is one of the rounds."""
    with stage.working():
        stage.until(lambda: "over" not in kept(stage) and "lifted" not in kept(stage))
