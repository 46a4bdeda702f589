"""A few pages for whoever asks, and no more of this process for anybody."""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, closing, suppress

import pytest

from adapters.telemetry.page_server import Page, PageServer, PortTaken


def broken() -> Page:
    """A page with a defect."""
    raise ValueError("s3cret")


PAGES: Mapping[str, Callable[[], Page]] = {
    "/page": lambda: Page(body=b'{"a": 1}\n'),
    "/bad": lambda: Page(body=b"bad", status=503),
    "/long": lambda: Page(body=b"x" * 10_000_000),
    "/broken": broken,
}


@pytest.fixture
def server() -> Iterator[PageServer]:
    """On a port of its own."""
    with closing(PageServer("127.0.0.1", 0, PAGES)) as server:
        yield server


def ask(server: PageServer, request: str) -> tuple[int, bytes, bytes]:
    """Status, head and body of the answer."""
    with socket.create_connection(("127.0.0.1", server.port), timeout=20) as client:
        client.sendall(request.encode())
        answer = b""
        while received := client.recv(65536):
            answer += received
    head, _, body = answer.partition(b"\r\n\r\n")
    return int(head.split(b" ")[1]), head, body


def get(server: PageServer, path: str) -> tuple[int, bytes, bytes]:
    """As a browser would."""
    return ask(server, f"GET {path} HTTP/1.1\r\nHost: x\r\n\r\n")


def test_page_is_answered_with_its_status_type_and_length(server: PageServer) -> None:
    """Whatever stands behind a question mark."""
    status, head, body = get(server, "/page?x=1")
    assert (status, body) == (200, b'{"a": 1}\n')
    assert b"Content-Type: application/json\r\n" in head
    assert b"Content-Length: 9\r\n" in head
    assert get(server, "/bad")[::2] == (503, b"bad")
    assert len(get(server, "/long")[2]) == 10_000_000


@pytest.mark.parametrize(
    ("request_line", "status"),
    [
        ("GET /other HTTP/1.1", 404),
        ("GET //page HTTP/1.1", 404),
        ("POST /page HTTP/1.1", 405),
        ("nonsense", 400),
        ("GET /page HTTP/9", 400),
        ("\x00\xff", 400),
    ],
)
def test_everything_else_is_refused(server: PageServer, request_line: str, status: int) -> None:
    """In a few words."""
    assert ask(server, f"{request_line}\r\n\r\n")[0] == status


def test_head_is_answered_without_a_body(server: PageServer) -> None:
    """With its length all the same."""
    status, head, body = ask(server, "HEAD /page HTTP/1.1\r\n\r\n")
    assert (status, body) == (200, b"")
    assert b"Content-Length: 9" in head


def test_defect_in_a_page_is_told_to_nobody(server: PageServer) -> None:
    """And the next one is answered."""
    for _ in range(8):
        status, _, body = get(server, "/broken")
        assert (status, body) == (500, b"Internal Server Error\n")
    assert get(server, "/page")[0] == 200


def test_clients_that_say_nothing_drip_or_do_not_read_are_left_after_two_seconds(server: PageServer) -> None:
    """Three of each, and more than there are threads: whoever asks properly is answered all the same."""
    with ExitStack() as clients:
        for number in range(9):
            client = clients.enter_context(socket.create_connection(("127.0.0.1", server.port), timeout=20))
            if number % 3 == 1:
                client.sendall(b"GET /pa")
            elif number % 3 == 2:
                client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
                client.sendall(b"GET /long HTTP/1.1\r\n\r\n")
        asked_at = time.monotonic()
        assert get(server, "/page")[0] == 200
        assert time.monotonic() - asked_at < 20


def test_request_that_does_not_end_is_cut_off(server: PageServer) -> None:
    """Long before it has filled the memory."""
    sent = 0
    with socket.create_connection(("127.0.0.1", server.port), timeout=20) as client, suppress(OSError):
        while sent < 100_000_000:
            sent += client.send(b"x" * 65536)
    assert sent < 100_000_000
    assert get(server, "/page")[0] == 200


def test_client_that_goes_away_ends_no_thread(server: PageServer) -> None:
    """Not even by a reset, at any moment."""
    for number in range(12):
        client = socket.create_connection(("127.0.0.1", server.port), timeout=20)
        client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\x01\x00\x00\x00\x00\x00\x00\x00")
        if number % 2:
            client.sendall(b"GET /long HTTP/1.1\r\n\r\n")
        client.close()
    assert get(server, "/page")[0] == 200


def test_port_that_is_taken_is_told_apart(server: PageServer) -> None:
    """From an address that this machine does not have."""
    with pytest.raises(PortTaken):
        PageServer("127.0.0.1", server.port, PAGES)
    with pytest.raises(OSError, match="assign requested address") as raised:
        PageServer("192.0.2.1", 0, PAGES)
    assert not isinstance(raised.value, PortTaken)


def test_closed_server_leaves_its_port_and_no_thread() -> None:
    """The next worker may have it at once."""
    before = threading.active_count()
    server = PageServer("127.0.0.1", 0, PAGES)
    assert get(server, "/page")[0] == 200
    port = server.port
    server.close()
    assert threading.active_count() == before
    PageServer("127.0.0.1", port, PAGES).close()
