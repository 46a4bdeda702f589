"""A database connection whose bytes are swallowed: given up within its limit, and all that are as dead with it."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from contextlib import closing
from datetime import timedelta

import pytest
from psycopg2.extensions import connection as Connection

from adapters.postgres.connection import socket_timeout
from adapters.postgres.connection.pool import PostgresPool
from engagement_core.ports.activities import StoreUnavailable
from support.silent_proxy import SilentProxy, before_database

_SHORT = timedelta(seconds=0.5)
_SOON = 5.0
"""Far more than a limit of half a second and a look every half second; far less than for ever."""


@pytest.fixture
def proxy(empty_database_url: str) -> Iterator[SilentProxy]:
    """Before the database."""
    with before_database(empty_database_url) as made:
        yield made


def _pid(pool: PostgresPool) -> int:
    with pool.connection() as connection:
        return connection.get_backend_pid()


def _opened(pool: PostgresPool, count: int) -> set[int]:
    """So many connections, idle afterwards; their servers' process ids."""
    if count == 0:
        return set()
    with pool.connection() as connection:
        return {connection.get_backend_pid()} | _opened(pool, count - 1)


def test_a_silent_connection_is_given_up_within_its_limit(proxy: SilentProxy) -> None:
    """The thread that waits gets an ordinary error, and the next one a new connection."""
    with closing(PostgresPool(proxy.url, size=1, answers_within=_SHORT)) as pool:
        before = _pid(pool)
        proxy.silence()
        began = time.monotonic()
        with pytest.raises(StoreUnavailable, match="PostgreSQL did not answer for"):
            pool.query("SELECT 1")
        assert time.monotonic() - began < _SOON
        proxy.resume()
        assert _pid(pool) != before
        assert pool.query("SELECT 1") == [(1,)]


def test_a_use_may_have_a_limit_of_its_own(proxy: SilentProxy) -> None:
    """In a pool that sets none."""
    with (
        closing(PostgresPool(proxy.url, size=1)) as pool,
        pytest.raises(StoreUnavailable, match="did not answer"),
        pool.connection(answers_within=_SHORT) as connection,
    ):
        _ask_in_silence(connection, proxy)


def _ask_in_silence(connection: Connection, proxy: SilentProxy) -> None:
    proxy.silence()
    with connection.cursor() as cursor:
        cursor.execute("SELECT 1")


def test_idle_connections_go_with_one_that_was_silent(proxy: SilentProxy) -> None:
    """They would be as dead, and cost a limit each."""
    with closing(PostgresPool(proxy.url, size=3, answers_within=_SHORT)) as pool:
        before = _opened(pool, 3)
        assert len(before) == 3
        proxy.silence()
        with pytest.raises(StoreUnavailable, match="did not answer"):
            pool.query("SELECT 1")
        proxy.resume()
        assert not before & _opened(pool, 3)


def test_a_read_without_a_limit_goes_with_one_that_was_silent(
    proxy: SilentProxy, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It waits for the same server, and would wait for ever."""
    monkeypatch.setattr(socket_timeout, "_ALIVE_WITHIN_SECONDS", 0.2)
    errors: list[str] = []
    with closing(PostgresPool(proxy.url, size=2)) as pool:

        def read() -> None:
            try:
                pool.query("SELECT 1")
            except StoreUnavailable as error:
                errors.append(str(error))

        _opened(pool, 2)
        proxy.silence()
        reader = threading.Thread(target=read, daemon=True)
        reader.start()
        with (
            pytest.raises(StoreUnavailable),
            pool.connection(answers_within=_SHORT) as connection,
            connection.cursor() as cursor,
        ):
            cursor.execute("SELECT 1")
        reader.join(_SOON)
        assert [error[:25] for error in errors] == ["PostgreSQL did not answer"]


def test_long_work_is_not_cut_where_it_has_no_limit(proxy: SilentProxy) -> None:
    """Others are quick and have one meanwhile."""
    with closing(PostgresPool(proxy.url, size=2)) as pool:
        quick = threading.Thread(target=_use_with_limits, args=(pool,), daemon=True)
        quick.start()
        assert pool.query("SELECT 1 FROM pg_sleep(2)") == [(1,)]
        quick.join(_SOON)


def _use_with_limits(pool: PostgresPool) -> None:
    for _ in range(5):
        with pool.connection(answers_within=_SHORT) as connection, connection.cursor() as cursor:
            cursor.execute("SELECT pg_sleep(0.2)")


def test_an_answer_that_comes_within_the_limit_costs_no_connection(proxy: SilentProxy) -> None:
    """The time begins anew with each use."""
    with closing(PostgresPool(proxy.url, size=1, answers_within=timedelta(seconds=1))) as pool:
        before = _pid(pool)
        for _ in range(3):
            pool.query("SELECT pg_sleep(0.6)")
        assert _pid(pool) == before


def test_an_answer_in_between_gives_as_much_time_again(proxy: SilentProxy) -> None:
    """Two legal waits for a lock, one after the other, are no silence."""
    with closing(PostgresPool(proxy.url, size=1, answers_within=timedelta(seconds=1))) as pool:
        with pool.connection() as connection, connection.cursor() as cursor:
            for _ in range(3):
                cursor.execute("SELECT pg_sleep(0.6)")
                pool.has_answered(connection)
        with (
            pytest.raises(StoreUnavailable, match="did not answer"),
            pool.connection() as connection,
            connection.cursor() as cursor,
        ):
            cursor.execute("SELECT pg_sleep(5)")
