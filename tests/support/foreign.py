"""Ground that is not ours: PostgreSQL 15 and Redis as Debian ships them, over TCP, with a password and in a time zone.

The one rule: nothing is as with the wheels but what the product asks for, UTF-8. New tables stay without statistics.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import asdict
from pathlib import Path
from signal import SIGQUIT
from typing import IO, NoReturn
from urllib.parse import quote

from adapters.embedded.daemon import run
from adapters.embedded.identity import Identity, identity_that_reaches
from support.provider import free_port
from support.servers import ServerUrls, keeper, refuse_without, wait_until_ready

__all__ = ["DESCRIPTION", "foreign_servers", "foreign_servers_are_here", "refuse_without_foreign_servers"]

DESCRIPTION = "PostgreSQL 15 and Redis of Debian, over TCP, in Europe/Berlin, sorted by ICU, without statistics"
"""What the header of a run says."""

_PASSWORD = "p@ss/w:rd#%?&=+ '\"ü"
_POSTGRESQL = "/usr/lib/postgresql/15/bin"
_SETTINGS = {
    "listen_addresses": "127.0.0.1",
    "unix_socket_directories": "",
    "timezone": "Europe/Berlin",
    "log_timezone": "Europe/Berlin",
    "autovacuum": "off",  # it would give the tables statistics
    "fsync": "off",
    "full_page_writes": "off",
}
_CLUSTER = (
    "--username=owner",
    "--auth=scram-sha-256",
    "--encoding=UTF8",
    "--locale=C.UTF-8",
    "--locale-provider=icu",
    "--icu-locale=de-DE",
    "--no-instructions",
    "--no-sync",
)


def foreign_servers_are_here(environ: Mapping[str, str]) -> bool:
    """Whether both have their programs: PostgreSQL's in the folder POSTGRESQL_15, if Debian's own is not meant."""
    programs = (_postgresql(environ) / "postgres", "redis-server")
    return all(shutil.which(program, path=environ.get("PATH")) for program in programs)


def refuse_without_foreign_servers(environ: Mapping[str, str]) -> NoReturn:
    """What a test does without them: it fails where `CI` is set, unless CI says that they cannot be had."""
    reason = "no foreign servers: install Debian's packages postgresql-15 and redis-server"
    refuse_without("FOREIGN_SERVERS", reason, environ)


@contextmanager
def foreign_servers() -> Iterator[ServerUrls]:
    """Both, until the block or this process ends."""
    with keeper(__name__) as (_, told):
        answer = told.readline()
        assert answer, "the foreign servers could not be started"
        yield ServerUrls(**json.loads(answer))


def _postgresql(environ: Mapping[str, str]) -> Path:
    return Path(environ.get("POSTGRESQL_15") or _POSTGRESQL)


def _keep() -> None:
    with tempfile.TemporaryDirectory(prefix="engagement-foreign-") as name, ExitStack() as servers:
        folder, password = Path(name), quote(_PASSWORD, safe="")
        folder.chmod(0o711)  # run by root, PostgreSQL is another user
        database_port, redis_port = free_port(), free_port()
        log = servers.enter_context((folder / "log").open("w+"))
        servers.enter_context(_started_postgresql(folder, database_port, log))
        servers.enter_context(_started_redis(folder, redis_port, log))
        urls = ServerUrls(
            database_url=f"postgresql://owner:{password}@127.0.0.1:{database_port}/postgres",
            redis_url=f"redis://:{password}@127.0.0.1:{redis_port}/0",
        )
        try:
            wait_until_ready(urls)
        except Exception:
            log.seek(0)
            sys.stderr.write(log.read())
            raise
        sys.stdout.write(json.dumps(asdict(urls)) + "\n")
        sys.stdout.flush()
        sys.stdin.read()


@contextmanager
def _started_postgresql(folder: Path, port: int, log: IO[str]) -> Iterator[None]:
    programs, data = _postgresql(os.environ), folder / "postgresql"
    identity = identity_that_reaches((folder, programs))
    data.mkdir(mode=0o700)
    (folder / "password").write_text(_PASSWORD)
    for path in (data, folder / "password"):
        identity.own(path)
    run((programs / "initdb", "-D", data, f"--pwfile={folder / 'password'}", *_CLUSTER), cwd=folder, identity=identity)
    settings = {**_SETTINGS, "port": str(port)}
    command = [str(programs / "postgres"), "-D", str(data), *(f"--{name}={value}" for name, value in settings.items())]
    with _process(command, folder, log, identity) as program:
        try:
            yield
        finally:
            program.send_signal(SIGQUIT)  # at once; unlike SIGKILL it leaves no shared memory


@contextmanager
def _started_redis(folder: Path, port: int, log: IO[str]) -> Iterator[None]:
    settings = {"port": str(port), "bind": "127.0.0.1", "requirepass": _PASSWORD, "save": "", "dir": str(folder)}
    words = [word for name, value in settings.items() for word in (f"--{name}", value)]
    with _process(["redis-server", *words], folder, log, Identity()) as program:
        try:
            yield
        finally:
            program.kill()


def _process(command: Sequence[str], folder: Path, log: IO[str], identity: Identity) -> subprocess.Popen[bytes]:
    return subprocess.Popen(
        [*identity.prefix, *command],
        cwd=folder,
        stdin=subprocess.DEVNULL,
        stdout=log,
        stderr=log,
        user=identity.uid,
        group=identity.gid,
        extra_groups=None if identity.gid is None else [],
    )


if __name__ == "__main__":
    _keep()
