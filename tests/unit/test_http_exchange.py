"""A connection is used again only after an exchange that is known to be over; nobody reads another request's answer."""

from __future__ import annotations

import gzip
import socket
import threading
from collections.abc import Iterator

import pytest

from adapters.http.errors import NoAnswer
from adapters.http.session import HttpReply, HttpRequest, HttpSession
from support.provider import CERTIFICATE, ScriptedServer, raw_reply, within

FIRST, SECOND = b'{"id":"first"}', b'{"id":"second"}'
YES = raw_reply(201, FIRST)
NO = raw_reply(429, SECOND)
EARLY_HINTS = b"HTTP/1.1 103 Early Hints\r\nLink: </a.css>; rel=preload\r\n\r\n"


@pytest.fixture
def session() -> Iterator[HttpSession]:
    """A session that trusts the test certificate alone."""
    with HttpSession(ca_bundle=str(CERTIFICATE)) as session:
        yield session


class InTurn:
    """Answers the requests of all connections in turn, and tells when each answer has been sent."""

    def __init__(self, *answers: bytes, closes: bool = False) -> None:
        self._answers = list(answers)
        self._closes = closes
        self.sent = threading.Semaphore(0)

    def __call__(self, connection: socket.socket, request: bytes) -> bool:
        connection.sendall(self._answers.pop(0))
        self.sent.release()
        return not self._closes


def send(session: HttpSession, server: ScriptedServer, seconds: float = 5, method: str = "POST") -> HttpReply:
    """A small request."""
    body = b"{}" if method == "POST" else None
    return session.send(HttpRequest(method=method, url=server.url + "/x", body=body), within(seconds))


@pytest.mark.parametrize("tls", [False, True])
@pytest.mark.parametrize(
    "interim",
    [
        EARLY_HINTS,
        b"HTTP/1.1 100 Continue\r\n\r\n",
        b"HTTP/1.1 102 Processing\r\nX-A: b\r\n\r\n",
        b"HTTP/1.1 100 Continue\r\n\r\n" + EARLY_HINTS * 3 + b"HTTP/1.1 199 X\r\n\r\n",
    ],
)
def test_interim_answers_are_read_past_and_end_the_connection(session: HttpSession, interim: bytes, tls: bool) -> None:
    """Each request gets its own final answer, and the connection that carried interim ones is not used again."""
    with ScriptedServer(InTurn(interim + YES, NO), tls=tls) as server:
        replies = [send(session, server) for _ in range(2)]
    assert [(reply.status, reply.body) for reply in replies] == [(201, FIRST), (429, SECOND)]
    assert server.connections == 2


@pytest.mark.parametrize(
    ("answer", "says"),
    [
        (b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\n\r\n" + YES, "protocol"),
        (EARLY_HINTS * 1000 + YES, "interim"),
        (b"HTTP/1.1 103 X\r\n" + b"A: b\r\n" * 100_000 + b"\r\n" + YES, "head"),
        (b"HTTP/1.1 201 X\r\nA: " + b"b" * 1_000_000 + b"\r\n\r\n", "head"),
        (b"<html>hello</html>\r\n\r\n", "HTTP"),
        (b"HTTP/2 201\r\n\r\n", "HTTP"),
        (b"ICY 200 OK\r\n\r\n", "HTTP"),
        (b"\r\n" + YES, "HTTP"),
    ],
)
def test_what_is_no_answer_is_none_and_ends_the_connection(session: HttpSession, answer: bytes, says: str) -> None:
    """It may have happened; and what follows on the connection is read by nobody."""
    with ScriptedServer(InTurn(answer, NO)) as server:
        with pytest.raises(NoAnswer, match=says):
            send(session, server)
        assert send(session, server).body == SECOND
    assert server.connections == 2


def test_interim_answers_without_an_end_are_left_at_the_deadline(session: HttpSession) -> None:
    """A server that always asks for a little patience has no more of it than any other."""

    def script(connection: socket.socket, request: bytes) -> None:
        connection.sendall(EARLY_HINTS)
        connection.recv(1)

    with ScriptedServer(script) as server, pytest.raises(NoAnswer, match="deadline"):
        send(session, server, seconds=0.2)


@pytest.mark.parametrize("tls", [False, True])
@pytest.mark.parametrize("extra", [YES, b"H", b"\r\n", YES * 3000])
def test_bytes_behind_the_answer_end_the_connection(session: HttpSession, extra: bytes, tls: bool) -> None:
    """Be they read already together with the answer or still on their way: the next answer is the next request's."""
    script = InTurn(YES + extra, NO)
    with ScriptedServer(script, tls=tls) as server:
        replies = [send(session, server) for _ in range(2)]
    assert [reply.body for reply in replies] == [FIRST, SECOND]
    assert server.connections == 2


@pytest.mark.parametrize("tls", [False, True])
def test_bytes_that_come_while_the_connection_is_idle_end_it(session: HttpSession, tls: bool) -> None:
    """They are seen before the next request is written, TLS or not."""
    may_go_on, gone_on = threading.Event(), threading.Event()
    answers = [YES, NO]

    def script(connection: socket.socket, request: bytes) -> None:
        connection.sendall(answers.pop(0))
        if answers:
            may_go_on.wait(5)
            connection.sendall(YES)
            gone_on.set()

    with ScriptedServer(script, tls=tls) as server:
        send(session, server)
        may_go_on.set()
        assert gone_on.wait(5)
        assert send(session, server).body == SECOND
    assert server.connections == 2


def test_tls_bytes_that_are_decrypted_already_are_seen(session: HttpSession) -> None:
    """One TLS record holds answer and more; the socket itself has nothing left, and is not silent all the same."""
    padded = raw_reply(201, b"x" * 9000)
    with ScriptedServer(InTurn(padded + YES, NO), tls=True) as server:
        assert [send(session, server).status for _ in range(2)] == [201, 429]
    assert server.connections == 2


def head(*fields: str, status: int = 201, version: str = "1.1") -> bytes:
    """A head as bytes."""
    return "\r\n".join([f"HTTP/{version} {status} X", *fields, "", ""]).encode("latin-1")


ZIPPED = gzip.compress(FIRST, mtime=0)
CHUNKED = "Transfer-Encoding: chunked"


@pytest.mark.parametrize(
    ("answer", "body"),
    [
        (head("Content-Length: 14", "Content-Length: 15") + FIRST, None),
        (head("Content-Length: 14, 15") + FIRST, None),
        (head("Content-Length: -1"), None),
        (head("Content-Length: +14") + FIRST, None),
        (head("Content-Length: 1_4") + FIRST, None),
        (head("Content-Length: " + "9" * 5000), None),
        (head("Content-Length: 14", CHUNKED) + b"e\r\n" + FIRST + b"\r\n0\r\n\r\n", FIRST),
        (head("Transfer-Encoding: gzip, chunked") + b"0\r\n\r\n", None),
        (head("Transfer-Encoding: identity", "Content-Length: 14") + FIRST, None),
        (head(CHUNKED) + b"xyz\r\n", None),
        (head(CHUNKED) + b"-5\r\n", None),
        (head(CHUNKED) + b"0x0e\r\n" + FIRST + b"\r\n0\r\n\r\n", None),
        (head(CHUNKED) + b"5\r\n" + FIRST + b"\r\n0\r\n\r\n", None),
        (head(CHUNKED) + b"fffffffff\r\n", None),
        (head(CHUNKED) + b"0\r\n" + b"A: b\r\n" * 1000 + b"\r\n", None),
        (head("Content-Encoding: gzip", "Content-Length: 14") + FIRST, None),
        (head("Content-Encoding: gzip", f"Content-Length: {len(ZIPPED) - 4}") + ZIPPED[:-4], None),
        (head("Content-Encoding: gzip", f"Content-Length: {len(ZIPPED) + 1}") + ZIPPED + b"x", None),
        (head("Content-Encoding: br", "Content-Length: 14") + FIRST, None),
        (head("Content-Length: 14", "no colon") + FIRST, FIRST),
        (head("Content-Length : 14") + FIRST, FIRST),
        (head("Content-Length: 14", "X-A: b", " folded") + FIRST, FIRST),
        (head("Content-Length: 14", "X-A: b\rContent-Length: 2") + FIRST, FIRST),
        (head("Content-Length: 14", "Connection: X, Close") + FIRST, FIRST),
        (head("Content-Length: 14", version="1.0") + FIRST, FIRST),
        (head("Content-Length: 14", "Connection: keep-alive", version="1.0") + FIRST, FIRST),
        (head("Content-Length: 14", status=204), b""),
        (head("Content-Length: 14", status=304), b""),
        (head(status=204) + FIRST, b""),
        (head(CHUNKED, status=204), b""),
    ],
)
def test_answer_whose_end_is_in_doubt_stands_and_ends_the_connection(
    session: HttpSession, answer: bytes, body: bytes | None
) -> None:
    """Its status is believed, its body only if it is whole, and no other request follows on its connection."""
    with ScriptedServer(InTurn(answer, NO)) as server:
        first, second = send(session, server), send(session, server)
    assert first.body == body
    assert first.status in {201, 204, 304}
    assert (second.status, second.body) == (429, SECOND)
    assert server.connections == 2


@pytest.mark.parametrize("cut", [b"HTTP/1.1 201 X\r\nContent-Length: 20\r\n\r\n{", head(CHUNKED) + b"e\r\n{"])
def test_body_that_is_cut_short_is_none(session: HttpSession, cut: bytes) -> None:
    """The yes stands; half a body says nothing."""
    with ScriptedServer(InTurn(cut, closes=True)) as server:
        reply = send(session, server)
    assert (reply.status, reply.body) == (201, None)


def test_body_until_the_end_of_the_connection_is_whole(session: HttpSession) -> None:
    """As HTTP/1.0 does it."""
    with ScriptedServer(InTurn(head() + FIRST, closes=True)) as server:
        assert send(session, server).body == FIRST


def test_answer_to_head_ends_the_connection(session: HttpSession) -> None:
    """Its length is that of a body which does not come, or should not."""
    with ScriptedServer(InTurn(YES, NO)) as server:
        assert send(session, server, method="HEAD").body == b""
        assert send(session, server).body == SECOND
    assert server.connections == 2


@pytest.mark.parametrize("tls", [False, True])
@pytest.mark.parametrize(
    "clean",
    [
        YES,
        head("content-length: 14", "Content-Length: 14") + FIRST,
        head("Transfer-encoding: Chunked") + b"e;x=y\r\n" + FIRST + b"\r\n0\r\nX-Sum: 1\r\n\r\n",
        head("Content-Encoding: gzip", f"Content-Length: {len(ZIPPED)}") + ZIPPED,
        head(status=204),
        head("Content-Length: 0", status=201),
        head("Content-Length: 14", "X-Odd: \xff\x00\xe9", status=418) + FIRST,
    ],
)
def test_clean_exchanges_share_a_connection(session: HttpSession, clean: bytes, tls: bool) -> None:
    """Caution costs nothing where there is no doubt."""
    with ScriptedServer(InTurn(clean, clean, NO), tls=tls) as server:
        bodies = [send(session, server).body for _ in range(3)]
    assert bodies[0] == bodies[1]
    assert bodies[0] in {FIRST, b""}
    assert bodies[2] == SECOND
    assert server.connections == 1


def test_small_body_that_inflates_beyond_the_limit_is_none(session: HttpSession) -> None:
    """A gigabyte of zeros is a megabyte on the wire; it is not unpacked to be measured."""
    bomb = gzip.compress(b"0" * 50_000_000)
    with ScriptedServer(InTurn(head("Content-Encoding: gzip", f"Content-Length: {len(bomb)}") + bomb)) as server:
        assert send(session, server).body is None


def test_threads_that_have_ended_leave_no_connection_behind(session: HttpSession) -> None:
    """Fifty threads, one after the other, take the same connection."""
    with ScriptedServer(InTurn(*[YES] * 50)) as server:
        for _ in range(50):
            thread = threading.Thread(target=send, args=(session, server))
            thread.start()
            thread.join()
    assert server.connections == 1
