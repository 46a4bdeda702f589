"""Changes share a transaction in tables as others may have made them: other types, views, policies."""

from __future__ import annotations

import uuid
from collections.abc import Iterator
from contextlib import closing, contextmanager
from functools import partial
from typing import Any

import pytest
from psycopg2.extensions import make_dsn

from adapters.postgres.connection.pool import PostgresPool
from adapters.postgres.schema.migrate import migrate
from adapters.postgres.store.activities import PostgresActivityStore
from engagement_core.decisions.begin import decide_begin
from engagement_core.decisions.retry import RetryPolicy
from engagement_core.decisions.verdict import decide_verdict
from engagement_core.model.decision import Decision
from engagement_core.model.errors import Cause, Failure
from engagement_core.model.provider import Answer, Applied
from engagement_core.model.snapshot import Snapshot
from support.commands import execute
from support.together import claim_of, together

IDS = [str(uuid.UUID(int=number * 0xABCDEF)) for number in range(1, 5)]
AWKWARD = "nul \x00 surrogate \ud800 emoji 👩‍👩‍👧 quote ' percent %s backslash \\u0000 \\ brace {}"
STORED = "nul  surrogate ? emoji 👩‍👩‍👧 quote ' percent %s backslash \\u0000 \\ brace {}"
REFUSED = Failure(cause=Cause.NO_SESSION, message=AWKWARD)


@pytest.fixture
def url(database_url: str) -> str:
    """A database with four comments."""
    execute(
        database_url,
        "INSERT INTO linkedin_accounts (id) VALUES ('account'); INSERT INTO pods VALUES ('pod', NULL, 'account');"
        "INSERT INTO pod_activities (id, pod_id, engagement_type, post_id, comment_text, scheduled_for)"
        f" SELECT id, 'pod', 'comment', 'post', 'Great!', now() FROM unnest('{{{','.join(IDS)}}}'::text[]) AS u (id)",
    )
    return database_url


@contextmanager
def _store(url: str) -> Iterator[PostgresActivityStore]:
    with closing(PostgresPool(url, size=10)) as pool:
        yield PostgresActivityStore(pool)


def _kinds(outcomes: list[Any]) -> list[str]:
    return [type(outcome).__name__ for outcome in outcomes]


def _drop_functions(url: str) -> None:
    for (name,) in execute(url, "SELECT oid::regprocedure::text FROM pg_proc WHERE proname ~ '^engagement_'"):
        execute(url, f"DROP FUNCTION {name}")


def _verdicts(store: PostgresActivityStore, claims: list[Any], answers: list[Answer]) -> list[Any]:
    begins = [(each.activity.id, partial(decide_begin, claimed=each, text=AWKWARD)) for each in claims]
    begun = together(store, *begins)
    decisions = [
        partial(decide_verdict, attempt=each.attempt, answer=answer, policy=RetryPolicy())
        for each, answer in zip(begun, answers, strict=True)
    ]
    return together(store, *zip(IDS, decisions, strict=True))


@pytest.mark.parametrize("has_functions", [True, False], ids=["functions", "statements"])
@pytest.mark.parametrize(
    "types",
    [
        ("uuid", "json", "text", "smallint"),
        ("varchar(64)", "jsonb", "json", "bigint"),
        ("text", "json", "jsonb", "int"),
    ],
)
def test_what_is_written_together_is_what_is_written_alone(
    url: str, types: tuple[str, str, str, str], has_functions: bool
) -> None:
    """In columns of other types, with texts that PostgreSQL cannot hold, and with a count that is full."""
    id_type, result_type, error_type, count_type = types
    execute(
        url,
        "ALTER TABLE pod_activities ALTER COLUMN failure_count DROP NOT NULL,"
        f" ALTER COLUMN failure_count TYPE {count_type}, ALTER COLUMN id TYPE {id_type} USING id::{id_type},"
        f" ALTER COLUMN execution_result TYPE {result_type}, ALTER COLUMN last_error TYPE {error_type};"
        f"UPDATE pod_activities SET failure_count = 32767 WHERE id = '{IDS[1]}';"
        f"UPDATE pod_activities SET failure_count = 32766 WHERE id = '{IDS[2]}';"
        f"UPDATE pod_activities SET failure_count = NULL WHERE id = '{IDS[3]}'",
    )
    migrate(url)
    if not has_functions:
        _drop_functions(url)
    answers = [Applied(engagement_id=AWKWARD, created_at=None), REFUSED, REFUSED, REFUSED]
    with _store(url) as store:
        claims = together(store, *map(claim_of, IDS))
        assert _kinds(claims) == ["Claimed"] * 4
        _verdicts(store, claims, answers)
    assert execute(url, "SELECT count(DISTINCT xmin::text) FROM pod_activities") == [(1,)]
    rows = execute(
        url,
        "SELECT status, execution_id, execution_result::jsonb #>> '{api_response,engagement_id}', comment_generated,"
        " last_error::jsonb ->> 'message', failure_count FROM pod_activities ORDER BY id",
    )
    assert rows[0] == ("executed", STORED, STORED, STORED, None, 0)
    assert [(row[0], row[4], row[5]) for row in rows[1:]] == [
        ("scheduled", STORED, count) for count in (32767, 32767, 1)
    ]
    saved = execute(url, "SELECT text, error ->> 'message' FROM engagement_attempts ORDER BY activity_id")
    assert saved == [(STORED, None), *[(STORED, STORED)] * 3]


def test_a_lone_surrogate_is_stored_though_nothing_else_is_wrong_with_the_texts(url: str) -> None:
    """Nobody has to look for a NUL to find it."""
    with _store(url) as store:
        claims = together(store, *map(claim_of, IDS))
        begins = [(each.activity.id, partial(decide_begin, claimed=each, text="lone \udfff")) for each in claims]
        assert _kinds(together(store, *begins)) == ["Claimed"] * 4
    assert execute(url, "SELECT DISTINCT text FROM engagement_attempts") == [("lone ?",)]


def test_two_forms_of_one_uuid_in_a_group_are_one_activity(url: str) -> None:
    """The form that the row does not have is made alone, and sees what the other has left."""
    execute(url, "ALTER TABLE pod_activities ALTER COLUMN id TYPE uuid USING id::uuid")
    migrate(url)
    forms = [IDS[0].upper(), IDS[0], f"{{{IDS[0]}}}", IDS[0].replace("-", ""), IDS[1].upper(), IDS[2]]
    with _store(url) as store:
        outcomes = together(store, *(claim_of(form) for form in forms))
    assert sorted(_kinds(outcomes[:4])) == ["Claimed", "Dropped", "Dropped", "Dropped"]
    assert _kinds(outcomes[4:]) == ["Claimed", "Claimed"]
    assert execute(url, "SELECT count(*) FROM engagement_attempts") == [(3,)]


@pytest.mark.parametrize("has_functions", [True, False], ids=["functions", "statements"])
def test_a_view_whose_trigger_leaves_out_one_row_refuses_that_row_alone(url: str, has_functions: bool) -> None:
    """The others go through the view's own trigger."""
    execute(
        url,
        "ALTER TABLE pod_activities RENAME TO real_activities;"
        "CREATE VIEW pod_activities AS SELECT * FROM real_activities;"
        "CREATE FUNCTION theirs() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN"
        f" IF NEW.id = '{IDS[1]}' THEN RETURN NULL; END IF;"
        " UPDATE real_activities SET status = NEW.status, executed_at = NEW.executed_at,"
        "  execution_id = NEW.execution_id, execution_result = NEW.execution_result,"
        "  comment_generated = NEW.comment_generated, failure_count = NEW.failure_count, last_error = NEW.last_error,"
        "  next_retry_at = NEW.next_retry_at WHERE id = NEW.id; RETURN NEW; END $$;"
        "CREATE TRIGGER theirs INSTEAD OF UPDATE ON pod_activities FOR EACH ROW EXECUTE FUNCTION theirs()",
    )
    migrate(url)
    if not has_functions:
        _drop_functions(url)
    with _store(url) as store:
        claims = together(store, *map(claim_of, IDS))
        verdicts = _verdicts(store, claims, [Applied(engagement_id=None, created_at=None)] * 4)
    assert _kinds(verdicts) == ["Executed", "StoreRefused", "Executed", "Executed"]
    assert execute(url, "SELECT count(*) FROM real_activities WHERE status = 'executed'") == [(3,)]


@pytest.mark.direct
def test_a_role_that_may_execute_no_function_shares_transactions(url: str) -> None:
    """It sends the statements."""
    role = f"worker_{uuid.uuid4().hex[:8]}"
    execute(
        url,
        f"CREATE ROLE {role}; GRANT SELECT, INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA public TO {role};"
        f"GRANT USAGE ON ALL SEQUENCES IN SCHEMA public TO {role}",
    )
    for (name,) in execute(url, "SELECT oid::regprocedure::text FROM pg_proc WHERE proname ~ '^engagement_'"):
        execute(url, f"REVOKE EXECUTE ON FUNCTION {name} FROM PUBLIC")
    try:
        with _store(make_dsn(url, options=f"-c role={role}")) as store:
            assert _kinds(together(store, *map(claim_of, IDS))) == ["Claimed"] * 4
    finally:
        execute(url, f"DROP OWNED BY {role}; DROP ROLE {role}")


@pytest.mark.parametrize("name", ["engagement_show", "engagement_save", "engagement_sends"])
def test_a_function_that_is_dropped_under_a_group_costs_it_nothing(url: str, name: str) -> None:
    """The schema is read again, and each change is made alone."""
    execute(url, "UPDATE linkedin_accounts SET daily_limit = 3")
    with _store(url) as store:
        (function,) = execute(url, f"SELECT oid::regprocedure::text FROM pg_proc WHERE proname LIKE '{name}%'")
        outcomes = together(store, *map(claim_of, IDS), meanwhile=lambda: execute(url, f"DROP FUNCTION {function[0]}"))
        assert _kinds(outcomes) == ["Claimed"] * 4


@pytest.mark.direct
def test_a_shared_commit_is_durable_whatever_the_database_is_set_to(url: str) -> None:
    """The intents to send must survive a crash of the server."""
    settings = []

    def look(_: Snapshot) -> Decision[None]:
        (connection,) = (use.connection for use in store._pool._socket_timeout._uses)
        with connection.cursor() as cursor:
            cursor.execute("SHOW synchronous_commit")
            settings.append(cursor.fetchone())
        return Decision(None)

    with _store(make_dsn(url, options="-c synchronous_commit=off")) as store:
        together(store, *((each, look) for each in IDS))
    assert settings == [("on",)] * 4
