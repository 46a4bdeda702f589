"""Connections: bounded, alive, and silent about their passwords."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing
from datetime import timedelta

import psycopg2
import pytest

from adapters.postgres.pool import PostgresPool
from engagement_core.ports.activities import StoreUnavailable


@pytest.fixture
def pool(empty_database_url: str) -> Iterator[PostgresPool]:
    """Of one connection."""
    made = PostgresPool(empty_database_url, size=1, patience=timedelta(milliseconds=50))
    yield made
    made.close()


def _pid(pool: PostgresPool) -> int:
    with pool.connection() as connection:
        return connection.get_backend_pid()


def test_a_connection_is_used_again(pool: PostgresPool) -> None:
    """One for all who come one after the other."""
    assert _pid(pool) == _pid(pool)


def test_an_exhausted_pool_says_so(pool: PostgresPool) -> None:
    """After its patience, and it goes on afterwards."""
    with (
        pool.connection(),
        pytest.raises(StoreUnavailable, match="all 1 database connections were busy"),
        pool.connection(),
    ):
        pass
    assert _pid(pool)


def test_a_connection_that_the_server_ended_is_not_handed_out(pool: PostgresPool, empty_database_url: str) -> None:
    """Nobody has to fail first."""
    before = _pid(pool)
    with closing(psycopg2.connect(empty_database_url)) as other, other, other.cursor() as cursor:
        cursor.execute("SELECT pg_terminate_backend(%s, 5000)", (before,))
    assert _pid(pool) != before


def test_a_connection_on_which_something_failed_is_not_handed_out(pool: PostgresPool) -> None:
    """Nobody knows in which state it is."""
    before = _pid(pool)
    with pytest.raises(ZeroDivisionError), pool.connection():
        raise ZeroDivisionError
    assert _pid(pool) != before
    with pytest.raises(StoreUnavailable, match="syntax"), pool.connection() as connection:
        connection.cursor().execute("nonsense")
    assert _pid(pool)


@pytest.mark.parametrize(
    "url", ["postgresql://user:geheim@127.0.0.1:1/none", "host=127.0.0.1 port=1 user=u password=geheim dbname=d"]
)
def test_a_server_that_is_not_there_is_named_without_the_password(url: str) -> None:
    """In one line."""
    pool = PostgresPool(url, size=1)
    with pytest.raises(StoreUnavailable) as problem, pool.connection():
        pass
    assert "geheim" not in str(problem.value)
    assert "\n" not in str(problem.value)
