"""`engagement doctor`: each test breaks the set-up, and the doctor finds it and names the cure."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from contextlib import ExitStack, closing
from datetime import datetime, timedelta, timezone
from pathlib import Path

import psycopg2
import psycopg2.extras
import pytest
import redis

from adapters.postgres.inspection.constraints import WRITTEN
from adapters.postgres.inspection.grants import GRANTS
from adapters.postgres.schema.diagnostics import examine_database
from adapters.unipile.sandbox import Sandbox
from engagement_core.model.signal import Signal
from support.commands import Commands
from support.doctor import PASSWORD, Clinic, listener, own_servers, pooler, redis_that_says, refuses_tls, speaks_tls
from support.provider import OK, ScriptedServer
from support.stage import Stage, stage_settings

pytestmark = pytest.mark.servers

NOWHERE = "127.0.0.1:1"


@pytest.fixture(scope="module")
def servers_of_ours() -> Iterator[Clinic]:
    """One pair for all tests of this module; each test repairs what it has broken."""
    with own_servers() as clinic:
        yield clinic


@pytest.fixture
def sandbox() -> Iterator[Sandbox]:
    """The provider."""
    with Sandbox() as running:
        yield running


@pytest.fixture
def clinic(servers_of_ours: Clinic, sandbox: Sandbox) -> Clinic:
    """Everything is well, with one account."""
    servers_of_ours.sql(
        "TRUNCATE linkedin_accounts",
        "INSERT INTO linkedin_accounts (id, unipile_account_id) VALUES ('acc-1', 'u-1')",
    )
    environ = {"UNIPILE_BASE_URL": sandbox.url, "UNIPILE_API_VERSION": "v1"}
    return Clinic(
        database_url=servers_of_ours.database_url,
        redis_url=servers_of_ours.redis_url,
        sockets=servers_of_ours.sockets,
        changes=environ,
    )


def test_a_healthy_set_up_is_healthy(clinic: Clinic, sandbox: Sandbox) -> None:
    """Nothing fails, everything was checked, and nothing was sent to the provider."""
    found = clinic.finds()
    assert {each["level"] for name, each in found.items() if name != "metrics port"} == {"ok"}
    assert found["accounts"]["says"] == "All 1 are connected."
    assert sandbox.ledger()["effects"] == []


def test_without_a_queue_no_redis_is_checked(clinic: Clinic) -> None:
    """Nothing is missing: the doctor says that there is no queue. A URL that is left over is not looked at."""
    found = clinic.finds(POD_ENGAGEMENT_QUEUE="none", REDIS_URL="not a URL")
    assert found["queue"]["level"] == "ok"
    assert "there is no queue" in found["queue"]["says"]
    assert [name for name in found if "redis" in name.lower()] == []
    assert {each["level"] for name, each in found.items() if name != "metrics port"} == {"ok"}


def test_the_table_shows_what_was_found(clinic: Clinic) -> None:
    """The table is for people; the exit code is the same."""
    result = Commands(environ={**clinic.changes, "REDIS_URL": clinic.redis_url})("doctor")
    assert result.exit_code == 1
    assert "DATABASE_URL" in result.stdout
    assert "FAILED" in result.stdout
    assert "not checked: DATABASE_URL failed" in result.stdout


def test_every_wrong_variable_is_named(clinic: Clinic) -> None:
    """Not only the first one. Checks that do not need these variables still run."""
    found = clinic.finds(
        POD_ENGAGEMENT_JOB_TIMEOUT="soon", LOG_LEVEL="loud", POD_ENGAGEMENT_RETRY_BACKOFF_MS="x", UNIPILE_API_KEY=""
    )
    for name in ("POD_ENGAGEMENT_JOB_TIMEOUT", "LOG_LEVEL", "POD_ENGAGEMENT_RETRY_BACKOFF_MS", "UNIPILE_API_KEY"):
        assert found[name]["level"] == "failed"
    assert found["provider"]["says"] == "not checked: UNIPILE_API_KEY failed"
    assert found["Redis eviction"]["level"] == "ok"


def test_wrong_variables_of_a_file_are_named_too(
    clinic: Clinic, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """All of them are named; so is a file that cannot be read."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / ".env").write_text("POD_ENGAGEMENT_JOB_TIMEOUT=soon\nLOG_FORMAT=xml\n")
    found = clinic.finds()
    assert {found[name]["level"] for name in ("POD_ENGAGEMENT_JOB_TIMEOUT", "LOG_FORMAT")} == {"failed"}
    (tmp_path / ".env").write_bytes(b"\xff\xfe=\x00")
    found = clinic.finds()
    assert found["configuration"]["level"] == "failed"
    assert found["PostgreSQL"]["says"] == "not checked: configuration failed"


def test_a_queue_whose_library_is_not_installed(clinic: Clinic, monkeypatch: pytest.MonkeyPatch) -> None:
    """A worker with these settings would not start, even if Redis works."""
    monkeypatch.setitem(sys.modules, "bullmq", None)
    for name in ("adapters.bullmq.queue", "adapters.bullmq.jobs"):
        monkeypatch.delitem(sys.modules, name, raising=False)
    found = clinic.finds(POD_ENGAGEMENT_QUEUE="bullmq")
    assert found["POD_ENGAGEMENT_QUEUE"]["level"] == "failed"
    assert "pip install 'pod-engagement[bullmq]'" in found["POD_ENGAGEMENT_QUEUE"]["says"]
    assert found["Redis eviction"]["level"] == "ok"


@pytest.mark.parametrize("name", ["DATABASE_URL", "REDIS_URL"])
def test_what_is_no_url_is_told_without_repeating_it(clinic: Clinic, name: str) -> None:
    """It may hold a password."""
    found = clinic.finds(**{name: f"mysql://user:{PASSWORD}@host/x"})
    assert found[name]["level"] == "failed"
    assert "percent-encode" in found[name]["cure"]


def test_a_short_visibility_lag_is_warned_of(clinic: Clinic) -> None:
    """With the real provider."""
    found = clinic.finds(UNIPILE_BASE_URL=f"https://{NOWHERE}", POD_ENGAGEMENT_VISIBILITY_LAG_MS="5000")
    assert found["POD_ENGAGEMENT_VISIBILITY_LAG_MS"]["level"] == "warning"


def test_a_postgresql_that_is_not_there(clinic: Clinic) -> None:
    """The checks that need it are skipped; Redis is checked."""
    found = clinic.finds(DATABASE_URL=f"postgresql://u:{PASSWORD.replace('/', '%2F')}@{NOWHERE}/x")
    assert "Check host and port in DATABASE_URL" in found["PostgreSQL"]["cure"]
    assert found["schema"]["says"] == "not checked: PostgreSQL failed"
    assert found["accounts"]["level"] == "skipped"
    assert found["Redis"]["level"] == "ok"


def test_a_wrong_password(clinic: Clinic) -> None:
    """PostgreSQL's."""
    found = clinic.finds(DATABASE_URL=clinic.guest(password="falsch"))
    assert found["PostgreSQL"]["level"] == "failed"
    assert "Correct user and password in DATABASE_URL" in found["PostgreSQL"]["cure"]


def test_a_database_that_does_not_exist(clinic: Clinic) -> None:
    """The cure says that its name is wrong."""
    found = clinic.finds(DATABASE_URL=clinic.guest(database="nowhere"))
    assert "Correct the database's name" in found["PostgreSQL"]["cure"]


@pytest.mark.parametrize(
    ("serve", "mode"), [(refuses_tls, "sslmode=require"), (speaks_tls, "sslmode=verify-full&sslrootcert=/dev/null")]
)
def test_tls_that_cannot_be_had(clinic: Clinic, serve: object, mode: str) -> None:
    """The server has no TLS, or a certificate that cannot be trusted."""
    with listener(serve) as port:  # type: ignore[arg-type]
        found = clinic.finds(DATABASE_URL=f"postgresql://u@127.0.0.1:{port}/x?{mode}")
    assert found["PostgreSQL"]["level"] == "failed"
    assert "sslmode" in found["PostgreSQL"]["cure"]


def test_a_database_without_the_schema(clinic: Clinic) -> None:
    """The cure is `engagement migrate`. Grants on missing tables are not checked."""
    with clinic.spoilt(["CREATE DATABASE bare"], ["DROP DATABASE bare WITH (FORCE)"]):
        found = clinic.finds(DATABASE_URL=clinic.database_url.replace("/postgres?", "/bare?"))
    assert "table pod_activities is missing" in found["schema"]["says"]
    assert "engagement migrate" in found["schema"]["cure"]
    assert found["grants"]["says"] == "not checked: schema failed"


@pytest.mark.parametrize(
    ("spoil", "told", "mend"),
    [
        (
            "ALTER TABLE engagement_attempts DROP COLUMN text_source",
            "text_source",
            "ALTER TABLE engagement_attempts ADD COLUMN text_source text",
        ),
        (
            "DROP INDEX engagement_attempts_once",
            "engagement_attempts_once",
            """CREATE UNIQUE INDEX engagement_attempts_once ON engagement_attempts (activity_id)
               WHERE effect IN ('unknown', 'applied')""",
        ),
    ],
)
def test_a_schema_that_is_too_old(clinic: Clinic, spoil: str, told: str, mend: str) -> None:
    """A missing column, and a missing index: the promise depends on that index."""
    with clinic.spoilt([spoil], [mend]):
        found = clinic.finds()
    assert told in found["schema"]["says"]
    assert "engagement migrate" in found["schema"]["cure"]


@pytest.mark.parametrize(
    ("spoil", "told", "mend"),
    [
        (
            "ALTER TABLE pod_activities ADD CONSTRAINT words CHECK (status IN ('scheduled', 'done'))",
            "the CHECK words of pod_activities refuses an executed like",
            "ALTER TABLE pod_activities DROP CONSTRAINT words",
        ),
        (
            "ALTER TABLE pod_activities ALTER COLUMN execution_id TYPE varchar(20)",
            "execution_id is varchar(20)",
            "ALTER TABLE pod_activities ALTER COLUMN execution_id TYPE text",
        ),
        (
            "ALTER TABLE pod_activities ALTER COLUMN executed_at TYPE timestamp",
            "executed_at is timestamp; it must be timestamptz",
            "ALTER TABLE pod_activities ALTER COLUMN executed_at TYPE timestamptz",
        ),
    ],
)
def test_a_table_that_refuses_what_is_written(clinic: Clinic, spoil: str, told: str, mend: str) -> None:
    """A worker does not start, and `engagement migrate` cannot repair it: the cure is a different one."""
    with clinic.spoilt([spoil], [mend]):
        found = clinic.finds()
    assert told in found["rules"]["says"]
    assert (found["rules"]["level"], "existing-schema.md" in found["rules"]["cure"]) == ("failed", True)
    assert found["schema"]["level"] == "ok"


_GRANTED = (
    "GRANT USAGE ON SCHEMA public TO guest",
    *(f"GRANT {', '.join(privileges)} ON {table} TO guest" for table, privileges in GRANTS.items()),
    f"GRANT UPDATE ({', '.join(WRITTEN)}) ON pod_activities TO guest",
)
_REVOKED = (
    *(f"REVOKE ALL ON {table} FROM guest" for table in GRANTS),
    f"REVOKE UPDATE ({', '.join(WRITTEN)}) ON pod_activities FROM guest",
)


@pytest.mark.parametrize(
    ("revoked", "told"),
    [
        ("INSERT, UPDATE ON engagement_attempts", "INSERT, UPDATE ON engagement_attempts"),
        ("UPDATE (last_error) ON pod_activities", "UPDATE (last_error) ON pod_activities"),
        ("SELECT ON linkedin_accounts", "SELECT ON linkedin_accounts"),
        ("DELETE ON engagement_workers", "DELETE ON engagement_workers"),
    ],
)
def test_a_grant_that_the_role_lacks_is_named(clinic: Clinic, revoked: str, told: str) -> None:
    """In the words of the GRANT that repairs it."""
    with clinic.spoilt([*_GRANTED, f"REVOKE {revoked} FROM guest"], _REVOKED):
        found = clinic.finds(DATABASE_URL=clinic.guest())
    assert told in found["grants"]["says"]
    assert f"GRANT {told} TO" in found["grants"]["cure"]


def test_a_role_with_exactly_these_grants_can_do_all_the_work(clinic: Clinic, sandbox: Sandbox) -> None:
    """The grants that the doctor names are enough: for a like, a comment, a dead letter and the end of a worker."""
    owner = Stage(settings=stage_settings(clinic.database_url, sandbox), sandbox=sandbox)
    owner.sql("TRUNCATE linkedin_accounts")
    owner.add_account(1)
    owner.add_likes(1, 2)
    owner.sql(
        "INSERT INTO pod_activities (id, pod_id, engagement_type, post_id, comment_text, scheduled_for) VALUES"
        " ('comment', 'pod-1', 'comment', 'p', 'Well said.', now()), ('bad', 'nobody', 'like', 'p', NULL, now())"
    )
    emptied = "TRUNCATE pods, pod_activities, engagement_attempts, engagement_dead_letters, engagement_alerts"
    with clinic.spoilt(_GRANTED, [emptied, *_REVOKED]):
        assert clinic.finds(DATABASE_URL=clinic.guest())["grants"]["level"] == "ok"
        guest = Stage(settings=stage_settings(clinic.guest(), sandbox), sandbox=sandbox)
        with guest.working() as app:
            guest.wait_for(Signal.JOB_COMPLETED, 3)
            guest.wait_for(Signal.DEAD_LETTER, 1)
            app.maintenance.registry.leave(app.maintenance.worker_id)
        assert owner.statuses() == {"executed": 3, "failed": 1}
        assert owner.sql("SELECT count(*) FROM engagement_workers WHERE left_at IS NULL") == [(0,)]


def test_rows_that_a_policy_hides(clinic: Clinic) -> None:
    """Otherwise nothing would ever be due, and nobody would know why."""
    enabled = "ALTER TABLE pod_activities ENABLE ROW LEVEL SECURITY"
    disabled = "ALTER TABLE pod_activities DISABLE ROW LEVEL SECURITY"
    with clinic.spoilt([*_GRANTED, enabled], [disabled, *_REVOKED]):
        found = clinic.finds(DATABASE_URL=clinic.guest())
    assert "pod_activities hides every row" in found["row security"]["says"]
    assert found["row security"]["level"] == "failed"
    assert "--sql --role" in found["row security"]["cure"]


def test_rows_that_a_policy_may_hide(clinic: Clinic) -> None:
    """Only the policy knows which rows: a warning."""
    enabled = (
        "ALTER TABLE pods ENABLE ROW LEVEL SECURITY",
        "CREATE POLICY few ON pods TO guest USING (id LIKE 'pod-%')",
    )
    disabled = ("DROP POLICY few ON pods", "ALTER TABLE pods DISABLE ROW LEVEL SECURITY")
    with clinic.spoilt([*_GRANTED, *enabled], [*disabled, *_REVOKED]):
        found = clinic.finds(DATABASE_URL=clinic.guest())
    assert (found["row security"]["level"], "pods" in found["row security"]["says"]) == ("warning", True)


def _connections(limit: int) -> str:
    return f"ALTER ROLE guest CONNECTION LIMIT {limit}"


def test_too_few_connections_for_the_threads(clinic: Clinic) -> None:
    """The lowest limit counts. With fewer threads, the check passes."""
    with clinic.spoilt([*_GRANTED, _connections(3)], [_connections(-1), *_REVOKED]):
        few = clinic.finds(DATABASE_URL=clinic.guest(), POD_ENGAGEMENT_WORKER_CONCURRENCY="5")["connections"]
        with ExitStack() as stack:
            for _ in range(5):  # of another role, which that limit does not count
                stack.enter_context(closing(psycopg2.connect(clinic.database_url)))
            fits = clinic.finds(DATABASE_URL=clinic.guest(), POD_ENGAGEMENT_WORKER_CONCURRENCY="2")["connections"]
    assert "CONNECTION LIMIT" in few["says"]
    assert "POD_ENGAGEMENT_WORKER_CONCURRENCY" in few["cure"]
    assert (few["level"], fits["level"]) == ("failed", "ok")


def test_no_connection_that_is_left(clinic: Clinic) -> None:
    """The server runs, but has no free connection."""
    with clinic.spoilt([_connections(0)], [_connections(-1)]):
        found = clinic.finds(DATABASE_URL=clinic.guest())
    assert "max_connections" in found["PostgreSQL"]["cure"]


def test_a_transaction_pooler_is_recognised_and_is_well(clinic: Clinic) -> None:
    """A pooler gives its clients process ids that no server has."""
    with pooler(clinic.database_url, clinic.sockets) as url:
        found = clinic.finds(DATABASE_URL=url)
    assert "transaction mode" in found["pooler"]["says"]
    assert {found[name]["level"] for name in ("pooler", "PostgreSQL", "connections", "schema")} == {"ok"}
    assert "direct" in clinic.finds()["pooler"]["says"]


def test_a_read_only_database(clinic: Clinic) -> None:
    """As a standby is."""
    read_only = "ALTER ROLE guest SET default_transaction_read_only = on"
    with clinic.spoilt([read_only], ["ALTER ROLE guest RESET ALL"]):
        found = clinic.finds(DATABASE_URL=clinic.guest())
    assert "primary" in found["PostgreSQL writes"]["cure"]


def test_an_asynchronous_standby_is_warned_of(clinic: Clinic) -> None:
    """A synchronous standby causes no warning."""
    options = {"connection_factory": psycopg2.extras.PhysicalReplicationConnection}
    with closing(psycopg2.connect(clinic.database_url, **options)) as standby, standby.cursor() as cursor:
        cursor.execute("IDENTIFY_SYSTEM")
        cursor.start_replication(start_lsn=cursor.fetchone()[2])
        found = clinic.finds()["standbys"]
        named = ("ALTER SYSTEM SET synchronous_standby_names = '*'", "SELECT pg_reload_conf()")
        unnamed = ("ALTER SYSTEM RESET synchronous_standby_names", "SELECT pg_reload_conf()")
        with clinic.spoilt(named, unnamed):
            with closing(psycopg2.connect(clinic.database_url)) as another:
                _until_set(another)
            synchronous = clinic.finds()["standbys"]
    assert found["level"] == "warning"
    assert "synchronous_standby_names" in found["cure"]
    assert synchronous["level"] == "ok"


def _until_set(connection: psycopg2.extensions.connection) -> None:
    connection.autocommit = True
    with connection.cursor() as cursor:
        for _ in range(1000):
            cursor.execute("SELECT pg_sleep(0.01), current_setting('synchronous_standby_names')")
            if cursor.fetchone()[1]:
                return
    raise AssertionError("the setting was not taken")


@pytest.mark.parametrize(("seconds", "level"), [(0, "ok"), (5, "warning"), (-120, "failed")])
def test_clocks_that_disagree(clinic: Clinic, monkeypatch: pytest.MonkeyPatch, seconds: float, level: str) -> None:
    """The test moves this machine's clock; the database's clock is the real one."""
    real = examine_database

    def shifted(url: str) -> object:
        return real(url, now=lambda: datetime.now(timezone.utc) - timedelta(seconds=seconds))

    monkeypatch.setattr("runners.doctor.database.examine_database", shifted)
    found = clinic.finds()["clock"]
    assert found["level"] == level
    if level != "ok":
        assert "NTP" in found["cure"]
        assert ("behind" if seconds > 0 else "ahead of") in found["says"]


def test_a_redis_that_is_not_there(clinic: Clinic) -> None:
    """The checks that need it are skipped; PostgreSQL is checked."""
    found = clinic.finds(REDIS_URL=f"redis://:geheim%2F123@{NOWHERE}/0")
    assert "REDIS_URL" in found["Redis"]["cure"]
    assert found["Redis eviction"]["says"] == "not checked: Redis failed"
    assert found["schema"]["level"] == "ok"


def test_a_wrong_password_of_redis(clinic: Clinic) -> None:
    """No password, and a wrong one."""
    with closing(redis.from_url(clinic.redis_url)) as client:
        client.config_set("requirepass", PASSWORD)
        try:
            none = clinic.finds()["Redis"]
            wrong = clinic.finds(REDIS_URL=clinic.redis_url.replace("unix://", "unix://:falsch@"))["Redis"]
            right = clinic.finds(REDIS_URL=clinic.redis_url.replace("unix://", "unix://:geheim%2F123@"))["Redis"]
        finally:
            client.auth(PASSWORD)
            client.config_set("requirepass", "")
    for found in (none, wrong):
        assert "Correct user and password in REDIS_URL" in found["cure"]
    assert right["level"] == "ok"


def test_a_user_of_redis_who_may_not_ask(clinic: Clinic) -> None:
    """The cure names the missing right."""
    with closing(redis.from_url(clinic.redis_url)) as client:
        client.acl_setuser("weak", enabled=True, passwords=["+falsch"], keys=["*"], commands=["+@all", "-info"])
        try:
            found = clinic.finds(REDIS_URL=clinic.redis_url.replace("unix://", "unix://weak:falsch@"))["Redis"]
        finally:
            client.acl_deluser("weak")
    assert "INFO" in found["cure"]


def test_an_eviction_policy_that_loses_jobs(clinic: Clinic) -> None:
    """It must be noeviction."""
    with closing(redis.from_url(clinic.redis_url)) as client:
        client.config_set("maxmemory-policy", "allkeys-lru")
        try:
            found = clinic.finds()["Redis eviction"]
        finally:
            client.config_set("maxmemory-policy", "noeviction")
    assert "allkeys-lru" in found["says"]
    assert "noeviction" in found["cure"]
    assert found["level"] == "failed"


def test_a_redis_without_persistence_loses_no_engagement(clinic: Clinic) -> None:
    """The finding says so, and is not a failure."""
    with closing(redis.from_url(clinic.redis_url)) as client:
        client.config_set("save", "")
        try:
            found = clinic.finds()["Redis persistence"]
        finally:
            client.config_set("save", "60 1")
    assert (found["level"], "saves nothing" in found["says"]) == ("ok", True)


def _info(text: str) -> bytes:
    return f"${len(text)}\r\n{text}\r\n".encode()


@pytest.mark.parametrize(
    "replies",
    [
        {"HELLO": b"-ERR unknown command `HELLO`, with args beginning with: `3`\r\n"},
        {
            "HELLO": b"%2\r\n$6\r\nserver\r\n$5\r\nredis\r\n$5\r\nproto\r\n:3\r\n",
            "INFO": _info("redis_version:6.0.16\r\nmaxmemory_policy:noeviction\r\nrole:master\r\n"),
            "CONFIG": b"-ERR unknown command\r\n",
        },
    ],
)
def test_a_redis_that_is_too_old(clinic: Clinic, replies: dict[str, bytes]) -> None:
    """One is older than HELLO, the other older than LMOVE."""
    with listener(redis_that_says(**replies)) as port:
        found = clinic.finds(REDIS_URL=f"redis://127.0.0.1:{port}/0")
    told = found["Redis"] if found["Redis"]["level"] == "failed" else found["Redis version"]
    assert (told["level"], told["cure"]) == ("failed", "Use Redis 6.2 or later, or Valkey.")


def test_a_redis_that_cannot_save_and_a_replica(clinic: Clinic) -> None:
    """Both refuse writes."""
    told = "redis_version:7.2.0\r\nrole:slave\r\nrdb_last_bgsave_status:err\r\nmaxmemory_policy:noeviction\r\n"
    replies = {"HELLO": b"%1\r\n$5\r\nproto\r\n:3\r\n", "INFO": _info(told), "CONFIG": b"-ERR unknown command\r\n"}
    with listener(redis_that_says(**replies)) as port:
        found = clinic.finds(REDIS_URL=f"redis://127.0.0.1:{port}/0")
    assert "Free space on its disk" in found["Redis persistence"]["cure"]
    assert "primary" in found["Redis writes"]["cure"]


@pytest.mark.parametrize("version", ["v0", "v1"])
def test_a_provider_that_is_not_there(clinic: Clinic, version: str) -> None:
    """Its accounts are not checked."""
    found = clinic.finds(UNIPILE_BASE_URL=f"http://{NOWHERE}", UNIPILE_API_VERSION=version)
    assert "UNIPILE_DSN or UNIPILE_BASE_URL" in found["provider"]["cure"]
    assert found["accounts"]["says"] == "not checked: provider failed"


def test_a_provider_whose_certificate_nobody_knows(clinic: Clinic) -> None:
    """The key is not sent to it."""
    with ScriptedServer(lambda connection, _: connection.sendall(OK), tls=True) as server:
        found = clinic.finds(UNIPILE_BASE_URL=server.url)
        assert server.requests == []
    assert "any proxy between" in found["provider"]["cure"]


def test_a_key_that_the_provider_refuses(clinic: Clinic, sandbox: Sandbox) -> None:
    """The provider answers 401."""
    sandbox.set_faults([{"match": {"request": "read"}, "action": "status", "status": 401}])
    found = clinic.finds()
    assert found["provider"]["level"] == "failed"
    assert "UNIPILE_API_KEY" in found["provider"]["cure"]


def test_a_provider_in_trouble_is_a_warning(clinic: Clinic, sandbox: Sandbox) -> None:
    """The trouble may be temporary."""
    sandbox.set_faults([{"match": {"request": "read", "times": 1}, "action": "status", "status": 503}])
    assert clinic.finds()["provider"]["level"] == "warning"


def _health(*words: str) -> dict[str, object]:
    return {"object": "Account", "sources": [{"status": word} for word in words]}


def test_accounts_that_cannot_act_are_named_with_their_cure(clinic: Clinic, sandbox: Sandbox) -> None:
    """Disconnected, unknown to the provider, held by their status, without an id there; and one that is connecting."""
    clinic.sql(
        "INSERT INTO linkedin_accounts (id, unipile_account_id, status) VALUES ('out', 'u-out', NULL),"
        " ('gone', 'u-gone', 'ok'), ('held', 'u-held', 'expired'),"
        " ('blank', NULL, NULL), ('away', 'u-away', 'paused'), ('soon', 'u-soon', 'ok')"
    )
    sandbox.set_faults(
        [
            {"match": {"request": "read", "account": account}, "action": "status", "status": status, "body": body}
            for account, status, body in (
                ("u-out", 200, _health("OK", "CREDENTIALS")),
                ("u-gone", 404, {"type": "errors/resource_not_found"}),
                ("u-soon", 200, _health("CONNECTING")),
            )
        ]
    )
    found = clinic.finds()
    assert "engagement resume --account out" in found["account out"]["cure"]
    assert "CREDENTIALS" in found["account out"]["says"]
    assert "unipile_account_id" in found["account gone"]["cure"]
    assert "Reconnect it" in found["account held"]["cure"]
    assert "Set its unipile_account_id" in found["account blank"]["cure"]
    assert {found[name]["level"] for name in ("account soon", "account away")} == {"warning"}
    assert "account acc-1" not in found


def test_v0_cannot_be_asked_for_its_accounts(clinic: Clinic) -> None:
    """The findings say so."""
    found = clinic.finds(UNIPILE_API_VERSION="v0")
    assert "v0" in found["provider"]["says"]
    assert "v0 cannot be asked" in found["accounts"]["says"]


def test_no_account_at_all(clinic: Clinic) -> None:
    """No account can act."""
    clinic.sql("TRUNCATE linkedin_accounts")
    assert "linkedin_accounts" in clinic.finds()["accounts"]["cure"]


@pytest.mark.parametrize("provider", ["http", "openai"])
def test_a_voice_that_is_away_or_refuses_the_key(clinic: Clinic, provider: str) -> None:
    """A warning: comments are sent in their original words. A key that is missing is a failure."""
    environ = {"VOICE_PROVIDER": provider, "VOICE_API_KEY": PASSWORD, "VOICE_MODEL": "m"}
    away = clinic.finds(**environ, VOICE_BASE_URL=f"http://{NOWHERE}/v1")["voice"]
    refusal = b"HTTP/1.1 401 X\r\nContent-Length: 0\r\n\r\n"
    with ScriptedServer(lambda connection, _: connection.sendall(refusal)) as server:
        refused = clinic.finds(**environ, VOICE_BASE_URL=f"{server.url}/v1")["voice"]
        assert all(request.startswith(b"GET ") for request in server.requests)
    with ScriptedServer(lambda connection, _: connection.sendall(OK)) as server:
        well = clinic.finds(**environ, VOICE_BASE_URL=f"{server.url}/v1")["voice"]
    for found in (away, refused):
        assert (found["level"], "VOICE_BASE_URL and VOICE_API_KEY" in found["cure"]) == ("warning", True)
    assert well["level"] == "ok"
    assert clinic.finds(VOICE_PROVIDER="openai", VOICE_MODEL="m")["VOICE_API_KEY"]["level"] == "failed"


def test_a_metrics_port_that_is_taken(clinic: Clinic) -> None:
    """By another program: the cure names the variable. A free port is not kept open."""
    refusal = b"HTTP/1.1 404 X\r\nContent-Length: 0\r\n\r\n"
    with ScriptedServer(lambda connection, _: connection.sendall(refusal)) as server:
        found = _with_metrics_port(server.port, clinic)
    assert (found["level"], "POD_ENGAGEMENT_METRICS_PORT" in found["cure"]) == ("failed", True)
    assert "is free" in _with_metrics_port(server.port, clinic)["says"]


def test_a_metrics_host_that_is_not_this_machine(clinic: Clinic) -> None:
    """Another port would not help."""
    found = clinic.finds(POD_ENGAGEMENT_METRICS_HOST="192.0.2.1")["metrics port"]
    assert (found["level"], "POD_ENGAGEMENT_METRICS_HOST" in found["cure"]) == ("failed", True)


def test_a_metrics_port_that_a_worker_has_is_well(clinic: Clinic) -> None:
    """People run the doctor while workers run."""
    metrics = b"engagement_workers_alive 1.0\n"
    reply = b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%s" % (len(metrics), metrics)
    with ScriptedServer(lambda connection, _: connection.sendall(reply)) as server:
        found = _with_metrics_port(server.port, clinic)
    assert (found["level"], "is a worker's" in found["says"]) == ("ok", True)


def _with_metrics_port(port: int, clinic: Clinic) -> dict[str, str]:
    return clinic.finds(POD_ENGAGEMENT_METRICS_PORT=str(port))["metrics port"]


def test_embedded_servers_are_started_and_stopped(sandbox: Sandbox, tmp_path: Path) -> None:
    """Only the key needs to be set, and no server runs afterwards."""
    for place in (tmp_path, *list(tmp_path.parents)[:2]):
        place.chmod(0o711)
    environ = {"UNIPILE_BASE_URL": sandbox.url, "UNIPILE_API_KEY": "key"}
    folder = tmp_path / "data"
    result = Commands(environ=environ)("doctor", "--json", "--embedded", "--data", str(folder))
    found = {each["name"]: each["level"] for each in json.loads(result.stdout)["findings"]}
    assert (found["embedded servers"], found["schema"], found["Redis"]) == ("ok", "ok", "ok")
    assert not list(folder.glob("**/postmaster.pid"))


def test_a_data_folder_that_cannot_be_written(tmp_path: Path) -> None:
    """The servers are not started."""
    (tmp_path / "file").write_text("")
    result = Commands()("doctor", "--json", "--embedded", "--data", str(tmp_path / "file" / "data"))
    found = {each["name"]: each for each in json.loads(result.stdout)["findings"]}
    assert "--data" in found["data folder"]["cure"]
    assert found["PostgreSQL"]["says"] == "not checked: embedded servers was not checked"


def test_the_doctor_changes_nothing(clinic: Clinic) -> None:
    """No row and no key."""
    with closing(redis.from_url(clinic.redis_url)) as client:
        before = (client.dbsize(), _written(clinic))
        clinic.finds()
        assert (client.dbsize(), _written(clinic)) == before


def _written(clinic: Clinic) -> object:
    return clinic.sql(
        "SELECT pg_stat_clear_snapshot(), sum(n_tup_ins + n_tup_upd + n_tup_del) FROM pg_stat_user_tables"
    )[0][1]
