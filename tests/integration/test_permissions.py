"""A worker's own role: it has what it needs and nothing more, and is told what it lacks before anything is sent."""

from __future__ import annotations

import re
import uuid
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from concurrent.futures import TimeoutError as StillWaiting
from contextlib import closing, contextmanager
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from urllib.parse import urlsplit

import psycopg2
import pytest

from adapters.postgres.connection.pool import PostgresPool
from adapters.postgres.inspection.catalog import SchemaProblem
from adapters.postgres.inspection.grants import grants_sql
from adapters.postgres.readers.status import PostgresStatusReader
from adapters.postgres.store.activities import PostgresActivityStore
from adapters.unipile.sandbox import Sandbox
from engagement_core.model.decision import Decision
from fakes.telemetry import InMemoryTelemetry
from runners.process import run_burst
from support.commands import Commands, add_rows, execute
from support.servers import ServerUrls
from support.stage import stage_settings

_OUR_TABLES = (
    "engagement_attempts",
    "engagement_dead_letters",
    "engagement_controls",
    "engagement_workers",
    "engagement_alerts",
)
_ALL_TABLES = ("pod_activities", "pods", "voice_cartridges", "linkedin_accounts", *_OUR_TABLES)


@dataclass(frozen=True, kw_only=True)
class House:
    """A database in which every new session is the worker's role, but for those that say otherwise."""

    url: str
    role: str

    def as_owner(self, script: str) -> list[tuple[object, ...]]:
        """Execute something as the one who owns the tables."""
        return execute(self.url, f"SET LOCAL ROLE NONE; {script}")

    def grant(self) -> None:
        """What `engagement migrate --sql --role` prints, executed by the owner."""
        printed = Commands()("migrate", "--sql", "--role", self.role)
        assert printed.exit_code == 0, printed.stderr
        self.as_owner(printed.stdout)

    @contextmanager
    def store(self) -> Iterator[PostgresActivityStore]:
        """The worker's store."""
        with closing(PostgresPool(self.url, size=1)) as pool:
            yield PostgresActivityStore(pool)


@pytest.fixture
def house(direct_servers: ServerUrls, database_url: str) -> Iterator[House]:
    """With a role of an awkward name that may do nothing yet, and a like that is due."""
    role = f'the "worker\'s" $$ 100% {uuid.uuid4().hex[:8]}'
    name = role.replace('"', '""')
    add_rows(database_url, "a-1")
    execute(database_url, f'CREATE ROLE "{name}"')
    database = urlsplit(database_url).path.lstrip("/")
    execute(database_url, f"ALTER DATABASE {database} SET role = {_literal(role)}")
    # A pooler's sessions from before would still be somebody else's.
    sessions = f"SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity WHERE datname = '{database}'"
    execute(direct_servers.database_url, sessions)
    try:
        yield House(url=database_url, role=role)
    finally:
        drop = f'SET LOCAL ROLE NONE; ALTER DATABASE {database} RESET role; DROP OWNED BY "{name}"; DROP ROLE "{name}"'
        execute(database_url, drop)


def _literal(text: str) -> str:
    return "'" + text.replace("'", "''") + "'"


def _burst(url: str) -> Sandbox:
    with Sandbox() as sandbox:
        settings = stage_settings(url, sandbox)
        run_burst(settings, InMemoryTelemetry(), "worker-1")
        return sandbox


def test_role_with_the_printed_rights_executes_what_is_due(house: House) -> None:
    """From the claim to the verdict, and its heartbeat; the script can be executed twice."""
    house.grant()
    house.grant()
    _burst(house.url)
    assert execute(house.url, "SELECT status, execution_result->>'success' FROM pod_activities") == [
        ("executed", "true")
    ]


def test_the_printed_rights_are_the_least(house: House) -> None:
    """Their columns cannot be changed, no row of theirs added or deleted, and no attempt forgotten."""
    house.grant()
    for statement in (
        "UPDATE pod_activities SET scheduled_for = now()",
        "UPDATE pod_activities SET comment_text = ''",
        "UPDATE linkedin_accounts SET status = 'ok'",
        "DELETE FROM pod_activities",
        "INSERT INTO pods (id) VALUES ('p')",
        "DELETE FROM engagement_attempts",
        "CREATE TABLE mine (id text)",
    ):
        with pytest.raises(Exception, match="permission denied"):
            execute(house.url, statement)


def test_every_right_that_is_granted_is_needed(house: House) -> None:
    """Without any one of them the store says which it is, before anything is sent."""
    house.grant()
    name = '"' + house.role.replace('"', '""') + '"'
    rights = [(table, "SELECT") for table in _ALL_TABLES]
    rights += [("pod_activities", "UPDATE")]
    rights += [(f"engagement_{each}", "DELETE") for each in ("workers", "controls", "alerts")]
    rights += [(table, right) for table in _OUR_TABLES for right in ("INSERT", "UPDATE")]
    for table, right in rights:
        house.as_owner(f"REVOKE {right} ON {table} FROM {name}")
        with pytest.raises(SchemaProblem, match=rf"lacks {right}( \(.*\))? ON {table}.*--sql --role"), house.store():
            pass
        house.grant()
    with house.store() as store:
        assert [due.activity_id for due in store.due(look_ahead=timedelta(0), limit=10)] == ["a-1"]


def test_row_level_security_with_the_printed_policies_hides_nothing_from_the_worker(house: House) -> None:
    """On every table; all that is due is executed."""
    house.as_owner("".join(f"ALTER TABLE {table} ENABLE ROW LEVEL SECURITY;" for table in _ALL_TABLES))
    house.grant()
    _burst(house.url)
    assert execute(house.url, "SELECT status FROM pod_activities") == [("executed",)]


def test_the_page_s_script_closes_our_tables_to_everybody_else(house: House) -> None:
    """The owner goes on as before; so does a role with policies; a role with rights alone sees nothing."""
    page = Path(__file__).resolve().parents[2] / "docs" / "how-to" / "poolers-and-roles.md"
    (script,) = re.findall(r"<!-- close -->\n```sql\n(.*?)```", page.read_text(encoding="utf-8"), re.DOTALL)
    house.as_owner(script)
    house.grant()
    _burst(house.url)
    counted = "SELECT count(*) FROM engagement_attempts"
    assert execute(house.url, counted) == [(1,)]
    stranger = f"stranger_{uuid.uuid4().hex}"
    house.as_owner(f"CREATE ROLE {stranger}; GRANT SELECT ON engagement_attempts TO {stranger}")
    try:
        assert house.as_owner(f"SET LOCAL ROLE {stranger}; {counted}") == [(0,)]
    finally:
        house.as_owner(f"DROP OWNED BY {stranger}; DROP ROLE {stranger}")


def test_row_level_security_without_a_policy_is_said_and_not_taken_for_nothing_due(house: House) -> None:
    """By the worker, and by whoever only looks."""
    house.grant()
    house.as_owner("ALTER TABLE pod_activities ENABLE ROW LEVEL SECURITY")
    told = r"row-level security of pod_activities hides every row from role .*no policy for SELECT.*--sql --role"
    with pytest.raises(SchemaProblem, match=told), house.store():
        pass
    with pytest.raises(SchemaProblem, match=told), closing(PostgresPool(house.url, size=1)) as pool:
        PostgresStatusReader(pool)


def test_policy_that_shows_rows_and_lets_none_be_changed_is_not_enough(house: House) -> None:
    """An update that finds no row is no error: an execution would not be recorded."""
    house.grant()
    house.as_owner(
        "ALTER TABLE pod_activities ENABLE ROW LEVEL SECURITY;"
        "CREATE POLICY readable ON pod_activities FOR SELECT USING (true)"
    )
    with pytest.raises(SchemaProblem, match="no policy for UPDATE"), house.store():
        pass


def test_policy_of_another_role_shows_nothing(house: House) -> None:
    """Whom it is for matters."""
    house.grant()
    house.as_owner(
        "ALTER TABLE pods ENABLE ROW LEVEL SECURITY; CREATE POLICY others ON pods TO pg_monitor USING (true)"
    )
    with pytest.raises(SchemaProblem, match="row-level security of pods"), house.store():
        pass


def test_a_role_may_look_without_being_able_to_work(house: House) -> None:
    """A dashboard needs no right to write."""
    name = '"' + house.role.replace('"', '""') + '"'
    house.as_owner(f"GRANT SELECT ON ALL TABLES IN SCHEMA public TO {name}")
    with closing(PostgresPool(house.url, size=1)) as pool:
        assert PostgresStatusReader(pool).read().due.value == 1


def test_time_limit_of_the_role_does_not_end_a_change_that_waits_for_its_row(house: House) -> None:
    """A page's queries are what it is meant for; a verdict that waits for a lock is not lost by it."""
    house.grant()
    database = urlsplit(house.url).path.lstrip("/")
    house.as_owner(f"ALTER DATABASE {database} SET statement_timeout = '400ms'")
    with house.store() as store, ThreadPoolExecutor(1) as threads, closing(psycopg2.connect(house.url)) as other:
        with other, other.cursor() as cursor:
            cursor.execute("SELECT 1 FROM pod_activities FOR NO KEY UPDATE")
            waiting = threads.submit(store.change, "a-1", lambda shown: Decision(shown.activity))
            with pytest.raises(StillWaiting):
                waiting.result(timeout=1)
        activity = waiting.result(timeout=20)
    assert activity is not None


def test_migrate_warns_of_our_tables_that_are_open_to_browsers(house: House) -> None:
    """As they are on Supabase, where the role `anon` gets every right to a new table; not once they are closed."""
    engagement = Commands(environ={"DATABASE_URL": house.url})
    house.grant()
    has_role = execute(house.url, "SELECT 1 FROM pg_roles WHERE rolname = 'anon'")
    if not has_role:
        house.as_owner("CREATE ROLE anon")
    try:
        assert engagement("migrate").stderr == ""
        house.as_owner("GRANT SELECT ON engagement_attempts, engagement_alerts TO anon")
        told = engagement("migrate").stderr
        assert re.findall(r"Warning: .* can read (\w+)", told) == ["engagement_alerts", "engagement_attempts"]
        house.as_owner("ALTER TABLE engagement_attempts ENABLE ROW LEVEL SECURITY")
        house.grant()
        assert "engagement_attempts" not in engagement("migrate").stderr
    finally:
        house.as_owner("REVOKE ALL ON ALL TABLES IN SCHEMA public FROM anon")
        if not has_role:
            house.as_owner("DROP ROLE anon")


def test_functions_of_the_schema_are_granted_too() -> None:
    """Where rights to new functions were taken from everybody."""
    schema = "CREATE OR REPLACE FUNCTION engagement_look(id text) RETURNS text AS $$ ... $$;"
    assert 'GRANT EXECUTE ON FUNCTION engagement_look TO "worker";' in grants_sql("worker", schema)
    assert "EXECUTE ON FUNCTION" not in grants_sql("worker", "")


@pytest.mark.parametrize("role", ["", "x" * 64])
def test_name_that_no_role_can_have_is_refused(role: str) -> None:
    """PostgreSQL would cut it, and the rights would go to somebody else."""
    result = Commands()("migrate", "--sql", "--role", role)
    assert result.exit_code == 2
    assert "1 to 63 bytes" in result.stderr


def test_rights_are_printed_and_never_given() -> None:
    """Whom to trust is the owner's decision."""
    result = Commands()("migrate", "--role", "worker")
    assert result.exit_code == 2
    assert "--role goes with --sql" in result.stderr
