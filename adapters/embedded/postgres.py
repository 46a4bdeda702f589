"""The embedded PostgreSQL.

The one rule: only the user who started it can reach it, through a unix socket. It has no port and no password.
"""

from __future__ import annotations

import shlex
import shutil
from collections.abc import Mapping
from contextlib import closing
from pathlib import Path
from urllib.parse import quote

import psycopg2

from adapters.embedded.daemon import run
from adapters.embedded.failure import EmbeddedServersFailed
from adapters.embedded.identity import Identity, current_user, identity_that_reaches
from adapters.embedded.wheels import postgres_programs

__all__ = ["PostgresProgram"]

_SETTINGS: Mapping[str, str] = {
    "listen_addresses": "",
    "port": "5432",
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
    """PostgreSQL under `home`. `fsync=False` is for tests only: a crash of the machine would then lose data."""

    name = "PostgreSQL"

    def __init__(self, home: Path, *, fsync: bool) -> None:
        self._home = home
        self._data = home / "data"
        self._fsync = fsync

    @property
    def log(self) -> Path:
        """In the data folder, where the server may write even if it runs as another user."""
        return self._data / "server.log"

    def url(self, sockets: Path) -> str:
        """A libpq URL. It always names the port, so that the user's PGPORT cannot change it."""
        return f"postgresql://postgres@/postgres?host={quote(str(sockets), safe='')}&port=5432"

    def launch(self, sockets: Path, lock: int) -> None:
        """Create the cluster if there is none, then start the server. No other server uses this folder now."""
        identity = self._identity(sockets.parent)
        identity.own(sockets)
        if not self._data.exists():
            self._create(identity, lock)
        # The old process id may belong to another process by now, and PostgreSQL would take that one for a running
        # server.
        (self._data / "postmaster.pid").unlink(missing_ok=True)
        (self._data / "pg_hba.conf").write_text("local all all peer map=owner\n")
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
        run(
            (self._programs() / "initdb", "-D", "data.new", *settings, *sync),
            cwd=self._home,
            lock=lock,
            identity=identity,
        )
        unfinished.rename(self._data)  # only a complete cluster has this name

    def _options(self, sockets: Path) -> str:
        durability = {} if self._fsync else {"fsync": "off", "full_page_writes": "off"}
        settings = {**_SETTINGS, **durability, "unix_socket_directories": f'"{sockets}"'}
        return " ".join(shlex.quote(f"--{name}={value}") for name, value in settings.items())

    def _identity(self, *places: Path) -> Identity:
        return identity_that_reaches((self._home, self._programs(), *places))

    def _programs(self) -> Path:
        version = self._data / "PG_VERSION"
        return postgres_programs(version.read_text().strip() if version.exists() else None)
