"""What the tests of the provider's side share: engagements, clocks, and a server that does exactly as scripted.

The one rule: a scripted server is real sockets, because what is tested is what happens between bytes.
"""

from __future__ import annotations

import socket
import ssl
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from datetime import timedelta
from pathlib import Path
from types import TracebackType

from engagement_core.model.activity import Account, EngagementType
from engagement_core.model.provider import Engagement
from engagement_core.ports.clock import Clock, Deadline

API_KEY = "the-api-key-0123456789"
ACCESS_TOKEN = "the-access-token-0123456789"
CERTIFICATE = Path(__file__).parents[1] / "data" / "localhost.pem"
"""A certificate for localhost and its key; both are worth nothing anywhere else."""

OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}"


class RealClock(Clock):
    """Time as it passes."""

    def elapsed(self) -> float:
        """See `Clock`."""
        return time.monotonic()


class HandClock(Clock):
    """Time as the test lets it pass."""

    def __init__(self) -> None:
        self.now = 1000.0

    def elapsed(self) -> float:
        """See `Clock`."""
        return self.now

    def advance(self, seconds: float) -> None:
        """Let time pass."""
        self.now += seconds


def within(seconds: float, clock: Clock | None = None) -> Deadline:
    """The deadline that lies so far ahead."""
    return Deadline.after(clock or RealClock(), timedelta(seconds=seconds))


def account(
    provider_account_id: str | None = "acc-1", access_token: str | None = ACCESS_TOKEN, account_id: str = "account-1"
) -> Account:
    """An account that can act."""
    return Account(
        id=account_id,
        profile_id=None,
        provider_account_id=provider_account_id,
        access_token=access_token,
        status=None,
        daily_limit=None,
    )


def like(post_id: str = "urn:li:activity:1", by: Account | None = None) -> Engagement:
    """A like to be sent."""
    return Engagement(engagement_type=EngagementType.LIKE, post_id=post_id, account=by or account())


def comment(
    text: str = "Well said & done.", post_id: str = "urn:li:activity:1", by: Account | None = None
) -> Engagement:
    """A comment to be sent."""
    return Engagement(engagement_type=EngagementType.COMMENT, post_id=post_id, account=by or account(), text=text)


def raw_reply(status: int, body: bytes = b"{}", headers: str = "") -> bytes:
    """A reply as bytes; `headers` are complete lines."""
    return f"HTTP/1.1 {status} X\r\nContent-Length: {len(body)}\r\n{headers}\r\n".encode() + body


class ScriptedServer:
    """Serves each connection in a thread by `script(connection, request)`, called for every request it reads.

    `connections` and `requests` are what it saw. The script returns False to have the connection closed.
    """

    def __init__(self, script: Callable[[socket.socket, bytes], bool | None], *, tls: bool = False) -> None:
        self.requests: list[bytes] = []
        self.connections = 0
        self._script = script
        self._listener = socket.create_server(("127.0.0.1", 0), backlog=64)
        self.port: int = self._listener.getsockname()[1]
        self.url = f"{'https' if tls else 'http'}://127.0.0.1:{self.port}"
        self._tls: ssl.SSLContext | None = None
        if tls:
            self._tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            self._tls.load_cert_chain(CERTIFICATE)
        self._open: list[socket.socket] = []
        self._threads = [threading.Thread(target=self._accept, daemon=True)]
        self._threads[0].start()

    def __enter__(self) -> ScriptedServer:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        with suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        self._threads[0].join()
        for connection in self._open:
            with suppress(OSError):
                connection.shutdown(socket.SHUT_RDWR)
        for thread in self._threads[1:]:
            thread.join()

    def _accept(self) -> None:
        while True:
            try:
                connection, _ = self._listener.accept()
            except OSError:
                return
            self.connections += 1
            self._open.append(connection)
            self._threads.append(threading.Thread(target=self._serve, args=(connection,), daemon=True))
            self._threads[-1].start()

    def _serve(self, connection: socket.socket) -> None:
        with suppress(OSError):
            if self._tls is not None:
                connection = self._tls.wrap_socket(connection, server_side=True)
                self._open.append(connection)
            with connection:
                while (request := _read_request(connection)) is not None:
                    self.requests.append(request)
                    if self._script(connection, request) is False:
                        return
        connection.close()


def _read_request(connection: socket.socket) -> bytes | None:
    data = b""
    while b"\r\n\r\n" not in data:
        part = connection.recv(65536)
        if not part:
            return None
        data += part
    head, _, body = data.partition(b"\r\n\r\n")
    length = 0
    for line in head.split(b"\r\n"):
        if line.lower().startswith(b"content-length:"):
            length = int(line.split(b":")[1])
    while len(body) < length:
        part = connection.recv(65536)
        if not part:
            return None
        body += part
    return head + b"\r\n\r\n" + body


def free_port() -> int:
    """A port on which nobody listens."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port: int = listener.getsockname()[1]
    return port
