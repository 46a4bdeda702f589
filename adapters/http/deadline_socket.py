"""A connected socket that obeys the deadline of the call that uses it, and knows whether it is silent.

The one rule: no operation on it lasts longer than what is left of the call's deadline. A timeout for each operation is
not enough: a server that sends one byte a second would block a thread for ever.
"""

from __future__ import annotations

import errno
import io
import socket
import ssl
from typing import Any

from adapters.http.call import current_call

__all__ = ["DeadlineSocket"]

_MAX_IDLE_SECONDS = 5.0
"""Servers and load balancers close idle connections.
If a request is written while its connection closes, nobody knows whether it arrived."""


_ACKNOWLEDGE_NOW = getattr(socket, "TCP_QUICKACK", None)
"""Only Linux has it."""


class DeadlineSocket:
    """A connected socket whose reads and writes each get only the time that is left."""

    def __init__(self, sock: socket.socket) -> None:
        self._sock = sock
        self._waits = True
        self._used_at = current_call().deadline.clock.elapsed()

    def __getattr__(self, name: str) -> Any:
        return getattr(self._sock, name)

    def recv_into(self, buffer: Any) -> int:
        """`socket.SocketIO` reads through this method. Raises `TimeoutError` at the deadline."""
        if self._waits:
            self._grant_time_left()
            return self._sock.recv_into(buffer)
        self._sock.settimeout(0)
        try:
            return self._sock.recv_into(buffer)
        except ssl.SSLWantReadError as error:
            # What a plain socket says, and `SocketIO` understands.
            raise BlockingIOError(errno.EAGAIN, "nothing is there") from error

    def sendall(self, data: Any) -> None:
        """Write everything or raise.
        Each part gets the time that is left then; a TLS socket would not do this by itself."""
        rest = memoryview(data).cast("B")
        while rest:
            self._grant_time_left()
            rest = rest[self._sock.send(rest) :]

    def makefile(self, *_args: object, **_kwargs: object) -> io.BufferedReader:
        """The file that `http.client` reads from. It reads through our `recv_into`, and keeps the socket open."""
        self._sock._io_refs += 1  # type: ignore[attr-defined]
        return io.BufferedReader(socket.SocketIO(self, "r"))  # type: ignore[arg-type]

    def has_more(self, reader: io.BufferedReader) -> bool:
        """Whether unread bytes are in `reader` (made by `makefile`) or in the socket under it; does not wait.

        The reader is dropped with its exchange. Bytes in it would be missing from the beginning of the next answer.
        """
        self._waits = False
        try:
            if _ACKNOWLEDGE_NOW is not None:
                # Acknowledge the answer at once. Otherwise a server may hold back what it sends behind the answer until
                # the next request acknowledges it.
                self._sock.setsockopt(socket.IPPROTO_TCP, _ACKNOWLEDGE_NOW, 1)
            return bool(reader.peek(1))
        except OSError:
            return True
        finally:
            self._waits = True

    def is_reusable(self) -> bool:
        """Whether it was used a short while ago, by the present call's clock, and nothing has arrived since.

        It reads from the socket, because waiting for the socket does not show bytes that TLS has already decrypted. So
        after False, the caller must close it.
        """
        return self.is_fresh() and self._is_silent()

    def is_fresh(self) -> bool:
        """Whether it was used a short while ago, by the present call's clock."""
        idle = current_call().deadline.clock.elapsed() - self._used_at
        return 0 <= idle <= _MAX_IDLE_SECONDS

    def _is_silent(self) -> bool:
        self._sock.settimeout(0)
        try:
            self._sock.recv(1)
        except (BlockingIOError, ssl.SSLWantReadError):
            return True
        except OSError:
            return False
        return False

    def _grant_time_left(self) -> None:
        call = current_call()
        left = call.time_left()
        self._sock.settimeout(left)
        self._used_at = call.deadline.at - left
