"""urllib3 connections that keep one hard deadline over everything, and never reuse a connection that may be stale.

The one rule: the call's deadline covers all that the connection does: connect, handshake, write, read.

Only name resolution lies outside of it, because the operating system offers no timeout for it. If name resolution
takes too long, the call is not sent.
"""

from __future__ import annotations

import errno
import socket
from typing import Any, cast

from urllib3.connection import HTTPConnection, HTTPSConnection
from urllib3.connectionpool import HTTPConnectionPool, HTTPSConnectionPool

from adapters.http.call import current_call
from adapters.http.deadline_socket import DeadlineSocket
from adapters.http.errors import CannotConnect
from adapters.http.exchange import Exchange
from adapters.http.idle_connections import IdleConnections

__all__ = ["POOLS"]

_MAX_CONNECT_SECONDS = 10.0
"""The limit for one address, so that a host's second address can still be tried within the deadline."""


_CLOSED_BY_THE_SERVER = frozenset({errno.EPIPE, errno.ECONNRESET, errno.EPROTOTYPE})
_WITHOUT_BODY = frozenset({"GET", "HEAD", "DELETE", "OPTIONS", "TRACE"})


class _DeadlineConnection(HTTPConnection):
    """Plain HTTP. The class below adds TLS to it by its place in the method resolution order."""

    _method_sent = ""

    @property
    def is_connected(self) -> bool:
        """The pool asks this before it hands out a used connection.
        A stale connection, or one with unexpected bytes, counts as dropped."""
        return isinstance(self.sock, DeadlineSocket) and self.sock.is_reusable()

    @property
    def is_fresh(self) -> bool:
        """Whether the connection was used recently enough to be used again."""
        return isinstance(self.sock, DeadlineSocket) and self.sock.is_fresh()

    def connect(self) -> None:
        """Connect and do the handshake within the deadline.

        Raises:
            CannotConnect: for any reason. It is our own exception, because urllib3 passes on exceptions that it does
                not know.
        """
        try:
            super().connect()
        except Exception as error:
            raise CannotConnect(f"Could not connect to {self.host}:{self.port} ({_reason(error)}).") from error
        self.sock = DeadlineSocket(self.sock)

    def request(self, method: str, url: str, body: Any = None, headers: Any = None, **_options: Any) -> None:
        """Write the whole request at once. `http.client` writes it line by line, and looks at each line several times.

        Raises:
            ValueError: the target cannot stand in a request line.
        """
        if not (url.isascii() and url.isprintable()) or " " in url:
            raise ValueError("The target of a request must be printable ASCII without blanks.")
        fields = {name.lower(): f"{name}: {value}" for name, value in headers.items()}
        fields.setdefault("user-agent", "User-Agent: pod-engagement")
        if body is None and method not in _WITHOUT_BODY:
            fields.setdefault("content-length", "Content-Length: 0")
        lines = (f"{method} {url} HTTP/1.1", f"Host: {self._host_field()}", "Accept-Encoding: identity")
        head = "\r\n".join((*lines, *fields.values(), "", ""))
        self._method_sent = method
        self.send(head.encode("ascii") + (body or b""))

    def getresponse(self) -> Any:
        """Wait for the head of the answer. What urllib3 would add to it is not needed."""
        exchange = Exchange(cast("DeadlineSocket", self.sock), method=self._method_sent)
        try:
            exchange.begin()
        except BaseException:
            exchange.close()
            raise
        return exchange

    def _host_field(self) -> str:
        host = f"[{self.host}]" if ":" in self.host else self.host
        return host if self.port == self.default_port else f"{host}:{self.port}"

    def send(self, data: Any) -> None:
        """Write a part of the request. Before the first part, the deadline is checked a last time."""
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
                # The TLS handshake takes this as its total time.
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
    QueueCls = IdleConnections  # type: ignore[assignment]  # it has what urllib3 calls

    def urlopen(  # type: ignore[override]  # requests looks at nothing else
        self, method: str, url: str, body: Any = None, headers: Any = None, **_options: Any
    ) -> Exchange:
        """Send the request once on one of our connections. urllib3's own method would retry and follow redirects, and
        looks at every request for that, although requests asks for neither."""
        connection = self._get_conn()
        try:
            try:
                connection.request(method, url, body=body, headers=headers)
            except OSError as error:
                # The server may close the connection after it has sent a valid answer.
                if error.errno not in _CLOSED_BY_THE_SERVER:
                    raise
            exchange = cast("Exchange", connection.getresponse())
        except BaseException:
            connection.close()
            self._put_conn(None)
            raise
        exchange.belongs_to(connection, self)
        return exchange


class _TlsPool(_Pool, HTTPSConnectionPool):
    ConnectionCls = _DeadlineTlsConnection


POOLS = {"http": _Pool, "https": _TlsPool}
"""For `PoolManager.pool_classes_by_scheme`."""


def _reason(error: Exception) -> str:
    return getattr(error, "strerror", None) or str(error) or type(error).__name__
