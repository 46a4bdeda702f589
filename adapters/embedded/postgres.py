"""The embedded PostgreSQL.

The one rule: only the user who started it can reach it, through a unix socket. It has no port and no password, unless
it is asked to have both.
"""

from __future__ import annotations

import shlex
import shutil
from collections.abc import Iterator, Mapping
from contextlib import closing, contextmanager
from pathlib import Path
from urllib.parse import quote

import psycopg2

from adapters.embedded.daemon import run
from adapters.embedded.failure import EmbeddedServersFailed
from adapters.embedded.identity import Identity, current_user, identity_that_reaches
from adapters.embedded.tcp import TcpAddress
from adapters.embedded.wheels import postgres_programs

__all__ = ["PostgresProgram"]

_PORT = 5432
"""Without TCP, this is only a part of the socket's name."""

_SETTINGS: Mapping[str, str] = {
    "max_connections": "100",
    "shared_buffers": "32MB",
    "max_wal_size": "256MB",
    "wal_level": "minimal",
    "max_wal_senders": "0",
    "timezone": "UTC",
    "log_timezone": "UTC",
    "log_checkpoints": "off",
    # Its log must not hold a comment's text or a token.
    "log_min_error_statement": "panic",
    "log_error_verbosity": "terse",
}


class PostgresProgram:
    """PostgreSQL under `home`. `fsync=False` is for tests only: a crash of the machine would then lose data.

    With `tcp` it also listens there. Only a cluster that is created with it knows the password.
    """

    name = "PostgreSQL"

    def __init__(self, home: Path, *, fsync: bool, tcp: TcpAddress | None = None) -> None:
        self._home = home
        self._data = home / "data"
        self._fsync = fsync
        self._tcp = tcp
        self._port = _PORT if tcp is None else tcp.port

    @property
    def log(self) -> Path:
        """In the data folder, where the server may write even if it runs as another user."""
        return self._data / "server.log"

    def url(self, sockets: Path) -> str:
        """A libpq URL. It always names the port, so that the user's PGPORT cannot change it."""
        if self._tcp is not None:
            return f"postgresql://postgres:{self._tcp.password}@{self._tcp.host}:{self._port}/postgres"
        return f"postgresql://postgres@/postgres?host={quote(str(sockets), safe='')}&port={self._port}"

    def launch(self, sockets: Path, lock: int) -> None:
        """Create the cluster if there is none, then start the server. No other server uses this folder now."""
        identity = self._identity(sockets.parent)
        identity.own(sockets)
        if not self._data.exists():
            self._create(identity, lock)
        # The old process id may belong to another process by now, and PostgreSQL would take that one for a running
        # server.
        (self._data / "postmaster.pid").unlink(missing_ok=True)
        over_tcp = "" if self._tcp is None else f"host all all {self._tcp.host}/32 scram-sha-256\n"
        (self._data / "pg_hba.conf").write_text(f"local all all peer map=owner\n{over_tcp}")
        (self._data / "pg_ident.conf").write_text(f'owner "{current_user()}" postgres\n')
        start = ("start", "-W", "-D", "data", "-l", "data/server.log", "-o", self._options(sockets))
        run((self._programs() / "pg_ctl", *start), cwd=self._home, lock=lock, identity=identity)

    def answers(self, sockets: Path) -> bool:
        """Whether it accepts a connection."""
        try:
            with closing(psycopg2.connect(self.url(sockets), connect_timeout=5)):
                return True
        except psycopg2.Error:
            return False

    def ask_to_stop(self, firmly: bool) -> None:
        """Ends open connections. `firmly` skips the last checkpoint; the next start then recovers."""
        mode = "immediate" if firmly else "fast"
        command = (self._programs() / "pg_ctl", "stop", "-W", "-m", mode, "-D", "data")
        try:
            run(command, cwd=self._home, identity=self._identity())
        except EmbeddedServersFailed:
            return  # it has no pid file yet, or has ended: its lock shows which

    def _create(self, identity: Identity, lock: int) -> None:
        unfinished = self._home / "data.new"
        shutil.rmtree(unfinished, ignore_errors=True)
        unfinished.mkdir(mode=0o700)
        identity.own(unfinished)
        sync = () if self._fsync else ("--no-sync",)
        settings = ("--username=postgres", "--encoding=UTF8", "--no-locale", "--auth=reject", "--no-instructions")
        with self._password_file(identity) as password:
            run(
                (self._programs() / "initdb", "-D", "data.new", *settings, *sync, *password),
                cwd=self._home,
                lock=lock,
                identity=identity,
            )
        unfinished.rename(self._data)  # only a complete cluster has this name

    @contextmanager
    def _password_file(self, identity: Identity) -> Iterator[tuple[str, ...]]:
        """A password on the command line would be visible to everybody on this machine."""
        if self._tcp is None:
            yield ()
            return
        file = self._home / "password"
        try:
            file.touch(mode=0o600)
            file.write_text(self._tcp.password)
            identity.own(file)
            yield (f"--pwfile={file}",)
        finally:
            file.unlink(missing_ok=True)

    def _options(self, sockets: Path) -> str:
        durability = {} if self._fsync else {"fsync": "off", "full_page_writes": "off"}
        listens_at = "" if self._tcp is None else self._tcp.host
        places = {"listen_addresses": listens_at, "port": str(self._port), "unix_socket_directories": f'"{sockets}"'}
        settings = {**_SETTINGS, **durability, **places}
        return " ".join(shlex.quote(f"--{name}={value}") for name, value in settings.items())

    def _identity(self, *places: Path) -> Identity:
        return identity_that_reaches((self._home, self._programs(), *places))

    def _programs(self) -> Path:
        version = self._data / "PG_VERSION"
        return postgres_programs(version.read_text().strip() if version.exists() else None)
