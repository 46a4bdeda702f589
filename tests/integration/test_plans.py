"""The hot queries' plans: along an index, however long the backlog is."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import closing
from datetime import timedelta
from typing import Any

import psycopg2
import pytest
from psycopg2.extensions import connection as Connection

from adapters.postgres.inspection.catalog import read_catalog
from adapters.postgres.readers.gauges import levels
from adapters.postgres.store import statements as sql
from adapters.postgres.store.sends import SENDS
from engagement_core.decisions.admission import HELD_STATUSES
from engagement_core.model.gauges import MOST_COUNTED
from engagement_core.model.lifecycle import Event

_BACKLOG = 20_000
_EVENTS = [event.value for event in Event]


@pytest.fixture
def crowded(database_url: str) -> Iterator[Connection]:
    """Thousands of activities in the future, and as many attempts in the past."""
    with closing(psycopg2.connect(database_url)) as connection:
        connection.autocommit = True
        with connection.cursor() as cursor:
            cursor.execute(
                "INSERT INTO pods SELECT 'pod-' || n, NULL, 'account-' || n FROM generate_series(1, 50) n;"
                "INSERT INTO linkedin_accounts (id) SELECT 'account-' || n FROM generate_series(1, 50) n;"
                "INSERT INTO pod_activities (id, pod_id, engagement_type, post_id, scheduled_for)"
                " SELECT 'a-' || n, 'pod-' || (n % 50 + 1), 'like', 'post', now() + interval '1 day'"
                f" FROM generate_series(1, {_BACKLOG}) n;"
                "INSERT INTO engagement_attempts (activity_id, number, token, worker_id, phase, event, effect,"
                "  account_id, engagement_type, post_id, claimed_at, deadline_at, began_at)"
                " SELECT 'x-' || n, 1, 't', 'w', 'executed', 'confirm', 'applied', 'account-1', 'like', 'post', now(),"
                f"  now(), now() - interval '3 days' FROM generate_series(1, {_BACKLOG}) n"
            )
            cursor.execute("VACUUM ANALYZE")
        yield connection


def _plan(connection: Connection, message: str, **parameters: Any) -> str:
    """Of the message's last statement; what comes before it says how it is to be planned."""
    before, _, statement = message.rpartition(";")
    with connection.cursor() as cursor:
        cursor.execute(f"{before};EXPLAIN (ANALYZE, TIMING OFF) {statement}", parameters)
        return "\n".join(row[0] for row in cursor.fetchall())


def test_the_sweep_reads_what_is_due_and_nothing_else(crowded: Connection) -> None:
    """The index is bounded by time: with nothing due, no row is read."""
    plan = _plan(
        crowded,
        sql.render(read_catalog(crowded)).due,
        look_ahead=timedelta(seconds=8),
        limit=1000,
        held=[],
        crowding=[],
    )
    assert "Index Scan using engagement_due" in plan
    assert "Index Cond" in plan
    assert "Rows Removed by Filter" not in plan
    assert "Seq Scan on pod_activities" not in plan


def test_the_sweep_of_a_long_backlog_stops_at_its_limit(crowded: Connection) -> None:
    """The planner expects more to be due than are, and more of them to be blocked: nothing of it is sorted, and neither
    the activities nor the attempts of all time are read to find out."""
    with crowded.cursor() as cursor:
        cursor.execute(
            "UPDATE pod_activities SET scheduled_for = now() - interval '1 day' WHERE id LIKE '%5';"
            "INSERT INTO engagement_controls (kind, scope, scope_id, until, reason, lifted_at)"
            "  SELECT 'pause', 'pod', 'x', NULL, 'over', now() FROM generate_series(1, 2000);"
            "ANALYZE pod_activities, engagement_controls"
        )
    due = sql.render(read_catalog(crowded)).due
    plan = _plan(crowded, due, look_ahead=timedelta(seconds=8), limit=100, held=sorted(HELD_STATUSES), crowding=[])
    assert "Index Scan using engagement_due on pod_activities a" in plan
    assert re.search(r"engagement_due on pod_activities a .*actual rows=100(\.00)? ", plan)
    assert "Seq Scan" not in plan
    assert "Sort Key: (GREATEST" not in plan
    assert "Rows Removed by Filter" not in plan


def test_one_activity_is_shown_along_primary_keys(crowded: Connection) -> None:
    """Neither the activities nor the attempts are scanned."""
    show = sql.render(read_catalog(crowded)).show.waiting.rpartition(";")[2]
    with crowded.cursor() as cursor:
        cursor.execute("SELECT set_config('pod_engagement.locked', '{a-7,a-8}', false)")
    plan = _plan(crowded, show)
    assert "Seq Scan on pod_activities" not in plan
    assert "Seq Scan on engagement_attempts" not in plan


def test_the_levels_are_read_along_indexes(crowded: Connection) -> None:
    """Whatever waits, whatever has failed: no table is scanned, and no index to its end."""
    with crowded.cursor() as cursor:
        cursor.execute(
            "UPDATE pod_activities SET scheduled_for = now() - interval '1 day';"
            "INSERT INTO engagement_dead_letters (activity_id, error_type, message, effect, next_step, buried_at)"
            f" SELECT 'x-' || n, 'rate_limit', 'm', 'none', 'n', now() FROM generate_series(1, {_BACKLOG}) n"
        )
        cursor.execute("VACUUM ANALYZE")
    plan = _plan(
        crowded,
        levels(read_catalog(crowded)),
        limit=MOST_COUNTED,
        silent_for=timedelta(seconds=6),
        held=sorted(HELD_STATUSES),
    )
    assert "Index Scan using engagement_due" in plan
    for table in ("pod_activities", "engagement_attempts", "engagement_dead_letters"):
        assert f"Seq Scan on {table}" not in plan, plan
    assert max(float(rows) for rows in re.findall(r"actual rows=([\d.]+)", plan)) <= MOST_COUNTED


@pytest.mark.parametrize(
    ("statement", "parameters", "index"),
    [
        (sql.UNKNOWNS, {"limit": 20, "events": _EVENTS}, "engagement_attempts_unknown"),
        (
            sql.ORPHANS,
            {"silent_for": timedelta(seconds=6), "margin": timedelta(seconds=5), "limit": 200, "events": _EVENTS},
            "engagement_attempts_open",
        ),
        (SENDS.passing.rpartition(";")[2], {}, "engagement_attempts_sent"),
    ],
)
def test_the_rounds_read_along_an_index(
    crowded: Connection, statement: str, parameters: dict[str, Any], index: str
) -> None:
    """Orphans, unknown outcomes and the rolling cap do not read the past."""
    with crowded.cursor() as cursor:
        cursor.execute("SELECT set_config('pod_engagement.accounts', '{account-1}', false)")
    plan = _plan(crowded, statement, **parameters)
    assert index in plan
    assert "Seq Scan on engagement_attempts" not in plan
    assert "Rows Removed by Filter" not in plan
