"""A very small HTTP server for a few pages that are made from memory.

The one rule: a client gets at most two seconds of one of four threads, and never slows down the workers. This holds for
a client that sends nothing, sends slowly, or reads nothing. A flood of clients gets a few hundred answers a second, and
no more of the processor.
"""

from __future__ import annotations

import errno
import socket
import threading
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass

__all__ = ["Page", "PageServer", "PortTaken"]

_THREADS = 4
_SECONDS = 2.0
_LONGEST_HEAD = 8192
_LOOK_UP_EVERY = 0.5
_BREATH = 0.01
_REASONS = {200: "OK", 400: "Bad Request", 404: "Not Found", 405: "Method Not Allowed", 500: "Internal Server Error"}
_REASONS[503] = "Service Unavailable"


class PortTaken(OSError):
    """Another process, or another worker on this machine, listens on this port."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Page:
    """The answer to a request."""

    body: bytes
    content_type: str = "application/json"
    status: int = 200


class PageServer:
    """Answers GET and HEAD for the given paths, from its creation on."""

    def __init__(self, host: str, port: int, pages: Mapping[str, Callable[[], Page]]) -> None:
        """
        Args:
            host: a name or address of this machine.
            port: 0 lets the operating system choose.
            pages: by path. Each must be quick, and safe to call from several threads.

        Raises:
            PortTaken: another process listens on this port.
            OSError: it cannot listen there for another reason.
        """
        self._pages = pages
        self._closed = False
        family = socket.AF_INET6 if ":" in host else socket.AF_INET
        try:
            self._listener = socket.create_server((host, port), family=family, backlog=64)
        except OSError as error:
            if error.errno == errno.EADDRINUSE:
                raise PortTaken(error.errno, "the port is taken") from error
            raise
        # Closing a socket does not wake the threads that wait on it, so they check from time to time.
        self._listener.settimeout(_LOOK_UP_EVERY)
        self._threads = [
            threading.Thread(target=self._serve, name=f"pages-{number}", daemon=True) for number in range(_THREADS)
        ]
        for thread in self._threads:
            thread.start()

    @property
    def port(self) -> int:
        """The address on which it listens."""
        return int(self._listener.getsockname()[1])

    def close(self) -> None:
        """Stop answering. A request that is being answered has two seconds left."""
        self._closed = True
        for thread in self._threads:
            thread.join(_SECONDS + _LOOK_UP_EVERY)
        self._listener.close()

    def _serve(self) -> None:
        while not self._closed:
            # A client that disconnected, or too many open files: neither ends the thread.
            with suppress(OSError):
                client, _ = self._listener.accept()
                with client:
                    self._answer(client, time.monotonic() + _SECONDS)
            time.sleep(_BREATH)

    def _answer(self, client: socket.socket, until: float) -> None:
        request = _read_head(client, until)
        if request is None:
            return
        method, page = self._find(request)
        head = (
            f"HTTP/1.1 {page.status} {_REASONS[page.status]}\r\nContent-Type: {page.content_type}\r\n"
            f"Content-Length: {len(page.body)}\r\nCache-Control: no-store\r\nConnection: close\r\n\r\n"
        )
        _write(client, head.encode("ascii") + (b"" if method == "HEAD" else page.body), until)

    def _find(self, request: bytes) -> tuple[str, Page]:
        words = request.partition(b"\r\n")[0].decode("latin-1").split(" ")
        if len(words) != 3 or not words[2].startswith("HTTP/1."):  # noqa: PLR2004 - method, target, version
            return "GET", _plain(400)
        method, target, _ = words
        make = self._pages.get(target.partition("?")[0])
        if method not in {"GET", "HEAD"}:
            return method, _plain(405)
        if make is None:
            return method, _plain(404)
        try:
            return method, make()
        except Exception:  # noqa: BLE001 - a defect in a page must not end the thread; the error's text may be secret
            return method, _plain(500)


def _plain(status: int) -> Page:
    return Page(body=f"{_REASONS[status]}\n".encode(), content_type="text/plain; charset=utf-8", status=status)


def _read_head(client: socket.socket, until: float) -> bytes | None:
    head = b""
    while b"\r\n\r\n" not in head:
        if len(head) > _LONGEST_HEAD:
            return b""
        _grant(client, until)
        received = client.recv(4096)
        if not received:
            return None
        head += received
    return head


def _write(client: socket.socket, data: bytes, until: float) -> None:
    rest = memoryview(data)
    while rest:
        _grant(client, until)
        rest = rest[client.send(rest) :]
    client.shutdown(socket.SHUT_WR)


def _grant(client: socket.socket, until: float) -> None:
    left = until - time.monotonic()
    if left <= 0:
        raise TimeoutError("the client was too slow")
    client.settimeout(left)
