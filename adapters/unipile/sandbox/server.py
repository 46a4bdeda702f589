"""The sandbox's sockets: a threaded HTTP/1.1 server, small enough to be fast and low-level enough to misbehave.

The one rule: an effect is in the ledger before the first byte of its answer is written.
"""

from __future__ import annotations

import json
import select
import socket
import socketserver
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from http import HTTPStatus
from io import BufferedIOBase
from types import TracebackType
from typing import Any
from urllib.parse import parse_qsl

from adapters.unipile.sandbox.faults import Ending, Fault, FaultPlan
from adapters.unipile.sandbox.ledger import Ledger
from adapters.unipile.sandbox.messages import Incoming, Outgoing, Write, json_answer
from adapters.unipile.sandbox.provider import answer_read, answer_write
from adapters.unipile.sandbox.routes import understand

__all__ = ["Sandbox", "serve"]

_MAX_LINE = 65536
_MISSING = 100
"""A body that is cut short is this many bytes shorter than declared."""
_REASONS = {status.value: status.phrase for status in HTTPStatus}


class Sandbox:
    """A running sandbox; a context manager. `faults` is a parsed fault document (docs/reference/sandbox.md)."""

    def __init__(self, host: str = "127.0.0.1", port: int = 0, faults: object = None) -> None:
        """Start it.

        Raises:
            ValueError: the fault document is wrong; the message names the rule and the field.
            OSError: the port is not available.
        """
        self._ledger = Ledger()
        self._document = faults
        self._plan = FaultPlan(faults)
        self._stopping = threading.Event()
        self._server = _Server((host, port), self._exchange)
        self.host = host
        self.port: int = self._server.server_address[1]
        self._thread = threading.Thread(target=self._accept, name="sandbox", daemon=True)
        self._thread.start()

    @property
    def url(self) -> str:
        """Its base address, for `UNIPILE_BASE_URL`."""
        return f"http://[{self.host}]:{self.port}" if ":" in self.host else f"http://{self.host}:{self.port}"

    def ledger(self, since: int = 0) -> dict[str, Any]:
        """The same as `GET /_ledger`."""
        return self._ledger.as_json(since)

    def set_faults(self, faults: object) -> None:
        """The same as `POST /_faults`. Raises `ValueError` as the constructor does, and then changes nothing."""
        self._plan = FaultPlan(faults)
        self._document = faults

    def reset(self) -> None:
        """The same as `POST /_reset`."""
        self._ledger.clear()
        self._plan = FaultPlan(self._document)

    def stop(self) -> None:
        """Stop listening and close every connection, including hanging ones."""
        self._stopping.set()
        # Connect once more, to wake the thread that waits for connections.
        with suppress(OSError):
            socket.create_connection((self.host, self.port), timeout=1).close()
        self._thread.join()
        self._server.server_close()
        self._server.cut_connections()

    def __enter__(self) -> Sandbox:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.stop()

    def _accept(self) -> None:
        while not self._stopping.is_set():
            self._server.handle_request()

    def _exchange(self, request: Incoming, client: socket.socket) -> bool:
        """Answer one request; False if the connection must be closed."""
        if request.path.startswith("/_"):
            return _write(client, self._control(request))
        self._ledger.count_request()
        wanted = understand(request)
        if isinstance(wanted, Outgoing):
            return _write(client, wanted)
        fault = self._plan.fault_for(wanted)
        if fault.delay:
            self._stopping.wait(fault.delay)
        reply = fault.reply
        if isinstance(wanted, Write):
            if fault.applies:
                effect = self._ledger.apply(wanted, request.received_at)
                reply = reply or answer_write(effect)
        elif reply is None:
            reply = answer_read(wanted, self._ledger, self._plan.habits, fault.cursor)
        return _end(client, fault, reply)

    def _control(self, request: Incoming) -> Outgoing:
        try:
            match (request.method, request.path):
                case ("GET", "/_ledger"):
                    return json_answer(200, self.ledger(int(request.query.get("since", "0"))))
                case ("POST", "/_faults"):
                    self.set_faults(json.loads(request.body or b"null"))
                case ("DELETE", "/_faults"):
                    self.set_faults(None)
                case ("POST", "/_reset"):
                    self.reset()
                case _:
                    return json_answer(404, {"error": "there is no such control"})
        except ValueError as error:
            return json_answer(400, {"error": str(error)})
        return json_answer(200, {"ok": True})


def serve(host: str, port: int, faults: object = None, *, ready: Callable[[Sandbox], None] | None = None) -> None:
    """Run a sandbox in this thread until an exception ends the wait (from a signal handler, or Ctrl-C). `ready` is
    called with the sandbox once it runs."""
    with Sandbox(host, port, faults) as sandbox:
        if ready is not None:
            ready(sandbox)
        threading.Event().wait()


class _Server(socketserver.ThreadingTCPServer):
    allow_reuse_address = True
    daemon_threads = True
    request_queue_size = 256

    def __init__(self, address: tuple[str, int], exchange: Callable[[Incoming, socket.socket], bool]) -> None:
        self.address_family = socket.AF_INET6 if ":" in address[0] else socket.AF_INET
        self.exchange = exchange
        self._connections: set[socket.socket] = set()
        self._cutting = False
        self._changed = threading.Condition()
        super().__init__(address, _Connection)

    def connection_opened(self, client: socket.socket) -> None:
        with self._changed:
            self._connections.add(client)
            if self._cutting:
                _cut(client)

    def connection_closed(self, client: socket.socket) -> None:
        with self._changed:
            self._connections.discard(client)
            self._changed.notify_all()

    def cut_connections(self) -> None:
        """End every connection and wait until its thread has released it."""
        with self._changed:
            self._cutting = True
            for client in self._connections:
                _cut(client)
            self._changed.wait_for(lambda: not self._connections, timeout=5)

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A client that disconnects early is not worth a report."""


class _Connection(socketserver.StreamRequestHandler):
    disable_nagle_algorithm = True
    server: _Server

    def handle(self) -> None:
        """Answer requests until the client leaves or a fault ends the connection."""
        self.server.connection_opened(self.connection)
        try:
            while (request := _read_request(self.rfile)) is not None:
                if not self.server.exchange(request, self.connection):
                    break
        finally:
            self.server.connection_closed(self.connection)


def _read_request(reader: BufferedIOBase) -> Incoming | None:
    first = reader.readline(_MAX_LINE)
    received_at = time.time()
    words = first.decode("latin-1").split()
    if len(words) != 3:  # noqa: PLR2004 - method, target, version
        return None
    headers: dict[str, str] = {}
    while (line := reader.readline(_MAX_LINE)) not in (b"\r\n", b"\n", b""):
        name, _, value = line.decode("latin-1").partition(":")
        headers[name.strip().lower()] = value.strip()
    length = headers.get("content-length", "0")
    if not length.isdecimal() or "transfer-encoding" in headers:
        return None
    path, _, query = words[1].partition("?")
    return Incoming(
        method=words[0],
        path=path,
        query=dict(parse_qsl(query)) if query else {},
        headers=headers,
        body=reader.read(int(length)) if length != "0" else b"",
        received_at=received_at,
    )


def _end(client: socket.socket, fault: Fault, reply: Outgoing | None) -> bool:
    if fault.ending is Ending.HANG:
        _wait_for_client_to_leave(client, fault.hang_for)
        return False
    if fault.ending is Ending.DROP or reply is None:
        return False
    client.sendall(b"".join(_interim(each) for each in fault.interim))
    if fault.ending is Ending.DRIP:
        return _drip(client, reply, fault)
    if fault.ending is Ending.CUT:
        client.sendall(_head(reply, missing=_MISSING) + reply.body)
        return False
    return _write(client, reply) if fault.extra is None else _write_both(client, reply, fault.extra, fault.extra_delay)


def _interim(reply: Outgoing) -> bytes:
    return _lines(reply, ())


def _head(reply: Outgoing, missing: int = 0) -> bytes:
    return _lines(reply, (f"Content-Length: {len(reply.body) + missing}",))


def _lines(reply: Outgoing, more: tuple[str, ...]) -> bytes:
    lines = [f"HTTP/1.1 {reply.status} {_REASONS.get(reply.status, 'Unknown')}"]
    lines += [f"{name}: {value}" for name, value in reply.headers]
    return ("\r\n".join([*lines, *more]) + "\r\n\r\n").encode("latin-1")


def _write(client: socket.socket, reply: Outgoing) -> bool:
    client.sendall(_head(reply) + reply.body)
    return True


def _write_both(client: socket.socket, reply: Outgoing, extra: Outgoing, delay: float) -> bool:
    answers = [_head(each) + each.body for each in (reply, extra)]
    if delay:
        client.sendall(answers.pop(0))
        time.sleep(delay)
    client.sendall(b"".join(answers))
    return True


def _drip(client: socket.socket, reply: Outgoing, fault: Fault) -> bool:
    head = _head(reply)
    at_once, slowly = (head, reply.body) if fault.drip_from == "body" else (b"", head + reply.body)
    client.sendall(at_once)
    for position in range(len(slowly)):
        if _wait_for_client_to_leave(client, 1 / fault.bytes_per_second):
            return False
        client.sendall(slowly[position : position + 1])
    return True


def _wait_for_client_to_leave(client: socket.socket, seconds: float) -> bool:
    poll = select.poll()
    poll.register(client, select.POLLIN | select.POLLHUP)
    return bool(poll.poll(seconds * 1000))


def _cut(client: socket.socket) -> None:
    # The client may have disconnected first.
    with suppress(OSError):
        client.shutdown(socket.SHUT_RDWR)
