"""One HTTP/1.1 connection, close to the bytes: reading requests, sending answers well or badly, cutting, hanging."""

from __future__ import annotations

import random
import select
import socket
import struct
import threading
import time
from dataclasses import dataclass
from http.client import responses
from urllib.parse import parse_qsl, unquote, urlsplit

_MOST_HEAD = 65_536
_MOST_BODY = 2_000_000
_IDLE_SECONDS = 60.0
_SLICE = 0.05


class Gone(Exception):
    """The client has vanished, or the provider is being stopped: nothing more to do on this connection."""


class BadRequest(Exception):
    """The bytes are no request that can be served; the connection is closed after an answer with this status."""

    def __init__(self, status: int, why: str) -> None:
        super().__init__(why)
        self.status = status
        self.why = why


@dataclass(frozen=True)
class Request:
    """A complete request. `segments` are the path's parts, split first and percent-decoded afterwards."""

    method: str
    target: str
    version: str
    headers: tuple[tuple[str, str], ...]
    body: bytes

    @property
    def path(self) -> str:
        """The path without the query, as sent."""
        return _split_target(self.target)[0]

    @property
    def segments(self) -> tuple[str, ...]:
        """The parts of the path; '%2F' inside a part stays inside it."""
        return tuple(unquote(part, errors="replace") for part in self.path.split("/")[1:])

    @property
    def query(self) -> dict[str, str]:
        """The query's parameters; the last one wins."""
        return dict(parse_qsl(_split_target(self.target)[1], keep_blank_values=True, errors="replace"))

    def header(self, name: str) -> str:
        """The value of a header, '' if it is missing."""
        for key, value in self.headers:
            if key.lower() == name.lower():
                return value
        return ""

    @property
    def keeps_alive(self) -> bool:
        """Whether the client wants to go on using the connection."""
        wish = self.header("Connection").lower()
        return "close" not in wish if self.version == "HTTP/1.1" else "keep-alive" in wish


@dataclass(frozen=True)
class Answer:
    """An answer before it is put on the wire. A Content-Length is added when it is sent, unless `raw_length`."""

    status: int
    body: bytes
    headers: tuple[tuple[str, str], ...] = ()
    content_type: str = "application/json; charset=utf-8"

    def with_headers(self, *more: tuple[str, str]) -> Answer:
        """The same answer with more headers."""
        return Answer(self.status, self.body, (*self.headers, *more), self.content_type)


@dataclass(frozen=True)
class Style:
    """How an answer is put on the wire; all of these are legal HTTP except `extra`, `missing` and `forget_length`."""

    chunked: bool = False
    small_packets: bool = False
    odd_head: bool = False
    close: bool = False
    split_head: bool = False
    until_close: bool = False  # no length: the body ends with the connection
    extra: bytes = b""  # follows the answer in the same packet; no further request is then read
    missing: int = 0  # so many bytes of the body are promised and not sent
    head_only_up_to: float = 1.0  # less than 1: cut inside the head, after this part of it


PLAIN = Style()


class Wire:
    """One accepted connection."""

    def __init__(self, sock: socket.socket, stop: threading.Event, rng: random.Random, clock_offset: float) -> None:
        self._sock = sock
        self._stop = stop
        self._rng = rng
        self._clock_offset = clock_offset
        self._buffer = b""
        self.open = True  # false once this connection must not be used for another request
        sock.settimeout(_IDLE_SECONDS)
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)

    # -- reading -----------------------------------------------------------------------------------------------

    def read_request(self) -> Request:
        """Wait for the next whole request. Raises Gone when there is none, BadRequest when it makes no sense."""
        while self._buffer[:1] in (b"\r", b"\n"):
            self._buffer = self._buffer[1:]
        while b"\r\n\r\n" not in self._buffer:
            if len(self._buffer) > _MOST_HEAD:
                raise BadRequest(431, "head too large")
            self._more()
            self._buffer = self._buffer.lstrip(b"\r\n") if self._buffer[:1] in (b"\r", b"\n") else self._buffer
        head, self._buffer = self._buffer.split(b"\r\n\r\n", 1)
        lines = head.decode("latin-1").split("\r\n")
        parts = lines[0].split(" ")
        if len(parts) != 3 or parts[2] not in ("HTTP/1.0", "HTTP/1.1") or not parts[0].isalpha():
            raise BadRequest(400, "not a request line")
        headers: list[tuple[str, str]] = []
        for line in lines[1:]:
            name, colon, value = line.partition(":")
            if not colon or not name or name != name.strip():
                raise BadRequest(400, "not a header line")
            headers.append((name, value.strip()))
        request = Request(parts[0].upper(), parts[1], parts[2], tuple(headers), b"")
        if not request.target.startswith(("/", "http://")):
            raise BadRequest(400, "not a request target")
        if request.version == "HTTP/1.1" and not request.header("Host"):
            raise BadRequest(400, "no Host header")
        return Request(request.method, request.target, request.version, request.headers, self._read_body(request))

    def _read_body(self, request: Request) -> bytes:
        chunked = request.header("Transfer-Encoding").lower()
        length = request.header("Content-Length")
        if chunked and chunked != "chunked":
            raise BadRequest(501, "unknown transfer encoding")
        if chunked and length:
            raise BadRequest(400, "both a length and a transfer encoding")
        if request.header("Expect").lower() == "100-continue" and not self._buffer:
            self.send_raw(b"HTTP/1.1 100 Continue\r\n\r\n")
        if chunked:
            return self._read_chunks()
        if not length:
            return b""
        if not length.isascii() or not length.isdigit():
            raise BadRequest(400, "not a length")
        if int(length) > _MOST_BODY:
            raise BadRequest(413, "body too large")
        return self._take(int(length))

    def _read_chunks(self) -> bytes:
        body = b""
        while True:
            size_line = self._take_line().split(b";")[0].strip()
            try:
                size = int(size_line, 16)
            except ValueError:
                raise BadRequest(400, "not a chunk size") from None
            if size < 0 or len(body) + size > _MOST_BODY:
                raise BadRequest(413, "body too large")
            if size == 0:
                while self._take_line():
                    pass
                return body
            body += self._take(size)
            if self._take_line():
                raise BadRequest(400, "chunk longer than its size")

    def _take(self, count: int) -> bytes:
        while len(self._buffer) < count:
            self._more()
        taken, self._buffer = self._buffer[:count], self._buffer[count:]
        return taken

    def _take_line(self) -> bytes:
        while b"\r\n" not in self._buffer:
            if len(self._buffer) > _MOST_HEAD:
                raise BadRequest(400, "line too long")
            self._more()
        line, self._buffer = self._buffer.split(b"\r\n", 1)
        return line

    def _more(self) -> None:
        try:
            received = self._sock.recv(65_536)
        except OSError:
            raise Gone from None
        if not received or self._stop.is_set():
            raise Gone
        self._buffer += received

    # -- sending -----------------------------------------------------------------------------------------------

    def send(self, answer: Answer, request: Request, style: Style = PLAIN) -> None:
        """Put an answer on the wire in the given style. Raises Gone if the client is not there any more."""
        bodiless = answer.status in (204, 304) or request.method == "HEAD"
        chunked = style.chunked and request.version == "HTTP/1.1" and not bodiless
        closing = (
            style.close
            or style.until_close
            or bool(style.extra)
            or style.missing > 0
            or style.head_only_up_to < 1
            or not request.keeps_alive
        )
        announce_close = style.close or style.until_close or not request.keeps_alive
        fields = [("Date", self._date()), ("Server", "nginx"), *answer.headers]
        if not bodiless:
            fields.append(("Content-Type", answer.content_type))
            if chunked:
                fields.append(("Transfer-Encoding", "chunked"))
            elif not style.until_close:
                fields.append(("Content-Length", str(len(answer.body))))
        fields.append(("Connection", "close" if announce_close else "keep-alive"))
        head = self._head(answer.status, fields, style.odd_head)
        body = b"" if bodiless else self._chunks(answer.body) if chunked else answer.body
        if style.missing:
            body = body[: max(0, len(body) - style.missing)]
        if style.head_only_up_to < 1:
            head, body = head[: max(1, int(len(head) * style.head_only_up_to))], b""
        if closing:
            self.open = False
        self._put(head, body + style.extra, style)
        if style.extra:
            self._linger(0.5)

    def interim(self, status: int, *fields: tuple[str, str]) -> None:
        """Send an interim answer (1xx)."""
        lines = [f"HTTP/1.1 {status} {responses.get(status, '')}", *(f"{name}: {value}" for name, value in fields)]
        self.send_raw(("\r\n".join(lines) + "\r\n\r\n").encode("latin-1"))

    def send_raw(self, data: bytes) -> None:
        """Send bytes as they are."""
        if self._stop.is_set():
            raise Gone
        try:
            self._sock.sendall(data)
        except OSError:
            raise Gone from None

    def hang(self, seconds: float) -> None:
        """Say nothing for a while. Raises Gone as soon as the client gives up or the provider is stopped."""
        until = time.monotonic() + seconds
        while (left := until - time.monotonic()) > 0:
            if self._stop.wait(min(_SLICE, left)) or self._client_left():
                raise Gone

    def cut(self, hard: bool) -> None:
        """End the connection without (more of) an answer: with a reset if `hard`, else with an ordinary end."""
        self.open = False
        if hard:
            try:
                self._sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            except OSError:
                pass
        raise Gone

    def close(self, *, hastily: bool) -> None:
        """Close the socket; unless `hastily`, give the client a moment to read what was sent."""
        try:
            if not hastily:
                self._sock.shutdown(socket.SHUT_WR)
                self._linger(0.5)
        except OSError:
            pass
        finally:
            self._sock.close()

    def wake(self) -> None:
        """Called by another thread when the provider stops: ends whatever this connection is waiting for."""
        try:
            self._sock.shutdown(socket.SHUT_RDWR)
        except OSError:
            pass

    # -- inside ------------------------------------------------------------------------------------------------

    def _put(self, head: bytes, body: bytes, style: Style) -> None:
        if style.small_packets:
            whole = head + body
            while whole:
                size = self._rng.choice((1, 2, 3, 7, 40))
                self.send_raw(whole[:size])
                whole = whole[size:]
                time.sleep(0.0005)
        elif style.split_head:
            middle = self._rng.randrange(1, len(head))
            self.send_raw(head[:middle])
            self.hang(self._rng.uniform(0.02, 0.12))
            self.send_raw(head[middle:] + body)
        else:
            self.send_raw(head + body)

    def _head(self, status: int, fields: list[tuple[str, str]], odd: bool) -> bytes:
        reason = responses.get(status, "")
        if odd:
            reason = self._rng.choice(("", "Fine", "created", reason))
            fields = [(self._odd_case(name), value) for name, value in fields]
            self._rng.shuffle(fields)
            spaces = self._rng.choice(("", " ", "   ", "\t"))
            lines = [f"{name}:{spaces}{value}{self._rng.choice(('', ' '))}" for name, value in fields]
        else:
            lines = [f"{name}: {value}" for name, value in fields]
        return ("\r\n".join([f"HTTP/1.1 {status} {reason}", *lines]) + "\r\n\r\n").encode("latin-1")

    def _odd_case(self, name: str) -> str:
        change = self._rng.choice((str.upper, str.lower, str.swapcase, str.title))
        return change(name)

    def _chunks(self, body: bytes) -> bytes:
        out = b""
        while body:
            size = self._rng.randint(1, max(1, len(body)))
            extension = self._rng.choice((b"", b"", b";name=value"))
            out += f"{size:x}".encode() + extension + b"\r\n" + body[:size] + b"\r\n"
            body = body[size:]
        return out + b"0\r\n" + self._rng.choice((b"", b"X-Checksum: abc\r\n")) + b"\r\n"

    def _date(self) -> str:
        return http_date(time.time() + self._clock_offset)

    def _linger(self, seconds: float) -> None:
        """Read nothing as a request any more; wait until the client closes, or for so long at most."""
        until = time.monotonic() + seconds
        while (left := until - time.monotonic()) > 0 and not self._stop.is_set():
            try:
                if self._readable(min(_SLICE, left)) and not self._sock.recv(65_536):
                    return
            except OSError:
                return

    def _client_left(self) -> bool:
        try:
            return self._readable(0) and not self._sock.recv(1, socket.MSG_PEEK)
        except OSError:
            return True

    def _readable(self, seconds: float) -> bool:
        poll = select.poll()
        poll.register(self._sock, select.POLLIN)
        return bool(poll.poll(seconds * 1000))


def http_date(at: float, form: int = 0) -> str:
    """A moment as an HTTP date: 0 the usual form, 1 that of RFC 850, 2 that of asctime (both obsolete but legal)."""
    moment = time.gmtime(at)
    day = ("Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday")[moment.tm_wday]
    month = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")[moment.tm_mon - 1]
    clock = f"{moment.tm_hour:02d}:{moment.tm_min:02d}:{moment.tm_sec:02d}"
    if form == 1:
        return f"{day}, {moment.tm_mday:02d}-{month}-{moment.tm_year % 100:02d} {clock} GMT"
    if form == 2:
        return f"{day[:3]} {month} {moment.tm_mday:2d} {clock} {moment.tm_year}"
    return f"{day[:3]}, {moment.tm_mday:02d} {month} {moment.tm_year} {clock} GMT"


def _split_target(target: str) -> tuple[str, str]:
    if target.startswith("/"):
        path, _, query = target.partition("?")
        return path, query
    parts = urlsplit(target)
    return parts.path or "/", parts.query
