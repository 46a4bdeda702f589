"""A network that swallows bytes: between the product and a server, in the test's own process.

The one rule: a connection that lost bytes is never reset and never ended. As behind a NAT table that forgot it, it
stays open and says nothing, for as long as the proxy lives.
"""

from __future__ import annotations

import socket
import threading
from collections.abc import Callable
from contextlib import suppress
from types import TracebackType
from urllib.parse import urlsplit

from psycopg2.extensions import make_dsn, parse_dsn
from redis.connection import parse_url

__all__ = ["SilentProxy", "before_database", "before_http", "before_redis"]

_CHUNK = 65536


class _Link:
    """One connection of a client, and ours to the server."""

    def __init__(self, client: socket.socket, server: socket.socket) -> None:
        self.client = client
        self.server = server
        self.has_lost = False


class SilentProxy:
    """Forwards TCP connections while its `with` block lasts; `url` is the server's, led through it."""

    def __init__(self, dial: Callable[[], socket.socket], url_at: Callable[[int], str]) -> None:
        """`dial` makes a connection to the server; `url_at` is its URL, but at that port of 127.0.0.1."""
        self._dial = dial
        self._listener = socket.create_server(("127.0.0.1", 0), backlog=128)
        self._silent = threading.Event()
        self._sockets: list[socket.socket] = []
        self._lock = threading.Lock()
        self.url = url_at(self._listener.getsockname()[1])

    def __enter__(self) -> SilentProxy:
        threading.Thread(target=self._accept, name="silent-proxy", daemon=True).start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        with self._lock:
            for each in (self._listener, *self._sockets):
                with suppress(OSError):
                    each.shutdown(socket.SHUT_RDWR)  # wakes the thread that waits for it
                each.close()

    def silence(self) -> None:
        """From now on all bytes of both directions are thrown away; connections are accepted and never answered."""
        self._silent.set()

    def resume(self) -> None:
        """Forward again, except on connections that have lost bytes."""
        self._silent.clear()

    def _accept(self) -> None:
        while True:
            try:
                client, _ = self._listener.accept()
            except OSError:
                return
            self._keep(client)
            if self._silent.is_set():
                continue
            try:
                server = self._dial()
            except OSError:
                client.close()
                continue
            self._keep(server)
            link = _Link(client, server)
            for source, sink in ((client, server), (server, client)):
                threading.Thread(target=self._pump, args=(link, source, sink), daemon=True).start()

    def _keep(self, connection: socket.socket) -> None:
        with self._lock:
            self._sockets.append(connection)

    def _pump(self, link: _Link, source: socket.socket, sink: socket.socket) -> None:
        with suppress(OSError):
            while data := source.recv(_CHUNK):
                link.has_lost |= self._silent.is_set()
                if not link.has_lost:
                    sink.sendall(data)
            if not (link.has_lost or self._silent.is_set()):
                sink.shutdown(socket.SHUT_WR)


def before_database(database_url: str) -> SilentProxy:
    """A proxy before a PostgreSQL."""
    given = parse_dsn(database_url)
    host, port = given.get("host", "localhost"), int(given.get("port", 5432))

    def dial() -> socket.socket:
        return _unix(f"{host}/.s.PGSQL.{port}") if host.startswith("/") else socket.create_connection((host, port))

    return SilentProxy(dial, lambda at: make_dsn(database_url, host="127.0.0.1", port=at))


def before_redis(redis_url: str) -> SilentProxy:
    """A proxy before a Redis."""
    given = parse_url(redis_url)  # type: ignore[no-untyped-call]
    path, place = given.get("path"), (given.get("host", "localhost"), int(given.get("port", 6379)))

    def dial() -> socket.socket:
        return socket.create_connection(place) if path is None else _unix(path)

    password = f":{given['password']}@" if given.get("password") else ""
    return SilentProxy(dial, lambda at: f"redis://{password}127.0.0.1:{at}/{given.get('db', 0)}")


def before_http(url: str) -> SilentProxy:
    """A proxy before a server that speaks HTTP."""
    parts = urlsplit(url)
    place = (str(parts.hostname), int(parts.port or 80))
    return SilentProxy(lambda: socket.create_connection(place), lambda at: f"http://127.0.0.1:{at}")


def _unix(path: str) -> socket.socket:
    made = socket.socket(socket.AF_UNIX)
    made.connect(path)
    return made
