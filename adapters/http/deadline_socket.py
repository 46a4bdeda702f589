"""A connected socket that obeys the deadline of the call that uses it, and knows when it is silent.

The one rule: no operation on it may last longer than what is left of the call's deadline. A timeout per operation is
not enough: a server that sends one byte a second would hold a thread for ever.
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
"""Servers and balancers close idle connections; a request written into one that is just closing is lost in doubt."""


_ACKNOWLEDGE_NOW = getattr(socket, "TCP_QUICKACK", None)
"""Linux alone has it."""


class DeadlineSocket:
    """A connected socket whose every read and write gets the time that is left, and no more."""

    def __init__(self, sock: socket.socket) -> None:
        self._sock = sock
        self._waits = True
        self._used_at = current_call().deadline.clock.elapsed()

    def __getattr__(self, name: str) -> Any:
        return getattr(self._sock, name)

    def recv_into(self, buffer: Any) -> int:
        """What `socket.SocketIO` reads through; raises `TimeoutError` at the deadline."""
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
        """Write everything or raise; the time is granted anew for each part, which TLS sockets would not do."""
        rest = memoryview(data).cast("B")
        while rest:
            self._grant_time_left()
            rest = rest[self._sock.send(rest) :]

    def makefile(self, *_args: object, **_kwargs: object) -> io.BufferedReader:
        """What `http.client` reads from, made to come through our `recv_into`; it keeps the socket open."""
        self._sock._io_refs += 1  # type: ignore[attr-defined]
        return io.BufferedReader(socket.SocketIO(self, "r"))  # type: ignore[arg-type]

    def has_more(self, reader: io.BufferedReader) -> bool:
        """Whether bytes that nobody has asked for are in `reader`, which `makefile` made, or under it; does not wait.

        The reader is thrown away with its exchange. What is in it would be missing from the next answer's beginning.
        """
        self._waits = False
        try:
            if _ACKNOWLEDGE_NOW is not None:
                # A server that is not told at once that its answer has arrived may hold back what it sends behind it,
                # until the next request tells it so.
                self._sock.setsockopt(socket.IPPROTO_TCP, _ACKNOWLEDGE_NOW, 1)
            return bool(reader.peek(1))
        except OSError:
            return True
        finally:
            self._waits = True

    def is_reusable(self) -> bool:
        """Whether it was used a short while ago, on the clock of the present call, and nothing has come since.

        It reads, because bytes that TLS has decrypted already are not seen by waiting for the socket; so after False
        it must be closed.
        """
        return self.is_fresh() and self._is_silent()

    def is_fresh(self) -> bool:
        """Whether it was used a short while ago, on the clock of the present call."""
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
