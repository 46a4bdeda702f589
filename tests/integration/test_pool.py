"""Connections: bounded, alive, and silent about their passwords."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import closing
from datetime import timedelta

import psycopg2
import pytest
from psycopg2.extensions import make_dsn

from adapters.postgres.connection.pool import PostgresPool
from adapters.postgres.schema.migrate import migrate
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


@pytest.mark.direct
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


def test_a_connection_belongs_to_one_thread_and_another_waits_for_it(empty_database_url: str) -> None:
    """It gets the same one when it is free."""
    patient = PostgresPool(empty_database_url, size=1, patience=timedelta(seconds=5))
    pids: list[int] = []
    with closing(patient):
        thread = threading.Thread(target=lambda: pids.append(_pid(patient)))
        with patient.connection() as mine:
            pids.append(mine.get_backend_pid())
            thread.start()
            assert pids == [mine.get_backend_pid()]
        thread.join(5)
    assert pids == [pids[0]] * 2


def test_a_connection_that_is_in_use_when_the_pool_is_closed_is_closed_when_it_comes_back(pool: PostgresPool) -> None:
    """Nothing is cut off, and nothing stays open."""
    with pool.connection() as connection:
        pool.close()
        connection.cursor().execute("SELECT 1")
    assert connection.closed


_SAID_WITHOUT_THE_PASSWORD = {
    "a URL": "postgresql://user:geheim@127.0.0.1:1/none",
    "a query": "postgresql://127.0.0.1:1/none?user=user&password=geheim",
    "keys and values": "host=127.0.0.1 port=1 user=u password=geheim dbname=d",
    "a bad percent": "postgresql://user:geheim%zz@127.0.0.1:1/none",
    "a slash": "postgresql://user:geheim/x@127.0.0.1:1/none",
    "an at sign": "postgresql://user:x@geheim@127.0.0.1:1/none",
    "a blank": "host=127.0.0.1 port=1 user=u password=x geheim",
}


@pytest.mark.parametrize("url", _SAID_WITHOUT_THE_PASSWORD.values(), ids=_SAID_WITHOUT_THE_PASSWORD.keys())
def test_a_server_that_cannot_be_reached_is_told_without_the_password(url: str) -> None:
    """In one line; not even a piece of it that was taken for a port or a host. Nor does `migrate` say it."""
    with pytest.raises(StoreUnavailable) as of_pool, PostgresPool(url, size=1).connection():
        pass
    with pytest.raises(StoreUnavailable) as of_migrate:
        migrate(url)
    for message in (str(of_pool.value), str(of_migrate.value)):
        assert "geheim" not in message
        assert "\n" not in message


@pytest.mark.direct
def test_a_server_that_refuses_the_login_is_told_without_the_password(empty_database_url: str) -> None:
    """Whatever it objects to."""
    refused = make_dsn(empty_database_url, user="nobody_knows", password="geheim")
    with pytest.raises(StoreUnavailable, match="nobody_knows") as problem, PostgresPool(refused, size=1).connection():
        pass
    assert "geheim" not in str(problem.value)
