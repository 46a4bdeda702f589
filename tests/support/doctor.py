"""Broken set-ups for the doctor, all of them real: servers of our own that a test may break, and peers that misbehave.

The one rule: the doctor meets what it would meet in production; no part of the product is replaced.
"""

from __future__ import annotations

import json
import os
import socket
import ssl
import struct
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any
from urllib.parse import quote, unquote, urlsplit

import psycopg2
import pytest

from adapters.embedded import EmbeddedServers
from adapters.embedded.wheels import wheels_installed
from adapters.postgres.schema.migrate import migrate
from support.commands import Commands
from support.provider import CERTIFICATE
from support.servers import refuse

__all__ = [
    "PASSWORD",
    "Clinic",
    "listener",
    "own_servers",
    "pooler",
    "redis_that_says",
    "refuses_tls",
    "speaks_tls",
]

PASSWORD = "geheim/123"
"""Of the role `guest`; with a character that must be percent-encoded."""


@dataclass
class Clinic:
    """Servers of one test module, a worker's environment for them, and the doctor."""

    database_url: str
    redis_url: str
    sockets: str
    changes: dict[str, str] = field(default_factory=dict)

    def sql(self, *statements: str) -> list[tuple[Any, ...]]:
        """Execute as the owner; the rows of the last statement."""
        with closing(psycopg2.connect(self.database_url)) as connection, connection.cursor() as cursor:
            connection.autocommit = True
            for statement in statements:
                cursor.execute(statement)
            return cursor.fetchall() if cursor.description else []

    @contextmanager
    def spoilt(self, by: Sequence[str], mend: Sequence[str]) -> Iterator[None]:
        """Break the database with the statements `by`; `mend` repairs it at the end, whatever happens."""
        self.sql(*by)
        try:
            yield
        finally:
            self.sql(*mend)

    def guest(self, password: str = PASSWORD, role: str = "guest", database: str = "postgres") -> str:
        """The URL of a role that needs a password."""
        return f"postgresql://{role}:{quote(password, safe='')}@/{database}?host={self.sockets}&port=5432"

    def finds(self, **changes: str) -> dict[str, dict[str, str]]:
        """Run `doctor --json` in this environment. The findings by name; asserts that they hold no secret."""
        environ = {
            "DATABASE_URL": self.database_url,
            "REDIS_URL": self.redis_url,
            "UNIPILE_API_KEY": "key-that-is-secret",
            **self.changes,
            **changes,
        }
        result = Commands(environ=environ)("doctor", "--json")
        told = _json(result.stdout)
        assert (told["version"], told["healthy"]) == (1, result.exit_code == 0)
        for secret in (PASSWORD, quote(PASSWORD, safe=""), "key-that-is-secret"):
            assert secret not in result.output
        gauges = {each["level"] for each in told["findings"]}
        assert (result.exit_code == 1) == ("failed" in gauges)
        assert all(each["cure"] for each in told["findings"] if each["level"] in ("warning", "failed"))
        return {each["name"]: each for each in told["findings"]}


def _json(text: str) -> dict[str, Any]:
    told: dict[str, Any] = json.loads(text)
    return told


@contextmanager
def own_servers() -> Iterator[Clinic]:
    """A PostgreSQL with the schema, the role `guest` and room for standbys, and a Valkey. Tests may break both."""
    if not wheels_installed():
        refuse(os.environ)
    with (
        TemporaryDirectory(prefix="engagement-doctor-", ignore_cleanup_errors=True) as folder,
        pytest.MonkeyPatch.context() as patch,
    ):
        Path(folder).chmod(0o711)
        from adapters.embedded import postgres  # noqa: PLC0415 - only here

        settings: Mapping[str, str] = postgres._SETTINGS
        patch.setattr(postgres, "_SETTINGS", {**settings, "wal_level": "replica", "max_wal_senders": "4"})
        with EmbeddedServers(Path(folder) / "data", fsync=False) as urls:
            migrate(urls.database_url)
            sockets = urlsplit(urls.database_url).query.partition("host=")[2].partition("&")[0]
            clinic = Clinic(database_url=urls.database_url, redis_url=urls.redis_url, sockets=sockets)
            clinic.sql("SET password_encryption = 'scram-sha-256'", f"CREATE ROLE guest LOGIN PASSWORD '{PASSWORD}'")
            access = Path(folder) / "data" / "postgres" / "data" / "pg_hba.conf"
            access.write_text(
                "local replication all peer map=owner\nlocal all guest scram-sha-256\n" + access.read_text()
            )
            clinic.sql("SELECT pg_reload_conf()")
            yield clinic


@contextmanager
def listener(serve: Callable[[socket.socket], None]) -> Iterator[int]:
    """A port. `serve` handles each caller in its own thread."""
    with socket.create_server(("127.0.0.1", 0)) as waiting:
        threads: list[threading.Thread] = []

        def accept() -> None:
            while True:
                try:
                    caller, _ = waiting.accept()
                except OSError:
                    return
                threads.append(threading.Thread(target=_served, args=(caller, serve), daemon=True))
                threads[-1].start()

        doorman = threading.Thread(target=accept, daemon=True)
        doorman.start()
        try:
            yield waiting.getsockname()[1]
        finally:
            with suppress(OSError):
                waiting.shutdown(socket.SHUT_RDWR)
            doorman.join(10)
            for thread in threads:
                thread.join(10)


def _served(caller: socket.socket, serve: Callable[[socket.socket], None]) -> None:
    with caller, suppress(OSError):
        caller.settimeout(10)
        serve(caller)


def refuses_tls(caller: socket.socket) -> None:
    """A PostgreSQL without TLS."""
    caller.recv(8)
    caller.sendall(b"N")


def speaks_tls(caller: socket.socket) -> None:
    """A PostgreSQL with a certificate that nobody trusts."""
    caller.recv(8)
    caller.sendall(b"S")
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(CERTIFICATE)
    with context.wrap_socket(caller, server_side=True) as secured:
        secured.recv(1)


def redis_that_says(**replies: bytes) -> Callable[[socket.socket], None]:
    """A server that answers these commands (in RESP), and every other command with OK."""

    def serve(caller: socket.socket) -> None:
        with caller.makefile("rb") as lines:
            while head := lines.readline():
                words = []
                for _ in range(int(head[1:])):
                    length = int(lines.readline()[1:])
                    words.append(lines.read(length + 2)[:-2].decode())
                caller.sendall(replies.get(words[0].upper(), b"+OK\r\n"))

    return serve


@contextmanager
def pooler(database_url: str, sockets: str) -> Iterator[str]:
    """A proxy like PgBouncer in front of the server: it invents the process id that the client gets."""

    def serve(caller: socket.socket) -> None:
        with socket.socket(socket.AF_UNIX) as server:
            server.settimeout(10)
            server.connect(f"{unquote(sockets)}/.s.PGSQL.5432")
            back = threading.Thread(target=_answers, args=(server, caller), daemon=True)
            back.start()
            while data := caller.recv(65536):
                server.sendall(data)
            server.shutdown(socket.SHUT_RDWR)
            back.join(10)

    with listener(serve) as port:
        yield (
            urlsplit(database_url)._replace(netloc="postgres@127.0.0.1", query=f"port={port}&sslmode=disable").geturl()
        )


def _answers(server: socket.socket, caller: socket.socket) -> None:
    """Pass on single messages until the one with the process id; then pass on all bytes."""
    with suppress(OSError, struct.error), server.makefile("rb") as messages:
        is_invented = False
        while not is_invented:
            kind, length = messages.read(1), messages.read(4)
            body = messages.read(struct.unpack("!I", length)[0] - 4)
            if is_invented := kind == b"K":
                body = struct.pack("!I", 1) + body[4:]
            caller.sendall(kind + length + body)
        while data := messages.read1(65536):  # type: ignore[attr-defined]
            caller.sendall(data)
