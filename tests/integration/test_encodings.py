"""Texts of every language on the way to the provider and back, whatever encodings the surroundings prefer.

The one rule: the product is a process here wherever its environment matters, as somebody else would start it.
"""

from __future__ import annotations

import json
import os
import re
import socket
import struct
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import closing, contextmanager, suppress
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from psycopg2.extensions import make_dsn, parse_dsn

from adapters.postgres.connection.pool import PostgresPool, connect
from adapters.postgres.inspection.catalog import SchemaProblem
from adapters.postgres.schema.migrate import schema_sql
from adapters.postgres.store.activities import PostgresActivityStore
from adapters.unipile.sandbox import Sandbox
from engagement_core.ports.activities import StoreUnavailable
from support.commands import Commands, execute
from support.doctor import listener
from support.servers import ServerUrls, fresh_database

_COMMENT = "Schön gesagt \u2019nd 名 🎉"
_REFUSAL = "You can\u2019t do that: gesperrt für 名 🎉"
_ACTIVITY = "名-🎉"


def _engagement(*arguments: str, database_url: str, **environ: str) -> subprocess.CompletedProcess[str]:
    """A command as a process of its own, whose environment is this one."""
    return subprocess.run(
        [sys.executable, "-m", "runners", *arguments],
        env={
            "PATH": os.environ["PATH"],
            "PYTHONPATH": os.pathsep.join(filter(None, sys.path)),
            "DATABASE_URL": database_url,
            **environ,
        },
        capture_output=True,
        timeout=60,
        check=False,
        encoding="utf-8",
        errors="replace",
    )


def _with_parameter(url: str, parameter: str) -> str:
    parts = urlsplit(url)
    return parts._replace(query="&".join(filter(None, (parts.query, parameter)))).geturl()


_AS_DEFAULT = {
    "of the database": "ALTER DATABASE \"{name}\" SET client_encoding = 'LATIN1'",
    "of the role": "ALTER ROLE CURRENT_USER IN DATABASE \"{name}\" SET client_encoding = 'LATIN1'",
    "of the database, in ASCII": "ALTER DATABASE \"{name}\" SET client_encoding = 'SQL_ASCII'",
}
_BY_THE_CLIENT = {
    "PGCLIENTENCODING": ("", {"PGCLIENTENCODING": "LATIN1"}),
    "PGCLIENTENCODING that is the locale's": ("", {"PGCLIENTENCODING": "auto", "LC_ALL": "C"}),
    "the URL": ("client_encoding=LATIN1", {}),
}


@pytest.mark.parametrize("statement", _AS_DEFAULT.values(), ids=_AS_DEFAULT.keys())
def test_texts_survive_a_default_that_is_not_utf_8(database_url: str, redis_url: str, statement: str) -> None:
    """The comment reaches the provider, and the provider's words reach the row, letter by letter."""
    execute(database_url, statement.format(name=urlsplit(database_url).path.lstrip("/")))
    _texts_survive(database_url, redis_url)


@pytest.mark.parametrize(("parameter", "environ"), _BY_THE_CLIENT.values(), ids=_BY_THE_CLIENT.keys())
def test_texts_survive_a_client_that_is_set_to_another_encoding(
    database_url: str, redis_url: str, parameter: str, environ: dict[str, str]
) -> None:
    """The same, where the environment or the URL asks for it."""
    _texts_survive(database_url, redis_url, parameter, **environ)


@pytest.mark.direct
def test_texts_survive_start_up_options_of_the_url(database_url: str, redis_url: str) -> None:
    """The same; a transaction pooler takes no such options."""
    _texts_survive(database_url, redis_url, "options=-c%20client_encoding%3DLATIN1")


def _texts_survive(database_url: str, redis_url: str, parameter: str = "", **environ: str) -> None:
    with Sandbox() as sandbox, closing(connect(database_url)) as connection:
        sandbox.set_faults(
            [
                {
                    "match": {"engagement_type": "like"},
                    "action": "status",
                    "status": 422,
                    "body": {"status": 422, "type": "errors/unprocessable_entity", "title": _REFUSAL},
                }
            ]
        )
        connection.autocommit = True
        cursor = connection.cursor()
        cursor.execute(
            "INSERT INTO linkedin_accounts (id, unipile_account_id) VALUES ('a', 'u');"
            "INSERT INTO pods (id, linkedin_account_id) VALUES ('p', 'a')"
        )
        surroundings = {"database_url": _with_parameter(database_url, parameter), "REDIS_URL": redis_url, **environ}
        added = [
            _engagement("schedule", "--pod", "p", "--post", "post", "--id", *rest, **surroundings)
            for rest in ((_ACTIVITY, "--type", "comment", "--text", _COMMENT), ("like", "--type", "like"))
        ]
        assert [done.returncode for done in added] == [0, 0], added
        done = _engagement(
            "run", "--burst", UNIPILE_API_KEY="key", UNIPILE_BASE_URL=sandbox.url, **surroundings
        )  # fmt: skip
        assert done.returncode == 0, done.stderr
        told = _engagement("explain", "like", **surroundings)
        (effect,) = sandbox.ledger()["effects"]
        cursor.execute(
            "SELECT status, last_error->>'message', (SELECT text FROM engagement_attempts t WHERE t.activity_id = a.id)"
            " FROM pod_activities a ORDER BY status"
        )
        executed, failed = cursor.fetchall()
    assert effect["text"] == _COMMENT
    assert executed == ("executed", None, _COMMENT)
    assert failed[0] == "failed"
    assert _REFUSAL in failed[1]
    assert _REFUSAL in told.stdout


def test_a_pooler_that_drops_the_client_s_encoding_is_told_again(database_url: str) -> None:
    """What it was told at the start it has not passed on: once per connection the server itself is told."""
    name = urlsplit(database_url).path.lstrip("/")
    execute(database_url, f"ALTER DATABASE \"{name}\" SET client_encoding = 'LATIN1'")
    with _without_start_up_parameters(database_url) as url, closing(connect(url)) as connection:
        cursor = connection.cursor()
        cursor.execute("SELECT %s::text, current_setting('client_encoding')", (_COMMENT,))
        assert cursor.fetchone() == (_COMMENT, "UTF8")


@contextmanager
def _without_start_up_parameters(database_url: str) -> Iterator[str]:
    """A way to the server on which only user and database are passed on; without TLS."""
    parts = parse_dsn(database_url)
    host, port = parts.get("host", "127.0.0.1"), int(parts.get("port", 5432))
    if "sslmode" in parts:
        pytest.skip("the server is behind TLS")

    def serve(caller: socket.socket) -> None:
        length = struct.unpack("!I", caller.recv(4))[0]
        words = caller.recv(length - 4, socket.MSG_WAITALL)[4:].rstrip(b"\0").split(b"\0")
        kept = b"".join(
            name + b"\0" + value + b"\0"
            for name, value in zip(words[::2], words[1::2], strict=True)
            if name in (b"user", b"database")
        )
        kind = socket.AF_UNIX if host.startswith("/") else socket.AF_INET
        with socket.socket(kind, socket.SOCK_STREAM) as server:
            server.settimeout(10)
            server.connect(f"{host}/.s.PGSQL.{port}" if kind == socket.AF_UNIX else (host, port))
            server.sendall(struct.pack("!II", len(kept) + 9, 3 << 16) + kept + b"\0")
            back = threading.Thread(target=_pass_on, args=(server, caller), daemon=True)
            back.start()
            _pass_on(caller, server)
            server.shutdown(socket.SHUT_RDWR)
            back.join(10)

    with listener(serve) as here:
        yield make_dsn(database_url, host="127.0.0.1", port=here, sslmode="disable", gssencmode="disable")


def _pass_on(source: socket.socket, target: socket.socket) -> None:
    with suppress(OSError):
        while data := source.recv(65536):
            target.sendall(data)


_UNFIT = ("SQL_ASCII", "LATIN1", "WIN1252")


@pytest.fixture(params=_UNFIT)
def unfit(request: pytest.FixtureRequest, servers: ServerUrls) -> Iterator[tuple[str, str]]:
    """An encoding that lacks characters, and a database in it."""
    options = f"ENCODING '{request.param}' LC_COLLATE 'C' LC_CTYPE 'C'"
    with fresh_database(servers.database_url, options=options) as url:
        yield request.param, url


def test_migrate_refuses_a_database_that_cannot_hold_every_text(unfit: tuple[str, str]) -> None:
    """Nothing is made there; what to do is said."""
    encoding, url = unfit
    told = Commands(environ={"DATABASE_URL": url}).refused("migrate")
    assert f"the database {urlsplit(url).path.lstrip('/')} is encoded in {encoding}" in told
    assert "createdb --template=template0 --encoding=UTF8" in told
    assert execute(url, "SELECT to_regclass('engagement_attempts')") == [(None,)]


_ON_IT = (
    ("run", "--burst"),
    ("run",),
    ("status",),
    ("status", "--json"),
    ("explain", "a-1"),
    ("schedule", "--pod", "p", "--type", "like", "--post", "x"),
    ("dead-letters", "list"),
    ("dead-letters", "show", "a-1"),
    ("dead-letters", "requeue", "a-1"),
    ("pause", "--all"),
    ("resume", "--all"),
)


def test_every_command_refuses_such_a_database_in_one_line(unfit: tuple[str, str], redis_url: str) -> None:
    """Also where the tables are there already, made by hand, and hold bytes that are no text."""
    encoding, url = unfit
    execute(url, schema_sql())
    execute(
        url,
        "INSERT INTO pods VALUES ('p');"
        "INSERT INTO pod_activities (id, pod_id, engagement_type, post_id, scheduled_for, comment_text)"
        " VALUES ('a-1', 'p', 'comment', 'x', now(),"
        " convert_from('\\xe4f6'::bytea, current_setting('server_encoding')))",
    )
    environ = {
        "DATABASE_URL": url,
        "REDIS_URL": redis_url,
        "UNIPILE_API_KEY": "key",
        "UNIPILE_BASE_URL": "http://127.0.0.1:1",
        "POD_ENGAGEMENT_METRICS_PORT": "0",
    }
    for arguments in _ON_IT:
        told = Commands(environ=environ).refused(*arguments)
        assert f"is encoded in {encoding}" in told, arguments
        assert "--encoding=UTF8" in told
    with closing(PostgresPool(url, size=1)) as pool, pytest.raises(SchemaProblem, match=encoding):
        PostgresActivityStore(pool)
    assert execute(url, "SELECT count(*) FROM engagement_attempts") == [(0,)]


def test_the_doctor_fails_on_such_a_database_and_names_the_cure(unfit: tuple[str, str]) -> None:
    """Nothing else is asked of it."""
    encoding, url = unfit
    execute(url, schema_sql())
    found = _findings(url)
    assert (found["PostgreSQL"]["level"], encoding in found["PostgreSQL"]["says"]) == ("failed", True)
    assert "--encoding=UTF8" in found["PostgreSQL"]["cure"]
    assert found["schema"]["says"] == "not checked: PostgreSQL failed"


def _findings(url: str) -> dict[str, dict[str, str]]:
    told = json.loads(Commands(environ={"DATABASE_URL": url})("doctor", "--json").stdout)
    return {each["name"]: each for each in told["findings"]}


def _refuses_in_latin_1(caller: socket.socket) -> None:
    caller.recv(struct.unpack("!I", caller.recv(4))[0] - 4)
    body = b"SFATAL\0C28P01\0MPasswort-Authentifizierung f\xfcr Benutzer \xbbu\xab fehlgeschlagen\0\0"
    caller.sendall(b"E" + struct.pack("!I", len(body) + 4) + body)


def test_a_server_that_refuses_in_another_encoding_is_told_in_one_line() -> None:
    """Before the session there is no encoding that both sides know: what cannot be read is replaced."""
    with listener(_refuses_in_latin_1) as port:
        url = f"postgresql://u:geheim@127.0.0.1:{port}/x?sslmode=disable&gssencmode=disable"
        told = Commands(environ={"DATABASE_URL": url}).refused("status", code=1)
        with pytest.raises(StoreUnavailable), closing(PostgresPool(url, size=1)) as pool, pool.connection():
            pass
        found = _findings(url)
    # Some builds of the driver hand the words over, others drop what they cannot read.
    words = r"Passwort-Authentifizierung f\ufffdr Benutzer|with a message that cannot be read"
    assert re.search(words, told)
    assert found["PostgreSQL"]["level"] == "failed"
    assert re.search(words, found["PostgreSQL"]["says"])


@pytest.mark.parametrize("encoding", ["latin-1", "ascii", "cp1252"])
def test_output_that_a_pipe_cannot_show_is_shown_by_its_code(database_url: str, encoding: str) -> None:
    """A command that did its work does not fail because of how it is shown."""
    surroundings = {"database_url": database_url, "PYTHONIOENCODING": encoding, "PYTHONUTF8": "0"}
    execute(database_url, "INSERT INTO pods VALUES ('p')")
    added = _engagement("schedule", "--pod", "p", "--type", "like", "--post", "x", "--id", _ACTIVITY, **surroundings)
    assert added.returncode == 0, added.stderr
    told = _engagement("explain", _ACTIVITY, **surroundings)
    assert told.returncode == 0, told.stderr
    assert "\\u540d-\\U0001f389" in told.stdout


def test_an_argument_that_is_no_text_is_refused_by_the_process_too(database_url: str, tmp_path: Path) -> None:
    """Bytes of another encoding on the command line: usage, not a traceback."""
    done = subprocess.run(
        [sys.executable, "-m", "runners", "pause", "--pod", b"caf\xe9"],
        env={
            "PATH": os.environ["PATH"],
            "PYTHONPATH": os.pathsep.join(filter(None, sys.path)),
            "DATABASE_URL": database_url,
        },
        cwd=tmp_path,
        capture_output=True,
        timeout=60,
        check=False,
    )
    assert (done.returncode, done.stderr) == (2, b"Error: an argument has bytes that are not UTF-8\n")
