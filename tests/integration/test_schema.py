"""`migrate`, on whatever is there already."""

from __future__ import annotations

import threading
import uuid
from collections.abc import Iterator
from contextlib import closing, contextmanager
from functools import partial

import psycopg2
import pytest
from psycopg2.extensions import make_dsn

from adapters.postgres.connection.pool import PostgresPool
from adapters.postgres.inspection.catalog import SchemaProblem, checked, read_catalog
from adapters.postgres.schema.migrate import migrate, statements
from adapters.postgres.store.activities import PostgresActivityStore
from engagement_core.decisions.claim import Claimed, ClaimPolicy, Holder, decide_claim
from engagement_core.decisions.retry import RetryPolicy
from engagement_core.decisions.verdict import decide_verdict
from engagement_core.model.decision import Decision
from engagement_core.model.errors import Cause, Failure
from engagement_core.model.outcome import Executed
from engagement_core.model.provider import Answer, Applied

_ID = "11111111-2222-3333-4444-555555555555"

_EXISTING = """
CREATE TABLE linkedin_accounts (id uuid PRIMARY KEY, profile_id uuid, access_token text, name text);
CREATE TABLE voice_cartridges (id uuid PRIMARY KEY, personality_style text, tone text, templates jsonb);
CREATE TABLE pods (id uuid PRIMARY KEY, voice_cartridge_id uuid, linkedin_account_id uuid, owner text);
{before}
CREATE TABLE pod_activities (
    id uuid PRIMARY KEY, pod_id uuid REFERENCES pods, engagement_type {kind} NOT NULL, post_id text NOT NULL,
    profile_id uuid, comment_text text, scheduled_for timestamptz NOT NULL, status {status} NOT NULL, priority integer);
INSERT INTO linkedin_accounts VALUES ('{id}', '{id}', 'token', 'Ana');
INSERT INTO pods VALUES ('{id}', NULL, '{id}', 'Ana');
INSERT INTO pod_activities VALUES ('{id}', '{id}', 'like', 'post', NULL, NULL, now(), 'scheduled', 1);
"""
_ENUMS = "CREATE TYPE kind AS ENUM ('like', 'comment'); CREATE TYPE state AS ENUM ('scheduled', 'executed', 'failed');"


def _execute(database_url: str, script: str) -> None:
    with closing(psycopg2.connect(database_url)) as connection, connection, connection.cursor() as cursor:
        cursor.execute(script)


_REFUSED = Failure(cause=Cause.NO_SESSION, message="No session.")
_REJECTED = Failure(cause=Cause.REJECTED, message="No.")
_YES = Applied(engagement_id="e-1", created_at=None)


def _execute_the_like(database_url: str, answer: Answer = _YES) -> object:
    with closing(PostgresPool(database_url, size=1)) as pool:
        store = PostgresActivityStore(pool)
        holder = Holder(worker_id="w", token="w/1")
        claim = partial(decide_claim, holder=holder, policy=ClaimPolicy())
        claimed = store.change(_ID, claim)
        assert isinstance(claimed, Claimed)
        return store.change(_ID, partial(decide_verdict, attempt=claimed.attempt, answer=answer, policy=RetryPolicy()))


def _rows(database_url: str, query: str) -> list[tuple[object, ...]]:
    with closing(psycopg2.connect(database_url)) as connection, connection.cursor() as cursor:
        cursor.execute(query)
        return cursor.fetchall()


def test_an_empty_database_gets_everything_and_the_second_time_nothing(empty_database_url: str) -> None:
    """All statements and the functions, then none."""
    made = migrate(empty_database_url)
    assert made[:-3] == statements()
    assert [each.partition("(")[0].rpartition("_")[0] for each in made[-3:]] == [
        f"CREATE OR REPLACE FUNCTION engagement_{stem}" for stem in ("show", "sends", "save")
    ]
    assert migrate(empty_database_url) == ()


@pytest.mark.parametrize(
    ("before", "kind", "status"),
    [
        ("", "text", "text"),
        ("", "text", "text CHECK (status IN ('scheduled', 'executed', 'failed'))"),
        (_ENUMS, "kind", "state"),
    ],
    ids=["text", "check", "enum"],
)
def test_an_existing_schema_with_uuid_ids_is_extended_and_works(
    empty_database_url: str, before: str, kind: str, status: str
) -> None:
    """Nothing of theirs is changed, the second time nothing at all; a like is executed on it."""
    _execute(empty_database_url, _EXISTING.format(id=_ID, before=before, kind=kind, status=status))
    migrate(empty_database_url)
    assert migrate(empty_database_url) == ()
    assert isinstance(_execute_the_like(empty_database_url), Executed)
    executed = _rows(empty_database_url, "SELECT status::text, execution_id, priority FROM pod_activities")
    assert executed == [("executed", "e-1", 1)]


@pytest.mark.parametrize("answer", [_REFUSED, _REJECTED], ids=["retried", "failed"])
def test_a_failure_count_that_was_never_filled_in_counts_from_zero(empty_database_url: str, answer: Failure) -> None:
    """A column of theirs may have neither a default nor a value."""
    _execute(empty_database_url, _EXISTING.format(id=_ID, before="", kind="text", status="text"))
    _execute(empty_database_url, "ALTER TABLE pod_activities ADD COLUMN failure_count integer")
    migrate(empty_database_url)
    _execute_the_like(empty_database_url, answer)
    assert _rows(empty_database_url, "SELECT failure_count FROM pod_activities") == [(1,)]


def test_two_migrations_at_once_do_not_disturb_each_other(empty_database_url: str) -> None:
    """Two workers may be deployed together."""
    barrier, failed = threading.Barrier(2), []

    def run() -> None:
        barrier.wait()
        try:
            migrate(empty_database_url)
        except SchemaProblem as error:
            failed.append(error)

    threads = [threading.Thread(target=run) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failed == []
    assert migrate(empty_database_url) == ()


@pytest.mark.parametrize(
    ("column", "problem"),
    [
        ("scheduled_for timestamp", "scheduled_for is timestamp; it must be timestamptz"),
        ("scheduled_for timestamptz, next_retry_at timestamp", "next_retry_at is timestamp; it must be timestamptz"),
        ("scheduled_for timestamptz, execution_id uuid", "execution_id is uuid; it must be text"),
        ("scheduled_for timestamptz, failure_count text", "failure_count is text; it must be int4"),
    ],
)
def test_a_column_that_cannot_hold_what_is_written_is_refused_by_name(
    empty_database_url: str, column: str, problem: str
) -> None:
    """A time without a zone, say; and nothing is changed."""
    _execute(
        empty_database_url,
        "CREATE TABLE pod_activities (id text PRIMARY KEY, pod_id text, engagement_type text, post_id text,"
        f" profile_id text, comment_text text, status text, {column})",
    )
    with pytest.raises(SchemaProblem, match=rf"pod_activities\.{problem}\. Nothing was changed"):
        migrate(empty_database_url)
    assert _rows(empty_database_url, "SELECT to_regclass('engagement_attempts')") == [(None,)]


def test_a_store_without_its_tables_says_which_and_what_to_do(empty_database_url: str) -> None:
    """The command is named."""
    pool = PostgresPool(empty_database_url, size=1)
    with pytest.raises(SchemaProblem, match=r"table pod_activities is missing.*engagement migrate"):
        PostgresActivityStore(pool)
    pool.close()


@pytest.mark.direct
def test_a_role_that_owns_nothing_migrates_what_is_there_already(database_url: str) -> None:
    """A worker's own role needs no rights to change tables."""
    role = f"worker_{uuid.uuid4().hex}"
    _execute(database_url, f"CREATE ROLE {role}; GRANT SELECT ON ALL TABLES IN SCHEMA public TO {role}")
    try:
        assert migrate(make_dsn(database_url, options=f"-c role={role}")) == ()
    finally:
        _execute(database_url, f"DROP OWNED BY {role}; DROP ROLE {role}")


@pytest.mark.direct
def test_a_role_that_may_not_create_is_told_so(empty_database_url: str) -> None:
    """And nothing is changed."""
    role = f"worker_{uuid.uuid4().hex}"
    _execute(empty_database_url, f"CREATE ROLE {role}")
    try:
        with pytest.raises(SchemaProblem, match=r"permission denied.*Nothing was changed"):
            migrate(make_dsn(empty_database_url, options=f"-c role={role}"))
    finally:
        _execute(empty_database_url, f"DROP ROLE {role}")


def test_tables_of_the_same_name_in_another_schema_are_not_ours(empty_database_url: str) -> None:
    """Only what the search path finds counts; odd names elsewhere disturb nobody."""
    _execute(
        empty_database_url,
        'CREATE SCHEMA archive; CREATE TABLE archive.pod_activities (id integer); CREATE TABLE "a.b c" (id integer)',
    )
    assert migrate(empty_database_url)[:-3] == statements()


@contextmanager
def _store_on(database_url: str, script: str) -> Iterator[PostgresActivityStore]:
    """A store on tables that were there before `migrate`."""
    _execute(database_url, script)
    migrate(database_url)
    with closing(PostgresPool(database_url, size=1)) as pool:
        yield PostgresActivityStore(pool)


@pytest.mark.parametrize("first", ["name text DEFAULT md5(random()::text)", "about json"])
def test_the_account_that_acts_does_not_depend_on_the_order_of_columns(empty_database_url: str, first: str) -> None:
    """Of two accounts of one profile it is the first by id."""
    existing = (
        f"CREATE TABLE linkedin_accounts ({first}, id text PRIMARY KEY, profile_id text, access_token text);"
        "INSERT INTO linkedin_accounts (id, profile_id) SELECT 'account-' || n, 'profile' FROM generate_series(1, 20) n"
    )
    with _store_on(empty_database_url, existing) as store:
        _execute(
            empty_database_url,
            "INSERT INTO pods VALUES ('p');"
            "INSERT INTO pod_activities (id, pod_id, engagement_type, post_id, profile_id, scheduled_for)"
            " VALUES ('a', 'p', 'like', 'post', 'profile', now())",
        )
        account = store.change("a", lambda shown: Decision(shown.account))
    assert account is not None
    assert account.id == "account-1"


@pytest.mark.parametrize("text", [f"urn:uuid:{_ID}", f"1-{_ID[1:]}", f"+{_ID[1:]}", f"\u0661{_ID[1:]}"])
def test_a_text_that_is_no_uuid_to_postgresql_names_no_activity(empty_database_url: str, text: str) -> None:
    """A job may ring for anything."""
    with _store_on(empty_database_url, _EXISTING.format(id=_ID, before="", kind="text", status="text")) as store:
        assert store.change(text, lambda shown: Decision(shown.activity)) is None


@pytest.mark.parametrize("text", [_ID.upper(), f"{{{_ID}}}", _ID.replace("-", "")])
def test_a_uuid_names_its_activity_in_every_spelling_that_postgresql_takes(empty_database_url: str, text: str) -> None:
    """Producers write it as they like; the snapshot has the one that the table shows."""
    with _store_on(empty_database_url, _EXISTING.format(id=_ID, before="", kind="text", status="text")) as store:
        activity = store.change(text, lambda shown: Decision(shown.activity))
    assert activity is not None
    assert activity.id == _ID


_OURS = [
    "engagement_attempts",
    "engagement_dead_letters",
    "engagement_controls",
    "engagement_workers",
    "engagement_alerts",
]


def test_a_type_that_no_migration_changes_is_told_with_another_cure(database_url: str) -> None:
    """`engagement migrate` would only refuse it."""
    with closing(psycopg2.connect(database_url)) as connection, connection.cursor() as cursor:
        cursor.execute("ALTER TABLE pod_activities ALTER COLUMN executed_at TYPE timestamp")
        with pytest.raises(SchemaProblem) as told:
            checked(read_catalog(connection))
    assert "executed_at is timestamp; it must be timestamptz" in str(told.value)
    assert "existing-schema.md" in str(told.value)
    assert "Run `engagement migrate`" not in str(told.value)


def test_a_schema_from_before_any_of_our_columns_is_told_in_one_line(database_url: str) -> None:
    """Whichever column it lacks: the worker does not start, and says what to do."""
    with closing(psycopg2.connect(database_url)) as connection, connection, connection.cursor() as cursor:
        cursor.execute(
            "SELECT table_name, column_name FROM information_schema.columns"
            " WHERE table_schema = current_schema() AND table_name = ANY(%s)",
            (_OURS,),
        )
        columns = cursor.fetchall()
        assert len(columns) > 50
        for table, column in columns:
            cursor.execute(f"SAVEPOINT whole; ALTER TABLE {table} DROP COLUMN {column} CASCADE")
            with pytest.raises(SchemaProblem) as told:
                checked(read_catalog(connection))
            assert str(told.value) == f"table {table} lacks the column {column}. Run `engagement migrate`."
            cursor.execute("ROLLBACK TO SAVEPOINT whole")
