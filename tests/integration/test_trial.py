"""The bench's hands on PostgreSQL and Redis: they make a new database, and count who else is there."""

from __future__ import annotations

import uuid
from contextlib import closing
from datetime import datetime, timezone

import psycopg2
import pytest
import redis

from adapters.postgres.connection.pool import PostgresPool
from adapters.postgres.demo.trial import PostgresTrial, new_database
from adapters.postgres.schema.migrate import migrate
from adapters.postgres.store.intake import PostgresIntake
from adapters.rq.trial import RedisTrial
from runners.bench.workload import likes
from support.commands import execute
from support.servers import ServerUrls


@pytest.mark.direct
def test_a_new_database_is_one_of_the_first_day_and_is_gone_afterwards(servers: ServerUrls) -> None:
    """Our schema and pods, no activity, no statistics; another server's databases are not touched."""
    name = f"bench_{uuid.uuid4().hex}"
    with new_database(servers.database_url, name) as url:
        migrate(url)
        with closing(PostgresPool(url, size=1)) as pool:
            trial = PostgresTrial(pool)
            trial.add_pods(2)
            trial.add_pods(2)
            assert trial.is_settled()
            planned = likes([datetime.now(timezone.utc)] * 3)
            PostgresIntake(pool).add(planned)
            assert not trial.is_settled()
            assert trial.scheduled() == trial.outcomes().keys() == {each.id for each in planned}
            assert execute(url, "SELECT id, linkedin_account_id FROM pods ORDER BY 1") == [
                ("pod-0", "account-0"),
                ("pod-1", "account-1"),
            ]
            assert execute(url, "SELECT count(*) FROM pg_stats WHERE schemaname = 'public'") == [(0,)]
    assert execute(servers.database_url, f"SELECT count(*) FROM pg_database WHERE datname = '{name}'") == [(0,)]


def test_connections_are_those_of_others(database_url: str, redis_url: str) -> None:
    """One's own, through which it is asked, does not count."""
    with closing(PostgresPool(database_url, size=1)) as pool, closing(RedisTrial(redis_url)) as queue:
        trial = PostgresTrial(pool)
        before = trial.connections(), queue.connections()
        with closing(psycopg2.connect(database_url)), redis.from_url(redis_url) as client:
            client.ping()
            assert (trial.connections(), queue.connections()) == (before[0] + 1, before[1] + 1)
