"""A real PgBouncer before a PostgreSQL, set up as Supabase sets up its transaction pooler.

The one rule: like the other servers it belongs to a keeper of its own, and ends with whoever asked for it.
"""

from __future__ import annotations

import json
import os
import pwd
import re
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping
from contextlib import closing, contextmanager
from pathlib import Path
from typing import NoReturn
from urllib.parse import quote

import psycopg2
from psycopg2.extensions import parse_dsn

from support.provider import CERTIFICATE, free_port
from support.servers import keeper, refuse_without

__all__ = ["PASSWORD", "pgbouncer_program", "pooled", "refuse_without_pooler"]

PASSWORD = "p@ss/w:rd#%?&=+ '\"ü"
"""What a password generator may come up with, and worse."""

_USER = "postgres.abcdefghijklmnopqrst"
_INSTEAD_OF_ROOT = "nobody"
_READY_WITHIN = 30.0
_KNOWS_PREPARED_STATEMENTS = (1, 21)
_CONFIGURATION = """
[databases]
* = {server}

[pgbouncer]
listen_addr = 127.0.0.1
listen_port = {port}
unix_socket_dir =
pool_mode = transaction
{prepared}
ignore_startup_parameters = extra_float_digits
auth_type = scram-sha-256
auth_file = {folder}/users.txt
client_tls_sslmode = require
client_tls_key_file = {folder}/localhost.pem
client_tls_cert_file = {folder}/localhost.pem
max_client_conn = 500
default_pool_size = 30
log_connections = 0
log_disconnections = 0
"""


def pgbouncer_program() -> str | None:
    """Where it is: Debian's package puts it where ordinary users do not look."""
    return shutil.which("pgbouncer", path=os.pathsep.join([os.environ.get("PATH", os.defpath), "/usr/sbin"]))


def refuse_without_pooler(environ: Mapping[str, str]) -> NoReturn:
    """What a test does without PgBouncer: it fails where `CI` is set, unless CI says that it cannot be had."""
    reason = "no PgBouncer: install your system's package pgbouncer"
    refuse_without("PGBOUNCER", reason, environ)


@contextmanager
def pooled(server_url: str) -> Iterator[str]:
    """The URL of the same database through a pooler that runs until the block or this process ends."""
    with keeper(__name__) as (tell, told):
        tell.write(json.dumps(server_url) + "\n")
        tell.flush()
        port = told.readline().strip()
        assert port, "PgBouncer could not be started"
        database = parse_dsn(server_url).get("dbname", "postgres")
        password = quote(PASSWORD, safe="")
        yield f"postgresql://{_USER}:{password}@127.0.0.1:{port}/{quote(database)}?sslmode=require"


def _keep(server_url: str) -> None:
    with tempfile.TemporaryDirectory(prefix="engagement-pooler-") as name:
        folder, port = Path(name), free_port()
        folder.chmod(0o755)  # run by root, PgBouncer is another user
        _configure(folder, port, server_url)
        identity = {}
        if os.geteuid() == 0:
            account = pwd.getpwnam(_INSTEAD_OF_ROOT)
            identity = {"user": account.pw_uid, "group": account.pw_gid, "extra_groups": []}
            _let_in(server_url, _INSTEAD_OF_ROOT)
        command = [str(pgbouncer_program()), "-q", str(folder / "pgbouncer.ini")]
        with subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=sys.stderr, **identity) as program:  # type: ignore[call-overload]
            try:
                _wait_until_ready(port, program)
                sys.stdout.write(f"{port}\n")
                sys.stdout.flush()
                sys.stdin.read()
            finally:
                program.kill()


def _configure(folder: Path, port: int, server_url: str) -> None:
    server = {
        name: value for name, value in parse_dsn(server_url).items() if name in ("host", "port", "user", "password")
    }
    prepared = "max_prepared_statements = 0" if _version() >= _KNOWS_PREPARED_STATEMENTS else ""
    text = _CONFIGURATION.format(
        server=" ".join(f"{name}='{_doubled(value, chr(39))}'" for name, value in server.items()),
        port=port,
        prepared=prepared,
        folder=folder,
    )
    (folder / "pgbouncer.ini").write_text(text)
    (folder / "users.txt").write_text(f'"{_USER}" "{_doubled(PASSWORD, chr(34))}"\n')
    shutil.copy(CERTIFICATE, folder / "localhost.pem")
    for path in folder.iterdir():
        path.chmod(0o644)


def _doubled(text: str, mark: str) -> str:
    return text.replace(mark, mark * 2)


def _version() -> tuple[int, ...]:
    told = subprocess.run([str(pgbouncer_program()), "--version"], capture_output=True, text=True, check=True).stdout
    found = re.search(r"PgBouncer (\d+)\.(\d+)", told)
    assert found is not None, told
    return tuple(int(part) for part in found.groups())


def _let_in(server_url: str, user: str) -> None:
    """PostgreSQL from the wheels knows whom it serves by the operating system's word alone."""
    if not parse_dsn(server_url).get("host", "").startswith("/"):
        return
    with closing(psycopg2.connect(server_url)) as connection, connection, connection.cursor() as cursor:
        cursor.execute("SHOW ident_file")
        (path,) = cursor.fetchone() or ("",)
        mapping = Path(path)
        if mapping.read_text().startswith('owner "'):  # else it is somebody's own server
            with mapping.open("a") as lines:
                lines.write(f'owner "{user}" postgres\n')
            cursor.execute("SELECT pg_reload_conf()")


def _wait_until_ready(port: int, program: subprocess.Popen[bytes]) -> None:
    give_up_at = time.monotonic() + _READY_WITHIN
    while not _answers(port):
        if program.poll() is not None or time.monotonic() > give_up_at:
            raise RuntimeError("PgBouncer does not answer")
        time.sleep(0.05)


def _answers(port: int) -> bool:
    options = {"host": "127.0.0.1", "port": port, "user": _USER, "password": PASSWORD, "dbname": "postgres"}
    try:
        psycopg2.connect(connect_timeout=5, **options).close()
    except psycopg2.OperationalError:
        return False
    return True


if __name__ == "__main__":
    _keep(json.loads(sys.stdin.readline()))
