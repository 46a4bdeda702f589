"""A database that E-03 and E-04 use already: extended without touching what is theirs, or refused with the reason."""

from __future__ import annotations

import re
import uuid
from concurrent.futures import ThreadPoolExecutor
from concurrent.futures import TimeoutError as StillWaiting
from contextlib import closing
from pathlib import Path
from urllib.parse import urlsplit

import psycopg2
import pytest

from adapters.postgres.connection.pool import PostgresPool
from adapters.postgres.inspection.catalog import SchemaProblem, read_catalog
from adapters.postgres.inspection.constraints import WRITTEN
from adapters.postgres.schema.migrate import migrate
from adapters.postgres.store.activities import PostgresActivityStore
from adapters.postgres.store.sweep import sweep_statements
from adapters.postgres.store.sweep_statements import render_sweep
from adapters.unipile.sandbox import Sandbox
from fakes.telemetry import InMemoryTelemetry
from runners.process import run_burst
from support.commands import Commands, execute
from support.stage import stage_settings

_PAGE = Path(__file__).resolve().parents[2] / "docs" / "how-to" / "existing-schema.md"
_POD, _ACCOUNT = str(uuid.uuid4()), str(uuid.uuid4())

_SURROUNDINGS = f"""
CREATE TABLE linkedin_accounts (id uuid PRIMARY KEY, profile_id uuid, access_token text, owner_email text NOT NULL);
CREATE TABLE voice_cartridges (id uuid PRIMARY KEY, personality_style text, tone text, templates jsonb, version int);
CREATE TABLE pods (id uuid PRIMARY KEY, name text NOT NULL, voice_cartridge_id uuid REFERENCES voice_cartridges,
                   linkedin_account_id uuid REFERENCES linkedin_accounts, members int CHECK (members > 0));
INSERT INTO linkedin_accounts VALUES ('{_ACCOUNT}', '{uuid.uuid4()}', 'token', 'ana@example.com');
INSERT INTO pods VALUES ('{_POD}', 'Ana''s', NULL, '{_ACCOUNT}', 3);
"""
_ACTIVITIES = """
CREATE TABLE pod_activities (
    id uuid PRIMARY KEY DEFAULT gen_random_uuid(), pod_id uuid NOT NULL REFERENCES pods, member_id uuid NOT NULL,
    engagement_type text NOT NULL CHECK (engagement_type IN ('like', 'comment')), post_id text NOT NULL,
    profile_id uuid, comment_text text, scheduled_for timestamptz, created_at timestamptz NOT NULL DEFAULT now(),
    status text NOT NULL DEFAULT 'pending', priority int NOT NULL, {column}
    CONSTRAINT status_words CHECK (status IN ({words})));
CREATE INDEX theirs_by_pod ON pod_activities (pod_id, scheduled_for);
COMMENT ON TABLE pod_activities IS 'E-03';
CREATE FUNCTION touch() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN NEW.priority = OLD.priority; RETURN NEW; END';
CREATE TRIGGER touched BEFORE UPDATE ON pod_activities FOR EACH ROW EXECUTE FUNCTION touch();
CREATE TABLE activity_notes (activity_id uuid REFERENCES pod_activities, note text);
"""
_WORDS = "'pending', 'scheduled', 'executed', 'failed', 'completed', 'cancelled'"
_STATUSES = ("pending", "scheduled", "completed", "cancelled")

# What pg_dump would show of the tables in a schema, one line each.
_DUMP = """
SELECT format('%s %s %s %s %s %s', c.relname, c.relkind, c.relowner::regrole, c.relacl, c.relrowsecurity,
              obj_description(c.oid)) FROM pg_class c WHERE c.relnamespace = 'public'::regnamespace
UNION ALL
SELECT format('%s.%s %s %s %s %s', c.relname, a.attname, format_type(a.atttypid, a.atttypmod), a.attnotnull,
              pg_get_expr(d.adbin, d.adrelid), a.attstattarget)
  FROM pg_attribute a JOIN pg_class c ON c.oid = a.attrelid AND c.relkind IN ('r', 'v')
  LEFT JOIN pg_attrdef d ON (d.adrelid, d.adnum) = (a.attrelid, a.attnum)
 WHERE a.attnum > 0 AND c.relnamespace = 'public'::regnamespace
UNION ALL
SELECT format('%s on %s: %s', conname, conrelid::regclass, pg_get_constraintdef(oid)) FROM pg_constraint
 WHERE connamespace = 'public'::regnamespace
UNION ALL SELECT pg_get_indexdef(i.indexrelid) FROM pg_index i JOIN pg_class c ON c.oid = i.indrelid
           WHERE c.relnamespace = 'public'::regnamespace
UNION ALL SELECT pg_get_triggerdef(oid) FROM pg_trigger WHERE NOT tgisinternal
UNION ALL SELECT pg_get_functiondef(oid) FROM pg_proc WHERE pronamespace = 'public'::regnamespace
UNION ALL SELECT format('%s on %s', polname, polrelid::regclass) FROM pg_policy
"""


def _theirs(database_url: str, *, words: str = _WORDS, column: str = "") -> None:
    execute(database_url, _SURROUNDINGS + _ACTIVITIES.format(words=words, column=column))


def _dump(database_url: str) -> set[str]:
    return {row[0] for row in execute(database_url, _DUMP)}


def _add(database_url: str, status: str) -> str:
    ((activity_id,),) = execute(
        database_url,
        "INSERT INTO pod_activities (pod_id, member_id, engagement_type, post_id, scheduled_for, status, priority)"
        " VALUES (%s, gen_random_uuid(), 'like', 'post', now(), %s, 7) RETURNING id",
        _POD,
        status,
    )
    return str(activity_id)


def _burst(database_url: str) -> int:
    with Sandbox() as sandbox:
        run_burst(stage_settings(database_url, sandbox, unipile_api_version="v0"), InMemoryTelemetry(), "worker-1")
        return len(sandbox.ledger()["effects"])


def test_nothing_that_is_theirs_is_altered(empty_database_url: str) -> None:
    """Compared as pg_dump would show it: there is more of ours, and nothing is gone or different."""
    _theirs(empty_database_url)
    before = _dump(empty_database_url)
    migrate(empty_database_url)
    after = _dump(empty_database_url)
    assert before <= after
    ours = re.compile(
        rf"engagement_\w+ |engagement_\w+\.|\S+ on engagement_\w+: |CREATE (UNIQUE )?INDEX engagement_\w+ |"
        rf"CREATE OR REPLACE FUNCTION public\.engagement_\w+|"
        rf"pod_activities\.({'|'.join(WRITTEN)}) |linkedin_accounts\.(unipile_account_id|status|daily_limit) |"
        r"pod_activities_failure_count_not_null "
    )
    assert [line for line in after - before if not ours.match(line)] == []


def test_time_limit_of_the_role_does_not_end_a_migration_that_waits(empty_database_url: str) -> None:
    """Nor one that builds an index of a large table."""
    _theirs(empty_database_url)
    database = urlsplit(empty_database_url).path.lstrip("/")
    execute(empty_database_url, f"ALTER DATABASE {database} SET statement_timeout = '400ms'")
    with ThreadPoolExecutor(1) as threads, closing(psycopg2.connect(empty_database_url)) as other:
        with other, other.cursor() as cursor:
            cursor.execute("SET LOCAL statement_timeout = 0; LOCK TABLE pod_activities IN SHARE MODE")
            migrating = threads.submit(migrate, empty_database_url)
            with pytest.raises(StillWaiting):
                migrating.result(timeout=1)
        assert migrating.result(timeout=20) != ()


def test_rows_in_other_statuses_are_left_as_they_are(empty_database_url: str) -> None:
    """Of four one is scheduled; it is executed, and no column of theirs has changed in any."""
    _theirs(empty_database_url)
    migrate(empty_database_url)
    ids = {status: _add(empty_database_url, status) for status in _STATUSES}
    theirs = "SELECT id, pod_id, member_id, created_at, scheduled_for, priority FROM pod_activities ORDER BY id"
    before = execute(empty_database_url, theirs)
    assert _burst(empty_database_url) == 1
    assert execute(empty_database_url, theirs) == before
    statuses = dict(execute(empty_database_url, "SELECT id::text, status FROM pod_activities"))
    assert statuses == {**{ids[status]: status for status in _STATUSES}, ids["scheduled"]: "executed"}


@pytest.mark.parametrize(
    ("column", "problem"),
    [
        ("next_retry_at timestamptz NOT NULL DEFAULT now(),", "next_retry_at is NOT NULL; it must allow NULL"),
        ("executed_at timestamptz NOT NULL DEFAULT now(),", "executed_at is NOT NULL; it must allow NULL"),
        ("execution_id varchar(20),", r"execution_id is varchar\(20\); it must hold 255 characters"),
        ("comment_generated varchar(280),", r"comment_generated is varchar\(280\); it must hold 1250 characters"),
        ("execution_result text,", "execution_result is text; it must be jsonb"),
        ("last_error integer,", "last_error is int4; it must be jsonb"),
        ("last_error jsonb CHECK (last_error ? 'code'),", "CHECK pod_activities_last_error_check .* refuses a retry"),
        (
            "executed_at timestamptz, execution_id text, CHECK (executed_at IS NULL OR execution_id IS NOT NULL),",
            "CHECK pod_activities_check .* refuses an executed like",
        ),
        ("failure_count int CHECK (failure_count <= 3),", "refuses a failure after many requeues"),
        ("comment_generated text CHECK (length(comment_generated) <= 280),", "refuses an executed comment"),
        (
            "failure_count int GENERATED ALWAYS AS (priority) STORED,",
            "failure_count cannot be updated: it is generated",
        ),
    ],
)
def test_a_column_of_theirs_that_would_refuse_a_record_is_named(
    empty_database_url: str, column: str, problem: str
) -> None:
    """Before anything is sent; and nothing is changed."""
    _theirs(empty_database_url, column=column)
    before = _dump(empty_database_url)
    with pytest.raises(SchemaProblem, match=rf"{problem}.*Nothing was changed"):
        migrate(empty_database_url)
    assert _dump(empty_database_url) == before


@pytest.mark.parametrize(
    ("words", "refused"),
    [
        ("'pending', 'scheduled', 'completed', 'cancelled'", "an executed like"),
        ("'pending', 'scheduled', 'executed', 'cancelled'", "a failure"),
        ("'pending', 'executed', 'failed'", "a retry"),
    ],
)
def test_a_check_on_status_that_lacks_a_word_is_named(empty_database_url: str, words: str, refused: str) -> None:
    """With what it refuses and with its own words."""
    _theirs(empty_database_url, words=words)
    with pytest.raises(SchemaProblem, match=rf"the CHECK status_words of pod_activities refuses {refused}.*'pending'"):
        migrate(empty_database_url)


def test_a_check_that_is_added_later_stops_a_worker_before_it_sends(empty_database_url: str) -> None:
    """E-03 may be deployed after us."""
    _theirs(empty_database_url)
    migrate(empty_database_url)
    _add(empty_database_url, "scheduled")
    execute(empty_database_url, "ALTER TABLE pod_activities ADD CONSTRAINT no_more CHECK (status <> 'executed')")
    with pytest.raises(SchemaProblem, match=r"no_more of pod_activities refuses an executed like.*so nothing is"):
        _burst(empty_database_url)


def test_a_rule_that_also_concerns_their_columns_is_left_to_them(empty_database_url: str) -> None:
    """It cannot be judged without knowing what they write there."""
    _theirs(empty_database_url, column="CHECK (status <> 'executed' OR priority > 0), CHECK (post_id LIKE '%o%'),")
    migrate(empty_database_url)
    _add(empty_database_url, "scheduled")
    assert _burst(empty_database_url) == 1


@pytest.mark.parametrize(
    ("labels", "problem"),
    [
        (
            "'pending', 'scheduled'",
            r"status has no value 'executed' \(ALTER TYPE state ADD VALUE 'executed'\).*'failed'",
        ),
        ("'pending', 'executed', 'failed'", "status has no value 'scheduled'"),
    ],
)
def test_an_enum_that_lacks_a_word_is_told_with_the_cure(empty_database_url: str, labels: str, problem: str) -> None:
    """Which cannot run in a transaction beside its use, so it is theirs to do."""
    _theirs(empty_database_url)
    execute(
        empty_database_url,
        f"CREATE TYPE state AS ENUM ({labels}); ALTER TABLE pod_activities DROP CONSTRAINT status_words;"
        "ALTER TABLE pod_activities ALTER status DROP DEFAULT, ALTER status TYPE state USING status::state",
    )
    with pytest.raises(SchemaProblem, match=problem):
        migrate(empty_database_url)


def test_an_enum_with_more_words_and_a_check_of_its_own_works(empty_database_url: str) -> None:
    """For both columns, with last_error as text."""
    _theirs(empty_database_url, column="last_error text, executed_at timestamptz,")
    execute(
        empty_database_url,
        f"CREATE TYPE state AS ENUM ({_WORDS}); CREATE TYPE kind AS ENUM ('like', 'comment', 'share');"
        "ALTER TABLE pod_activities DROP CONSTRAINT status_words, DROP CONSTRAINT pod_activities_engagement_type_check;"
        "ALTER TABLE pod_activities ALTER status DROP DEFAULT, ALTER status TYPE state USING status::state,"
        " ALTER engagement_type TYPE kind USING engagement_type::kind;"
        "ALTER TABLE pod_activities ADD CONSTRAINT not_done CHECK (status <> 'completed' OR executed_at IS NOT NULL)",
    )
    migrate(empty_database_url)
    _add(empty_database_url, "scheduled")
    assert _burst(empty_database_url) == 1


def test_a_column_that_they_must_fill_is_named_when_an_activity_is_scheduled(empty_database_url: str) -> None:
    """Our reference E-04 does not know their columns; it says which one."""
    _theirs(empty_database_url)
    migrate(empty_database_url)
    engagement = Commands(environ={"DATABASE_URL": empty_database_url})
    told = engagement.refused("schedule", "--pod", _POD, "--type", "like", "--post", "p", code=1)
    assert "member_id" in told


# -- the page


def _script(name: str) -> str:
    page = _PAGE.read_text(encoding="utf-8")
    (script,) = re.findall(rf"<!-- {name} -->\n```sql\n(.*?)```", page, re.DOTALL)
    return script


@pytest.fixture
def viewed(empty_database_url: str) -> str:
    """Their table of other names, and the page's view of it."""
    execute(empty_database_url, _SURROUNDINGS)
    for name in ("theirs", "ours", "indexes"):
        execute(empty_database_url, _script(name))
    migrate(empty_database_url)
    return empty_database_url


def _add_theirs(database_url: str, state: str) -> str:
    ((activity_id,),) = execute(
        database_url,
        "INSERT INTO activities (activity_uuid, pod, action, target_urn, run_at, state, created_by)"
        " VALUES (gen_random_uuid(), %s, 'like', 'post', now() AT TIME ZONE 'UTC', %s, 'e-04') RETURNING activity_uuid",
        _POD,
        state,
    )
    return str(activity_id)


def test_through_the_page_s_view_their_table_is_executed(viewed: str) -> None:
    """In their words; what is not pending is left alone."""
    ids = {state: _add_theirs(viewed, state) for state in ("draft", "pending", "cancelled")}
    assert _burst(viewed) == 1
    states = dict(execute(viewed, "SELECT activity_uuid::text, state::text FROM activities"))
    assert states == {ids["draft"]: "draft", ids["pending"]: "completed", ids["cancelled"]: "cancelled"}
    ((success,),) = execute(viewed, "SELECT execution_result->>'success' FROM activities WHERE state = 'completed'")
    assert success == "true"


def test_through_the_page_s_view_a_failure_is_recorded_in_their_words(viewed: str) -> None:
    """A post that is gone."""
    _add_theirs(viewed, "pending")
    with Sandbox() as sandbox:
        sandbox.set_faults([{"match": {}, "action": "status", "status": 404}])
        run_burst(stage_settings(viewed, sandbox, unipile_api_version="v0"), InMemoryTelemetry(), "worker-1")
    ((state, failures),) = execute(viewed, "SELECT state::text, failure_count FROM activities")
    assert (state, failures) == ("errored", 1)


def test_the_page_s_index_serves_the_sweep_through_the_view(viewed: str) -> None:
    """However many lie in the future."""
    execute(
        viewed,
        "INSERT INTO activities (activity_uuid, pod, action, target_urn, run_at, state, created_by)"
        f" SELECT gen_random_uuid(), '{_POD}', 'like', 'post', now() + interval '1 day', 'pending', 'e-04'"
        " FROM generate_series(1, 5000); ANALYZE activities",
    )
    with closing(psycopg2.connect(viewed)) as connection, connection.cursor() as cursor:
        catalog = read_catalog(connection)
        assert sweep_statements(connection, catalog).is_indexed
        sweep = render_sweep(catalog)
        given = {"look_ahead": "8 s", "limit": 100, "held": [], "share": None}
        for message, index in (
            (sweep.earliest, "engagement_due"),
            (sweep.fair, "engagement_due_of_profile"),
            (sweep.fair, "engagement_due_of_pod"),
        ):
            how_to_plan, _, statement = message.rpartition(";")
            cursor.execute(f"{how_to_plan};EXPLAIN {statement}", given)
            plan = "\n".join(row[0] for row in cursor.fetchall())
            assert f"Index Scan using {index} on activities" in plan
            assert "Seq Scan on activities" not in plan


def test_migrate_names_the_indexes_that_a_view_s_table_needs(viewed: str) -> None:
    """A view cannot have them."""
    result = Commands(environ={"DATABASE_URL": viewed})("migrate")
    assert result.exit_code == 0
    for index in ("engagement_due", "engagement_due_of_profile", "engagement_due_of_pod", "engagement_credited"):
        assert f"the table under it needs: CREATE INDEX IF NOT EXISTS {index}" in result.stderr
    assert "engagement_profiles" not in result.stderr


def test_a_view_of_other_names_alone_needs_no_trigger(empty_database_url: str) -> None:
    """PostgreSQL writes through it; locks go through it, too."""
    execute(
        empty_database_url,
        _SURROUNDINGS
        + "CREATE TABLE activities (key text PRIMARY KEY, pod uuid, kind text, urn text, profile uuid, body text,"
        " at timestamptz, state text, done_at timestamptz, result jsonb, said text, failures int, error jsonb,"
        " again_at timestamptz, engagement text);"
        "CREATE VIEW pod_activities AS SELECT key AS id, pod AS pod_id, kind AS engagement_type, urn AS post_id,"
        " profile AS profile_id, body AS comment_text, at AS scheduled_for, state AS status, done_at AS executed_at,"
        " result AS execution_result, said AS comment_generated, failures AS failure_count, error AS last_error,"
        " again_at AS next_retry_at, engagement AS execution_id FROM activities;"
        f"INSERT INTO activities (key, pod, kind, urn, at, state)"
        f" VALUES ('a', '{_POD}', 'like', 'post', now(), 'scheduled')",
    )
    migrate(empty_database_url)
    assert _burst(empty_database_url) == 1
    assert execute(empty_database_url, "SELECT state FROM activities") == [("executed",)]


def test_a_view_that_cannot_be_written_is_refused(viewed: str) -> None:
    """Without the trigger nothing could be recorded."""
    execute(viewed, "DROP TRIGGER record ON pod_activities")
    with pytest.raises(SchemaProblem, match=r"pod_activities\.status cannot be updated.*INSTEAD OF UPDATE trigger"):
        migrate(viewed)
    with closing(PostgresPool(viewed, size=1)) as pool, pytest.raises(SchemaProblem, match="cannot be updated"):
        PostgresActivityStore(pool)


@pytest.mark.parametrize("what", ["INSTEAD NOTHING", "ALSO NOTIFY theirs"])
def test_a_rule_that_rewrites_updates_is_refused(database_url: str, what: str) -> None:
    """Nobody could tell whether a write had changed anything."""
    execute(database_url, f"CREATE RULE theirs AS ON UPDATE TO pod_activities DO {what}")
    with pytest.raises(SchemaProblem, match=r"the rule theirs of pod_activities rewrites updates; use a trigger"):
        migrate(database_url)
    with closing(PostgresPool(database_url, size=1)) as pool, pytest.raises(SchemaProblem, match="the rule theirs"):
        PostgresActivityStore(pool)


def test_a_view_that_lacks_a_column_is_told_which(viewed: str) -> None:
    """It is not ours to change."""
    execute(
        viewed,
        "DROP VIEW pod_activities;"
        "CREATE VIEW pod_activities AS SELECT activity_uuid AS id, pod AS pod_id FROM activities",
    )
    with pytest.raises(SchemaProblem, match=r"pod_activities lacks the columns engagement_type.*Nothing was changed"):
        migrate(viewed)
