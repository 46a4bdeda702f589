"""urllib3 connections that keep one hard deadline over everything and never reuse what may have gone stale.

The one rule: no operation on the socket may last longer than what is left of the call's deadline. A timeout per
operation is not enough: a server that sends one byte a second would hold a thread for ever.

Only name resolution is outside of it, because the operating system offers no timeout for it; a call that it delays too
long is not sent.
"""

from __future__ import annotations

import io
import socket
from typing import Any

from urllib3.connection import HTTPConnection, HTTPSConnection
from urllib3.connectionpool import HTTPConnectionPool, HTTPSConnectionPool

from adapters.http.call import current_call
from adapters.http.errors import CannotConnect

__all__ = ["POOLS", "DeadlineSocket"]

_MAX_IDLE_SECONDS = 5.0
"""Servers and balancers close idle connections; a request written into one that is just closing is lost in doubt."""

_MAX_CONNECT_SECONDS = 10.0
"""For one address, so that a host's second address still gets a turn within the deadline."""


class DeadlineSocket:
    """A connected socket whose every read and write gets the time that is left, and no more."""

    def __init__(self, sock: socket.socket) -> None:
        self._sock = sock
        self._used_at = current_call().deadline.clock.elapsed()

    def __getattr__(self, name: str) -> Any:
        return getattr(self._sock, name)

    def recv_into(self, buffer: Any) -> int:
        """What `socket.SocketIO` reads through; raises `TimeoutError` at the deadline."""
        self._grant_time_left()
        return self._sock.recv_into(buffer)

    def sendall(self, data: Any) -> None:
        """Write everything or raise; the time is granted anew for each part, which TLS sockets would not do."""
        rest = memoryview(data).cast("B")
        while rest:
            self._grant_time_left()
            rest = rest[self._sock.send(rest) :]

    def makefile(self, *_args: object, **_kwargs: object) -> io.BufferedReader:
        """What `http.client` reads from, made to come through our `recv_into`; it keeps the socket open."""
        self._sock._io_refs += 1  # type: ignore[attr-defined]
        return io.BufferedReader(socket.SocketIO(self, "r"))  # type: ignore[arg-type]

    def is_fresh(self) -> bool:
        """Whether it was used a short while ago, on the clock of the present call."""
        idle = current_call().deadline.clock.elapsed() - self._used_at
        return 0 <= idle <= _MAX_IDLE_SECONDS

    def _grant_time_left(self) -> None:
        call = current_call()
        left = call.time_left()
        self._sock.settimeout(left)
        self._used_at = call.deadline.at - left


class _DeadlineConnection(HTTPConnection):
    """Plain HTTP; the class below adds TLS to it by its place in the method resolution order."""

    @property
    def is_connected(self) -> bool:
        """Asked by the pool before it hands out a used connection: a stale one counts as dropped."""
        return isinstance(self.sock, DeadlineSocket) and self.sock.is_fresh() and super().is_connected

    def connect(self) -> None:
        """Connect and shake hands within the deadline.

        Raises:
            CannotConnect: for whatever reason; our own exception, because urllib3 passes those it does not know.
        """
        try:
            super().connect()
        except Exception as error:
            raise CannotConnect(f"Could not connect to {self.host}:{self.port} ({_reason(error)}).") from error
        self.sock = DeadlineSocket(self.sock)

    def send(self, data: Any) -> None:
        """Write a part of the request; before the first one the deadline is checked a last time."""
        if self.sock is None:
            self.connect()
        current_call().begin()
        super().send(data)

    def _new_conn(self) -> socket.socket:
        problem = OSError("the name has no address")
        addresses = socket.getaddrinfo(self._dns_host, self.port, type=socket.SOCK_STREAM)
        for family, kind, protocol, _, address in addresses:
            sock = socket.socket(family, kind, protocol)
            try:
                for option in self.socket_options or ():
                    sock.setsockopt(*option)
                sock.settimeout(min(current_call().time_left(), _MAX_CONNECT_SECONDS))
                sock.connect(address)
                # The TLS handshake takes this as its total.
                sock.settimeout(current_call().time_left())
            except OSError as error:
                sock.close()
                problem = error
            else:
                return sock
        raise problem


class _DeadlineTlsConnection(_DeadlineConnection, HTTPSConnection):
    """The same over TLS."""


class _Pool(HTTPConnectionPool):
    ConnectionCls = _DeadlineConnection


class _TlsPool(HTTPSConnectionPool):
    ConnectionCls = _DeadlineTlsConnection


POOLS = {"http": _Pool, "https": _TlsPool}
"""For `PoolManager.pool_classes_by_scheme`."""


def _reason(error: Exception) -> str:
    return getattr(error, "strerror", None) or str(error) or type(error).__name__
