"""The statements for the examples stop early, however much has happened."""

from __future__ import annotations

from contextlib import closing
from datetime import timedelta

import psycopg2

from adapters.postgres.readers import status_examples as sql
from support.commands import execute

_MANY = 20_000


def test_no_statement_scans_what_is_over(database_url: str) -> None:
    """Neither finished attempts nor closed letters nor activities of the future are walked through."""
    execute(
        database_url,
        "INSERT INTO pod_activities (id, pod_id, engagement_type, post_id, scheduled_for)"
        " SELECT n::text, 'p', 'like', 'x', now() + interval '1 day' FROM generate_series(1, %s) n;"
        "INSERT INTO engagement_attempts (activity_id, number, token, worker_id, phase, event, effect, engagement_type,"
        "  post_id, claimed_at, deadline_at, began_at)"
        " SELECT 'x-' || n, 1, 't', 'w', 'executed', 'confirm', 'applied', 'like', 'p', now(), now(), now()"
        "   FROM generate_series(1, %s) n;"
        "INSERT INTO engagement_dead_letters (activity_id, error_type, message, effect, next_step, buried_at,"
        "  closed_at) SELECT 'x-' || n, 'api_error', 'm', 'none', 's', now(), now() FROM generate_series(1, %s) n",
        *[_MANY] * 3,
    )
    with closing(psycopg2.connect(database_url)) as connection:
        connection.autocommit = True
        with connection.cursor() as cursor:
            cursor.execute("VACUUM ANALYZE")
            for statement in (sql._UNDER_WAY, sql._UNKNOWN, sql._LATE, sql._FAILED):
                cursor.execute("EXPLAIN " + statement, {"shown": 10, "sorted": 1_000, "late_by": timedelta(seconds=5)})
                plan = "\n".join(row[0] for row in cursor.fetchall())
                assert "Seq Scan" not in plan, plan
