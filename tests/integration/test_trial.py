"""The bench's hands on PostgreSQL and Redis: they empty what they are told to, and count who else is there."""

from __future__ import annotations

from contextlib import closing
from datetime import datetime, timezone

import psycopg2
import redis

from adapters.postgres.connection.pool import PostgresPool
from adapters.postgres.demo.trial import PostgresTrial
from adapters.postgres.store.intake import PostgresIntake
from adapters.rq.trial import RedisTrial
from runners.bench.workload import likes
from support.commands import execute


def test_an_emptied_database_has_pods_and_no_trace_of_an_activity(database_url: str) -> None:
    """Whichever tables of ours there are."""
    with closing(PostgresPool(database_url, size=1)) as pool:
        trial = PostgresTrial(pool)
        trial.add_pods(2)
        trial.add_pods(2)
        planned = likes([datetime.now(timezone.utc)] * 3)
        PostgresIntake(pool).add(planned)
        execute(
            database_url, "INSERT INTO engagement_workers (worker_id, host, pid, concurrency) VALUES ('w', 'h', 1, 1)"
        )
        assert not trial.is_settled()
        assert trial.scheduled() == trial.outcomes().keys() == {each.id for each in planned}
        trial.empty()
        assert trial.is_settled()
        assert trial.outcomes() == {}
    assert execute(database_url, "SELECT count(*) FROM engagement_workers") == [(0,)]
    assert execute(database_url, "SELECT id, linkedin_account_id FROM pods ORDER BY 1") == [
        ("pod-0", "account-0"),
        ("pod-1", "account-1"),
    ]


def test_connections_are_those_of_others(database_url: str, redis_url: str) -> None:
    """One's own, through which it is asked, does not count."""
    with closing(PostgresPool(database_url, size=1)) as pool, closing(RedisTrial(redis_url)) as queue:
        trial = PostgresTrial(pool)
        before = trial.connections(), queue.connections()
        with closing(psycopg2.connect(database_url)), redis.from_url(redis_url) as client:
            client.ping()
            assert (trial.connections(), queue.connections()) == (before[0] + 1, before[1] + 1)
