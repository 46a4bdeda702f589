"""The functions that keep the plans of the store: used where they are there, missed without harm where they are not."""

from __future__ import annotations

import uuid
from collections.abc import Iterator
from contextlib import closing, contextmanager

import psycopg2
import pytest
from psycopg2.extensions import make_dsn

from adapters.postgres.connection.pool import PostgresPool
from adapters.postgres.inspection.catalog import read_catalog
from adapters.postgres.schema.migrate import migrate, schema_sql
from adapters.postgres.store.activities import PostgresActivityStore
from adapters.postgres.store.sends import SENDS
from adapters.postgres.store.server_function import ServerFunction
from adapters.postgres.store.statements import render
from engagement_core.model.decision import as_it_is
from engagement_core.ports.activities import StoreUnavailable

_ID = "11111111-2222-3333-4444-555555555555"
_MANY = 5_000


def _sql(url: str, script: str) -> list[tuple[object, ...]]:
    with closing(psycopg2.connect(url)) as connection:
        connection.autocommit = True
        with connection.cursor() as cursor:
            cursor.execute(script)
            return cursor.fetchall() if cursor.description else []


def _kept(url: str) -> ServerFunction:
    with closing(psycopg2.connect(url)) as connection:
        return render(read_catalog(connection)).show.function


def _functions(url: str) -> tuple[ServerFunction, ...]:
    with closing(psycopg2.connect(url)) as connection:
        return render(read_catalog(connection)).functions


def _calls(url: str) -> int:
    """How often any of the functions was called, by sessions that have ended or were told to say so."""
    return int(str(_sql(url, "SELECT COALESCE(sum(calls), 0) FROM pg_stat_user_functions")[0][0]))


@contextmanager
def _store(url: str) -> Iterator[PostgresActivityStore]:
    with closing(PostgresPool(url, size=1)) as pool:
        yield PostgresActivityStore(pool)


@pytest.fixture
def url(database_url: str) -> str:
    """A database with one like; its server counts the calls of functions."""
    name = psycopg2.extensions.parse_dsn(database_url)["dbname"]
    _sql(
        database_url,
        f"ALTER DATABASE \"{name}\" SET track_functions = 'all';"
        "INSERT INTO pods VALUES ('pod', NULL, 'account'); INSERT INTO linkedin_accounts (id) VALUES ('account');"
        "INSERT INTO pod_activities (id, pod_id, engagement_type, post_id, scheduled_for)"
        f" VALUES ('{_ID}', 'pod', 'like', 'post', now())",
    )
    return database_url


def test_the_store_reads_by_the_function_that_migrate_made(url: str) -> None:
    """Once for every change."""
    with _store(url) as store:
        for _ in range(3):
            assert store.change(_ID, as_it_is).account is not None
    assert _eventually_called(url) == 3


def _eventually_called(url: str) -> int:
    """A session's counts are there when it has ended, which its client does not wait for."""
    for _ in range(500):
        if found := _calls(url):
            return found
        _sql(url, "SELECT pg_sleep(0.01)")
    return 0


def test_a_role_that_may_not_execute_the_function_reads_all_the_same(url: str) -> None:
    """A database may grant nothing to everybody."""
    role, kept = f"worker_{uuid.uuid4().hex}", _kept(url)
    _sql(
        url,
        f"CREATE ROLE {role}; GRANT SELECT, INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA public TO {role};"
        f"REVOKE EXECUTE ON FUNCTION {kept.name} FROM PUBLIC",
    )
    try:
        with _store(make_dsn(url, options=f"-c role={role}")) as store:
            assert store.change(_ID, as_it_is).activity is not None
    finally:
        _sql(url, f"DROP OWNED BY {role}; DROP ROLE {role}")


def test_a_function_that_is_taken_from_the_role_costs_one_try(url: str) -> None:
    """Not every try until somebody starts the worker anew."""
    role, kept = f"worker_{uuid.uuid4().hex}", _kept(url)
    _sql(url, f"CREATE ROLE {role}; GRANT SELECT, INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA public TO {role}")
    try:
        with _store(make_dsn(url, options=f"-c role={role}")) as store:
            assert store.change(_ID, as_it_is).activity is not None
            _sql(url, f"REVOKE EXECUTE ON FUNCTION {kept.name} FROM PUBLIC")
            with pytest.raises(StoreUnavailable, match="permission denied for function"):
                store.change(_ID, as_it_is)
            assert store.change(_ID, as_it_is).activity is not None
    finally:
        _sql(url, f"DROP OWNED BY {role}; DROP ROLE {role}")


def test_a_function_that_was_dropped_costs_one_try(url: str) -> None:
    """Somebody may tidy up while a worker works."""
    with _store(url) as store:
        assert store.change(_ID, as_it_is).activity is not None
        _sql(url, f"DROP FUNCTION {_kept(url).name}")
        with pytest.raises(StoreUnavailable, match="does not exist"):
            store.change(_ID, as_it_is)
        assert store.change(_ID, as_it_is).activity is not None


def test_ids_that_become_uuid_under_a_worker_cost_one_try(url: str) -> None:
    """And the next `migrate` makes the function for them, beside the one that other workers may still use."""
    before = _kept(url)
    with _store(url) as store:
        assert store.change(_ID, as_it_is).activity is not None
        _sql(url, "ALTER TABLE pod_activities ALTER COLUMN id TYPE uuid USING id::uuid")
        with pytest.raises(StoreUnavailable, match="operator does not exist"):
            store.change(_ID, as_it_is)
        assert store.change(_ID, as_it_is).activity is not None
    after = _kept(url)
    made = migrate(url)
    assert after.create in made
    assert [each.partition("(")[0] for each in made] == [
        f"CREATE OR REPLACE FUNCTION {each.name}" for each in _functions(url) if each.name != SENDS.function.name
    ]
    assert before.name != after.name
    with _store(url) as store:
        assert store.change(_ID, as_it_is).activity is not None
    assert _sql(url, f"SELECT to_regproc('{before.name}') IS NOT NULL") == [(True,)]


def test_a_plan_made_for_empty_tables_scans_none_that_has_grown(url: str) -> None:
    """It is kept, and nobody knows when statistics are next taken."""
    _sql(url, "DELETE FROM pod_activities")
    _sql(url, "VACUUM pod_activities, engagement_attempts, pods, linkedin_accounts, engagement_controls")
    with _store(url) as store:
        assert store.change(_ID, as_it_is).activity is None
        for _ in range(2):  # once with no row, so that the next one meets the plan that was made for none
            assert store.change(_ID, as_it_is).activity is None
        _sql(
            url,
            "INSERT INTO pod_activities (id, pod_id, engagement_type, post_id, scheduled_for)"
            f" SELECT 'a-' || n, 'pod', 'like', 'post', now() FROM generate_series(1, {_MANY}) n;"
            "INSERT INTO engagement_attempts (activity_id, number, token, worker_id, phase, event, effect, account_id,"
            "  engagement_type, post_id, claimed_at, deadline_at)"
            " SELECT 'a-' || n, 1, 't', 'w', 'executed', 'confirm', 'applied', 'account', 'like', 'post', now(), now()"
            f" FROM generate_series(1, {_MANY}) n",
        )
        before = _scanned(url)
        for number in range(1, 11):
            assert len(store.change(f"a-{number}", as_it_is).attempts) == 1
    assert _eventually_called(url) >= 13
    assert _scanned(url) == before


def _scanned(url: str) -> object:
    return _sql(
        url,
        "SELECT sum(seq_tup_read) FROM pg_stat_user_tables WHERE relname IN ('pod_activities', 'engagement_attempts')",
    )


def test_the_printed_schema_is_all_that_an_empty_database_needs(empty_database_url: str) -> None:
    """The function for text ids is part of it."""
    for _ in range(2):
        _sql(empty_database_url, schema_sql())
    assert migrate(empty_database_url) == ()


def test_accounts_that_cannot_be_found_along_an_index_are_found(empty_database_url: str) -> None:
    """Their ids are of another type than the pods' references to them."""
    _sql(
        empty_database_url,
        "CREATE TABLE linkedin_accounts (id uuid PRIMARY KEY, profile_id varchar(40), access_token varchar(99),"
        "  daily_limit smallint);"
        "CREATE TABLE voice_cartridges (id bigint PRIMARY KEY, personality_style text, tone varchar(9),"
        "  templates json)",
    )
    migrate(empty_database_url)
    _sql(
        empty_database_url,
        f"INSERT INTO linkedin_accounts VALUES ('{_ID}', NULL, 'token', 7);"
        "INSERT INTO voice_cartridges VALUES (5, 'concise', NULL, '{\"a\": [1]}');"
        f"INSERT INTO pods VALUES ('pod', '5', '{_ID}'), ('other', 'x', 'nobody');"
        "INSERT INTO pod_activities (id, pod_id, engagement_type, post_id, scheduled_for)"
        " VALUES ('a', 'pod', 'like', 'post', now()), ('b', 'other', 'like', 'post', now())",
    )
    with _store(empty_database_url) as store:
        shown = store.change("a", as_it_is)
        assert shown.account is not None
        assert (shown.account.id, shown.account.access_token, shown.account.daily_limit) == (_ID, "token", 7)
        assert shown.cartridge is not None
        assert shown.cartridge.templates == {"a": [1]}
        assert store.change("b", as_it_is).account is None
