"""A distance to the database: a process that passes bytes on, a fixed time later in each direction.

The one rule: it adds time and nothing else. Bytes keep their order, and as many may be on their way as there are. It is
a process of its own, so that the bench's own work does not add to the time.
"""

from __future__ import annotations

import asyncio
import socket
import sys
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import urlsplit

from runners.bench.process import Process

__all__ = ["at_port", "delay_proxy"]

_HOST = "127.0.0.1"


@contextmanager
def delay_proxy(url: str, ms: float, *, log: Path) -> Iterator[int]:
    """The port of a proxy before the server of `url` that delays by `ms` milliseconds each way.

    Raises:
        BenchFailed: it does not start.
    """
    command = [sys.executable, "-m", "runners.bench.delay_proxy", str(urlsplit(url).port), str(ms)]
    with Process(command, log=log) as process:
        yield int(process.wait_until_it_says("\n"))


def at_port(url: str, port: int) -> str:
    """The same URL with another port of this machine."""
    place = urlsplit(url)
    credentials, _, _ = place.netloc.rpartition("@")
    return place._replace(netloc=f"{credentials}@{_HOST}:{port}").geturl()


class _Direction(asyncio.Protocol):
    """What one side sends goes to `other`'s side, `seconds` later. An end of the connection travels as slowly."""

    def __init__(self, seconds: float) -> None:
        self._seconds = seconds
        self._on_their_way: deque[bytes | None] = deque()
        self.transport: asyncio.Transport | None = None
        self.other: _Direction | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Nagle's algorithm would add a time of its own."""
        assert isinstance(transport, asyncio.Transport)  # noqa: S101 - for the type checker: TCP has no other kind
        self.transport = transport
        transport.get_extra_info("socket").setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)

    def data_received(self, data: bytes) -> None:
        """Bytes begin their way."""
        self._send(data)

    def connection_lost(self, exc: Exception | None) -> None:  # noqa: ARG002 - asyncio's own signature
        """So does the end."""
        self._send(None)

    def _send(self, piece: bytes | None) -> None:
        self._on_their_way.append(piece)
        # Each timer takes the oldest piece, so the order holds even if two timers end at the same time.
        asyncio.get_running_loop().call_later(self._seconds, self._arrive)

    def _arrive(self) -> None:
        piece = self._on_their_way.popleft()
        if self.other is None or self.other.transport is None:
            return
        if piece is None:
            self.other.transport.close()
        else:
            self.other.transport.write(piece)


class _Client(_Direction):
    """A connection that was accepted: the one to the server is made before anything is read from it."""

    def __init__(self, seconds: float, target: int) -> None:
        super().__init__(seconds)
        self._target = target
        self._connecting: asyncio.Task[None] | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """See the class."""
        super().connection_made(transport)
        assert self.transport is not None  # noqa: S101 - for the type checker
        self.transport.pause_reading()
        self._connecting = asyncio.ensure_future(self._connect(self.transport))

    async def _connect(self, transport: asyncio.Transport) -> None:
        loop = asyncio.get_running_loop()
        try:
            _, server = await loop.create_connection(lambda: _Direction(self._seconds), _HOST, self._target)
        except OSError:
            transport.close()
            return
        self.other, server.other = server, self
        transport.resume_reading()


async def _serve(target: int, seconds: float) -> None:
    server = await asyncio.get_running_loop().create_server(lambda: _Client(seconds, target), _HOST, 0)
    sys.stdout.write(f"{server.sockets[0].getsockname()[1]}\n")
    sys.stdout.flush()
    await server.serve_forever()


if __name__ == "__main__":
    asyncio.run(_serve(int(sys.argv[1]), float(sys.argv[2]) / 1000))
