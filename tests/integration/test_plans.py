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
from adapters.postgres.store.chores import CHORES, chores_parameters
from adapters.postgres.store.sends import SENDS
from adapters.postgres.store.sweep_statements import render_sweep
from adapters.postgres.store.unsettled import EVENTS, ORPHANS, UNKNOWNS, not_locked
from engagement_core.decisions.admission import HELD_STATUSES
from engagement_core.model.gauges import MOST_COUNTED

_BACKLOG = 20_000
_EVENTS = list(EVENTS)
_ORPHANED = {"silent_for": timedelta(seconds=6), "margin": timedelta(seconds=5)}


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
        cursor.execute(f"{before};EXPLAIN (ANALYZE, BUFFERS, TIMING OFF) {statement}", parameters)
        return "\n".join(row[0] for row in cursor.fetchall())


def _sweep(connection: Connection, which: str, *, limit: int = 1000) -> str:
    """The plan of one of the sweep's statements, with what it touched."""
    statement = getattr(render_sweep(read_catalog(connection)), which)
    given = {"look_ahead": timedelta(seconds=8), "limit": limit, "held": sorted(HELD_STATUSES), "share": None}
    return _plan(connection, statement, **given)


def _pages(plan: str) -> int:
    """How many pages the whole plan touched."""
    found = re.search(r"Buffers: shared(?: hit=(\d+))?(?: read=(\d+))?", plan)
    return 0 if found is None else sum(int(count or 0) for count in found.groups())


def test_the_sweep_reads_what_is_due_and_nothing_else(crowded: Connection) -> None:
    """The index is bounded by time: with nothing due, no row is read."""
    plan = _sweep(crowded, "earliest")
    assert "Index Scan using engagement_due" in plan
    assert "Index Cond" in plan
    assert "Rows Removed by Filter" not in plan
    assert "Seq Scan on pod_activities" not in plan
    assert _pages(plan) < 20


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
    plan = _sweep(crowded, "earliest", limit=100)
    assert re.search(r"Index Scan using engagement_due on pod_activities a .*actual rows=100(\.00)? ", plan)
    assert "Seq Scan" not in plan
    assert "Sort Key: (GREATEST" not in plan
    assert "Rows Removed by Filter" not in plan


_WORLD = """
ALTER TABLE pod_activities SET (autovacuum_enabled = off);
ALTER TABLE engagement_attempts SET (autovacuum_enabled = off);
INSERT INTO pods SELECT 'pod-' || n, NULL, 'account-' || n FROM generate_series(1, 200) n;
INSERT INTO linkedin_accounts (id, profile_id, status)
  SELECT 'account-' || n, 'profile-' || n, CASE n WHEN 1 THEN 'expired' END FROM generate_series(1, 200) n;
INSERT INTO pod_activities (id, pod_id, engagement_type, post_id, profile_id, scheduled_for)
  SELECT 'future-' || n, 'pod-' || (n %% 200 + 1), 'like', 'post', 'profile-' || (n %% 200 + 1),
         now() + interval '1 hour' + n * interval '1 ms' FROM generate_series(1, %(future)s) n
  UNION ALL
  SELECT 'held-' || n, 'pod-1', 'like', 'post', CASE n %% 2 WHEN 0 THEN 'profile-1' END,
         now() - interval '1 day' + n * interval '1 ms' FROM generate_series(1, %(due)s / 2) n
  UNION ALL
  SELECT 'due-' || n, 'pod-2', 'like', 'post', CASE n %% 2 WHEN 0 THEN 'profile-2' END,
         now() - interval '1 hour' + n * interval '1 ms' FROM generate_series(1, %(due)s / 2) n
  UNION ALL
  SELECT 'other-' || n, 'pod-' || n, 'like', 'post', 'profile-' || n, now() FROM generate_series(3, 200) n;
INSERT INTO engagement_attempts (activity_id, number, token, worker_id, phase, event, effect,
  account_id, engagement_type, post_id, claimed_at, deadline_at, began_at)
  SELECT 'x-' || n, 1, 't', 'w', 'executed', 'confirm', 'applied', 'account-1', 'like', 'post', now(),
         now(), now() - interval '3 days' FROM generate_series(1, %(due)s) n
"""


def _assert_cheap(connection: Connection) -> None:
    """A thousand rows are looked at, or two thousand if shares are; two or three pages for each look-up of each."""
    for which, most in (("earliest", 10_000), ("fair", 20_000)):
        plan = _sweep(connection, which)
        assert "Seq Scan" not in plan, plan
        assert _pages(plan) < most, plan
    for key in ("profile", "pod"):
        heads = [line for line in plan.splitlines() if f"Index Scan using engagement_due_of_{key} " in line]
        assert len(heads) >= 3, plan  # its first step, each next one, and the head of each


@pytest.mark.parametrize("due", [5_000, pytest.param(100_000, marks=pytest.mark.alone)])
def test_the_sweep_costs_the_same_however_long_the_backlog_is(database_url: str, due: int) -> None:
    """Tables of the first day have no statistics."""
    with closing(psycopg2.connect(database_url)) as connection, connection.cursor() as cursor:
        connection.autocommit = True
        cursor.execute(_WORLD, {"future": 10 * due, "due": due})
        _assert_cheap(connection)
        cursor.execute("ANALYZE")
        _assert_cheap(connection)


def test_the_sweep_keeps_its_plan_with_statistics_of_another_time(database_url: str) -> None:
    """They say that there are a few old rows of one profile, and hardly any attempts."""
    with closing(psycopg2.connect(database_url)) as connection, connection.cursor() as cursor:
        connection.autocommit = True
        cursor.execute(
            "INSERT INTO pod_activities (id, pod_id, engagement_type, post_id, profile_id, scheduled_for)"
            " SELECT 'old-' || n, 'pod-1', 'like', 'post', 'profile-1', now() - interval '2 days'"
            " FROM generate_series(1, 500) n; ANALYZE; DELETE FROM pod_activities"
        )
        cursor.execute(_WORLD, {"future": 20_000, "due": 20_000})
        _assert_cheap(connection)


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
        (UNKNOWNS, {"window": 20, "events": _EVENTS}, "engagement_attempts_unknown"),
        (
            ORPHANS,
            {**_ORPHANED, "window": 200, "events": _EVENTS},
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


@pytest.mark.parametrize("found", [ORPHANS, UNKNOWNS], ids=["orphans", "unknowns"])
def test_what_can_be_locked_is_looked_up_row_by_row(crowded: Connection, found: str) -> None:
    """However many activities there are. Without statistics, too."""
    with crowded.cursor() as cursor:
        cursor.execute(
            "DELETE FROM pg_statistic WHERE starelid IN ('engagement_attempts'::regclass, 'pod_activities'::regclass);"
            "UPDATE engagement_attempts SET phase = 'unknown', look_at = now() - interval '1 s' WHERE number = 1"
            " AND activity_id LIKE '%99';"
            "UPDATE engagement_attempts SET phase = 'sending' WHERE activity_id LIKE '%98'"
        )
    statement = not_locked(found, read_catalog(crowded))
    plan = _plan(crowded, statement, window=200, limit=20, events=_EVENTS, **_ORPHANED)
    assert "Seq Scan on" not in plan.replace("Seq Scan on engagement_workers", "")
    assert "pod_activities_pkey" in plan


@pytest.mark.parametrize("has_statistics", [True, False])
def test_the_heartbeat_s_look_at_what_there_is_to_do_stops_at_the_first_row(
    crowded: Connection, has_statistics: bool
) -> None:
    """It costs the same with a long history, with much to do, and without statistics."""
    with crowded.cursor() as cursor:
        cursor.execute(
            "INSERT INTO engagement_alerts (incident, kind, message, delivered_at, resolved_at)"
            f" SELECT 'i-' || n, 'k', 'm', now(), now() FROM generate_series(1, {_BACKLOG}) n;"
            "INSERT INTO engagement_controls (kind, scope, scope_id, reason, lifted_at)"
            f" SELECT 'hold', 'account', 'account-1', 'r', now() FROM generate_series(1, {_BACKLOG}) n;"
            "INSERT INTO linkedin_accounts (id) SELECT 'more-' || n FROM generate_series(1, 5000) n;"
            "ANALYZE"
        )
        if not has_statistics:
            cursor.execute("DELETE FROM pg_statistic")
    asked = chores_parameters(**_ORPHANED, within=timedelta(hours=1))
    before, _, statement = CHORES.rpartition(";")
    plan = _plan(crowded, f"BEGIN;{before};{statement}", **asked)
    assert "Seq Scan" not in plan.replace("Seq Scan on linkedin_accounts l (never executed)", "").replace(
        "Seq Scan on engagement_workers", ""
    ), plan
    rows = [float(rows) for rows in re.findall(r"actual rows=([\d.]+)", plan)]
    removed = [int(rows) for rows in re.findall(r"Rows Removed by \w+(?: \w+)*: (\d+)", plan)]
    assert max(rows) <= 1
    assert removed == []
