"""One request, once, under one hard deadline, and the truth about whether it may have been received."""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Callable, Iterator

import pytest

from adapters.http import connection as connection_module
from adapters.http.errors import CannotConnect, NoAnswer, RequestNotSent, TooLateToSend
from adapters.http.session import HttpReply, HttpRequest, HttpSession
from support.provider import CERTIFICATE, OK, HandClock, RealClock, ScriptedServer, free_port, raw_reply, within


@pytest.fixture
def session() -> Iterator[HttpSession]:
    """A session that trusts the test certificate alone."""
    with HttpSession(ca_bundle=str(CERTIFICATE)) as session:
        yield session


def post(url: str, path: str = "/x") -> HttpRequest:
    """A small POST."""
    return HttpRequest(method="POST", url=url + path, headers={"X-API-KEY": "secret"}, body=b'{"a":1}')


def answer(reply: bytes) -> Callable[[socket.socket, bytes], None]:
    """A server that always answers this."""

    def script(connection: socket.socket, request: bytes) -> None:
        connection.sendall(reply)

    return script


def drip(at_once: bytes) -> Callable[[socket.socket, bytes], None]:
    """A server that sends `at_once` and then a byte every 20 ms, for ever."""

    def script(connection: socket.socket, request: bytes) -> None:
        connection.sendall(at_once)
        while True:
            connection.sendall(b"x")
            time.sleep(0.02)

    return script


def hang(connection: socket.socket, request: bytes) -> None:
    """Wait until the client leaves."""
    connection.recv(1)


@pytest.mark.parametrize("tls", [False, True])
def test_request_arrives_as_built_and_its_reply_comes_back(session: HttpSession, tls: bool) -> None:
    """Method, path, headers and body out; status, headers and body back; over TLS just the same."""
    with ScriptedServer(answer(raw_reply(201, b'{"ok":1}', "X-Y: z\r\n")), tls=tls) as server:
        reply = session.send(post(server.url, "/a%3Ab?c=d"), within(5))
    assert (reply.status, reply.headers["x-y"], reply.body) == (201, "z", b'{"ok":1}')
    head, _, body = server.requests[0].partition(b"\r\n\r\n")
    lines = head.split(b"\r\n")
    assert lines[0] == b"POST /a%3Ab?c=d HTTP/1.1"
    assert b"X-API-KEY: secret" in lines
    assert body == b'{"a":1}'


@pytest.mark.parametrize("tls", [False, True])
@pytest.mark.parametrize("start", [b"", b"HTTP/1.1 200 OK\r\nX-Endless: "])
def test_dripping_head_ends_at_the_deadline(session: HttpSession, tls: bool, start: bytes) -> None:
    """A byte now and then does not buy the server more time, in the status line or in a header."""
    started = time.monotonic()
    with ScriptedServer(drip(start), tls=tls) as server, pytest.raises(NoAnswer, match="deadline"):
        session.send(post(server.url), within(0.3))
    assert 0.25 < time.monotonic() - started < 10


@pytest.mark.parametrize("tls", [False, True])
def test_dripping_body_ends_at_the_deadline_and_the_status_stands(session: HttpSession, tls: bool) -> None:
    """The head was there: the reply is a reply, its body is not known."""
    started = time.monotonic()
    with ScriptedServer(drip(b"HTTP/1.1 201 Created\r\nContent-Length: 9999\r\n\r\n"), tls=tls) as server:
        reply = session.send(post(server.url), within(0.3))
    assert (reply.status, reply.body) == (201, None)
    assert 0.25 < time.monotonic() - started < 10


def test_silent_server_is_left_at_the_deadline(session: HttpSession) -> None:
    """Nothing at all comes back: it may have been received."""
    started = time.monotonic()
    with ScriptedServer(hang) as server, pytest.raises(NoAnswer, match="deadline"):
        session.send(post(server.url), within(0.2))
    assert time.monotonic() - started < 10
    assert len(server.requests) == 1


@pytest.mark.parametrize(
    "start", [b"", b"HTTP/1.1 20", b"HTTP/1.1 200 OK", b"HTTP/1.1 200 OK\r\nX-A: b\r\n", b"SSH-2.0-x\r\n\r\n"]
)
def test_connection_that_breaks_after_the_request_leaves_it_unknown_and_is_not_retried(
    session: HttpSession, start: bytes
) -> None:
    """Whatever part of a head came, and whatever exception that makes inside the library."""

    def script(connection: socket.socket, request: bytes) -> bool:
        connection.sendall(start)
        return False

    with ScriptedServer(script) as server, pytest.raises(NoAnswer, match="broke"):
        session.send(post(server.url), within(5))
    assert len(server.requests) == 1


def test_body_that_breaks_off_does_not_unmake_the_reply(session: HttpSession) -> None:
    """A 2xx is a 2xx whatever follows."""

    def script(connection: socket.socket, request: bytes) -> bool:
        connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n{")
        return False

    with ScriptedServer(script) as server:
        reply = session.send(post(server.url), within(5))
    assert (reply.status, reply.body) == (200, None)


def test_oversized_body_is_not_read_to_its_end(session: HttpSession) -> None:
    """More than 1 MiB is no body, and the connection is given up."""
    with ScriptedServer(answer(raw_reply(200, b"x" * (4 * 1024 * 1024)))) as server:
        assert session.send(post(server.url), within(5)).body is None
        session.send(post(server.url), within(5))
        assert server.connections == 2


def test_refused_connection_is_not_sent(session: HttpSession) -> None:
    """Nobody listens: nothing left."""
    with pytest.raises(CannotConnect, match=r"Could not connect to 127\.0\.0\.1"):
        session.send(post(f"http://127.0.0.1:{free_port()}"), within(5))


def test_unresolvable_host_is_not_sent(session: HttpSession, monkeypatch: pytest.MonkeyPatch) -> None:
    """There is no such name."""

    def no_such_name(*args: object, **kwargs: object) -> None:
        raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")

    monkeypatch.setattr(socket, "getaddrinfo", no_such_name)
    with pytest.raises(CannotConnect, match=r"Name or service not known"):
        session.send(post("http://nowhere.invalid"), within(5))


def test_second_address_of_a_host_gets_its_turn(session: HttpSession, monkeypatch: pytest.MonkeyPatch) -> None:
    """A host whose first address is dead is not unreachable."""
    with ScriptedServer(answer(OK)) as server:
        ports = (free_port(), server.port)
        found = [(socket.AF_INET, socket.SOCK_STREAM, 6, "", ("127.0.0.1", port)) for port in ports]

        def look_up(*args: object, **kwargs: object) -> object:
            return found

        monkeypatch.setattr(socket, "getaddrinfo", look_up)
        assert session.send(post("http://provider.test"), within(5)).status == 200


def test_untrusted_certificate_is_not_sent() -> None:
    """The key must not reach somebody who only claims to be the provider."""
    with (
        HttpSession() as session,
        ScriptedServer(answer(OK), tls=True) as server,
        pytest.raises(CannotConnect, match="certificate"),
    ):
        session.send(post(server.url), within(5))
    assert server.requests == []


def test_certificate_for_another_host_is_not_sent(session: HttpSession) -> None:
    """A trusted certificate is not enough: it must be the host's."""
    with ScriptedServer(answer(OK), tls=True) as server, pytest.raises(CannotConnect):
        session.send(post(f"https://127.0.0.2:{server.port}"), within(5))
    assert server.requests == []


def test_hanging_handshake_ends_at_the_deadline_and_is_not_sent(session: HttpSession) -> None:
    """A listener that never speaks TLS."""
    started = time.monotonic()
    with socket.create_server(("127.0.0.1", 0)) as listener, pytest.raises(CannotConnect):
        session.send(post(f"https://127.0.0.1:{listener.getsockname()[1]}"), within(0.2))
    assert time.monotonic() - started < 10


def test_handshake_gets_only_what_connecting_left_over(session: HttpSession, monkeypatch: pytest.MonkeyPatch) -> None:
    """The deadline is one for all phases, not one for each."""
    clock = HandClock()
    connect = socket.socket.connect

    def slow_connect(self: socket.socket, address: tuple[str, int]) -> None:
        connect(self, address)
        clock.advance(29.8)

    monkeypatch.setattr(socket.socket, "connect", slow_connect)
    started = time.monotonic()
    with socket.create_server(("127.0.0.1", 0)) as listener, pytest.raises(CannotConnect):
        session.send(post(f"https://127.0.0.1:{listener.getsockname()[1]}"), within(30, clock))
    assert time.monotonic() - started < 10


def test_passed_deadline_is_not_even_connected(session: HttpSession) -> None:
    """Too late is not sent, and the server sees nothing."""
    with ScriptedServer(answer(OK)) as server:
        with pytest.raises(TooLateToSend):
            session.send(post(server.url), within(0))
        assert server.connections == 0


@pytest.mark.parametrize("tls", [False, True])
def test_deadline_is_checked_again_right_before_the_first_byte(
    session: HttpSession, tls: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The machine slept while it connected: the request stays here."""
    clock = HandClock()
    connect = connection_module._DeadlineConnection.connect

    def connect_and_sleep(self: connection_module._DeadlineConnection) -> None:
        connect(self)
        clock.advance(60)

    monkeypatch.setattr(connection_module._DeadlineConnection, "connect", connect_and_sleep)
    with ScriptedServer(answer(OK), tls=tls) as server:
        with pytest.raises(TooLateToSend):
            session.send(post(server.url), within(30, clock))
        session.close()
    assert server.requests == []


@pytest.mark.parametrize("tls", [False, True])
@pytest.mark.parametrize(("idle", "connections"), [(4.9, 1), (5.1, 2), (-1.0, 2)])
def test_connection_idle_for_more_than_five_seconds_is_not_reused(
    session: HttpSession, tls: bool, idle: float, connections: int
) -> None:
    """The server may be closing it this very moment; a clock that went back proves nothing either."""
    clock = HandClock()
    with ScriptedServer(answer(OK), tls=tls) as server:
        session.send(post(server.url), within(30, clock))
        clock.advance(idle)
        session.send(post(server.url), within(30, clock))
        session.close()
    assert server.connections == connections
    assert len(server.requests) == 2


def test_connection_that_the_server_closed_is_replaced(session: HttpSession) -> None:
    """What is seen to be closed before the first byte costs nothing."""
    closed = threading.Event()

    def script(connection: socket.socket, request: bytes) -> bool:
        connection.sendall(OK)
        connection.shutdown(socket.SHUT_RDWR)
        closed.set()
        return False

    with ScriptedServer(script) as server:
        session.send(post(server.url), within(5))
        assert closed.wait(5)
        assert session.send(post(server.url), within(5)).status == 200
    assert server.connections == 2


def test_redirect_is_not_followed(session: HttpSession) -> None:
    """It is handed back as it is."""
    with ScriptedServer(answer(raw_reply(307, b"", "Location: /elsewhere\r\n"))) as server:
        assert session.send(post(server.url), within(5)).status == 307
    assert len(server.requests) == 1


def test_proxy_and_credentials_in_the_environment_are_ignored(
    session: HttpSession, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nothing in the environment may redirect a key."""
    for name in ("HTTP_PROXY", "http_proxy", "ALL_PROXY"):
        monkeypatch.setenv(name, f"http://127.0.0.1:{free_port()}")
    with ScriptedServer(answer(OK)) as server:
        assert session.send(post(server.url), within(5)).status == 200


def test_cookies_are_not_kept(session: HttpSession) -> None:
    """Each call stands for itself."""
    with ScriptedServer(answer(raw_reply(200, b"", "Set-Cookie: a=b\r\n"))) as server:
        session.send(post(server.url), within(5))
        session.send(post(server.url), within(5))
    assert b"ookie" not in server.requests[1]


def test_threads_call_at_the_same_time(session: HttpSession) -> None:
    """Five calls are on the wire together, each on its own connection."""
    together = threading.Barrier(5)

    def script(connection: socket.socket, request: bytes) -> None:
        together.wait(5)
        connection.sendall(OK)

    with ScriptedServer(script) as server:
        replies: list[HttpReply] = []
        threads = [
            threading.Thread(target=lambda: replies.append(session.send(post(server.url), within(5)))) for _ in range(5)
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        session.close()
    assert [reply.status for reply in replies] == [200] * 5
    assert server.connections == 5


@pytest.mark.parametrize("value", ["a\r\nX-Evil: 1", "a\nb", "a\x00b", "käse", "\u202e"])
def test_header_value_that_could_smuggle_something_is_refused(value: str) -> None:
    """Printable ASCII is all that keys and tokens need; the refusal does not repeat the value."""
    with pytest.raises(ValueError, match="X-API-KEY") as refusal:
        HttpRequest(method="GET", url="http://127.0.0.1", headers={"X-API-KEY": value})
    assert value not in str(refusal.value)


def test_unusable_address_is_not_sent(session: HttpSession) -> None:
    """Whatever goes wrong before the first byte is "not sent", whichever library raised it."""
    with pytest.raises(RequestNotSent):
        session.send(post("http://127.0.0.1:port"), within(5))


def test_keys_and_words_are_not_in_the_repr() -> None:
    """A request may end up in a traceback."""
    shown = repr(HttpRequest(method="POST", url="http://h/x", headers={"X-API-KEY": "secret"}, body=b"words"))
    assert "secret" not in shown
    assert "words" not in shown


def test_errors_do_not_contain_the_key(session: HttpSession) -> None:
    """Nor anything else of the request."""
    with pytest.raises(CannotConnect) as error:
        session.send(post(f"http://127.0.0.1:{free_port()}"), within(5, RealClock()))
    assert "secret" not in str(error.value)
