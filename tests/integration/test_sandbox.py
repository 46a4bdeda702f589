"""The sandbox as a provider: what it answers, what it counts, and that it can be stopped at any moment."""

from __future__ import annotations

import json
import re
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import suppress
from typing import Any

import pytest
import requests

from adapters.unipile.sandbox import Sandbox, serve

KEY = {"X-API-KEY": "k"}
BEARER = {"Authorization": "Bearer token-1"}
V1_COMMENTS = "/api/v1/posts/urn%3Ali%3Aactivity%3A1/comments"


@pytest.fixture
def sandbox() -> Iterator[Sandbox]:
    """A fresh one."""
    with Sandbox() as sandbox:
        yield sandbox


@pytest.fixture
def http() -> Iterator[requests.Session]:
    """An ordinary client, not ours."""
    with requests.Session() as http:
        http.trust_env = False
        yield http


def test_v0_engagements_are_answered_as_specified(sandbox: Sandbox, http: requests.Session) -> None:
    """`{success, timestamp}` for a like, with a `comment_id` for a comment."""
    liked = http.post(f"{sandbox.url}/v0/posts/p1/like", headers=BEARER)
    assert (liked.status_code, sorted(liked.json())) == (200, ["success", "timestamp"])
    commented = http.post(f"{sandbox.url}/v0/posts/p1/comments", headers=BEARER, json={"text": "Hi"})
    assert sorted(commented.json()) == ["comment_id", "success", "timestamp"]


def test_v1_engagements_are_answered_as_the_provider_does(sandbox: Sandbox, http: requests.Session) -> None:
    """201 and an object name; a like has no id."""
    body = {"account_id": "a1", "post_id": "p1", "reaction_type": "like"}
    liked = http.post(f"{sandbox.url}/api/v1/posts/reaction", headers=KEY, json=body)
    assert (liked.status_code, liked.json()) == (201, {"object": "ReactionAdded"})
    commented = http.post(sandbox.url + V1_COMMENTS, headers=KEY, json={"account_id": "a1", "text": "Hi"})
    assert (commented.status_code, commented.json()["object"]) == (201, "CommentSent")


def test_ledger_tells_what_happened_and_when(sandbox: Sandbox, http: requests.Session) -> None:
    """Every field, over HTTP and in Python alike; `since` leaves out what is known."""
    before = time.time()
    http.post(sandbox.url + V1_COMMENTS, headers=KEY, json={"account_id": "a1", "text": "Hi"})
    http.post(f"{sandbox.url}/v0/posts/p2/like", headers=BEARER)
    ledger = http.get(f"{sandbox.url}/_ledger").json()
    assert ledger == sandbox.ledger()
    first, second = ledger["effects"]
    assert before <= first["received_at"] <= first["at"] <= time.time()
    assert (first["n"], first["dialect"], first["engagement_type"]) == (1, "v1", "comment")
    assert (first["account"], first["post_id"], first["text"]) == ("a1", "urn:li:activity:1", "Hi")
    assert first["engagement_id"]
    assert (second["n"], second["dialect"], second["account"], second["engagement_id"]) == (2, "v0", "token-1", None)
    assert ledger["requests"] == 2
    assert http.get(f"{sandbox.url}/_ledger?since=1").json()["effects"] == [second]
    assert http.get(f"{sandbox.url}/_ledger?since=x").status_code == 400


def test_duplicates_are_the_second_of_the_same(sandbox: Sandbox, http: requests.Session) -> None:
    """Same type, account, post and text."""
    for text in ("one", "two", "one"):
        http.post(sandbox.url + V1_COMMENTS, headers=KEY, json={"account_id": "a1", "text": text})
    http.post(sandbox.url + V1_COMMENTS, headers=KEY, json={"account_id": "a2", "text": "one"})
    assert [duplicate["n"] for duplicate in sandbox.ledger()["duplicates"]] == [3]


@pytest.mark.parametrize(
    ("target", "headers", "body", "status"),
    [
        ("POST /v0/posts/p/like", {}, None, 401),
        ("POST /v0/posts/p/like", KEY, None, 401),
        ("GET /v0/posts/p/like", BEARER, None, 404),
        ("POST /v0/posts/p/share", BEARER, None, 404),
        ("POST /v0/posts/p/comments", BEARER, b"{", 400),
        ("POST /v0/posts/p/comments", BEARER, b'{"text": ""}', 400),
        ("POST /v0/posts/p/comments", BEARER, b'{"text": 5}', 400),
        ("POST /v0/posts/p/comments", BEARER, json.dumps({"text": "x" * 1251}).encode(), 400),
        ("POST " + V1_COMMENTS, {}, b'{"account_id": "a", "text": "x"}', 401),
        ("POST " + V1_COMMENTS, BEARER, b'{"account_id": "a", "text": "x"}', 401),
        ("POST " + V1_COMMENTS, KEY, b'{"text": "x"}', 400),
        ("POST " + V1_COMMENTS, KEY, b"[]", 400),
        ("POST " + V1_COMMENTS, KEY, b'{"account_id": "a", "text": "  "}', 400),
        ("POST /api/v1/posts/reaction", KEY, b'{"account_id": "a", "post_id": "p"}', 400),
        ("POST /api/v1/posts/reaction", KEY, b'{"account_id": "a", "reaction_type": "like"}', 400),
        ("POST /api/v1/posts/p/share", KEY, b'{"account_id": "a"}', 404),
        ("PUT " + V1_COMMENTS, KEY, b"", 404),
        ("GET " + V1_COMMENTS, KEY, None, 400),
        ("GET " + V1_COMMENTS + "?account_id=a&limit=0", KEY, None, 400),
        ("GET " + V1_COMMENTS + "?account_id=a&cursor=zzz", KEY, None, 400),
        ("GET /api/v1/nothing?account_id=a", KEY, None, 404),
        ("GET /elsewhere", KEY, None, 404),
        ("GET /_elsewhere", KEY, None, 404),
    ],
)
def test_wrong_requests_are_refused_without_effect(
    sandbox: Sandbox, target: str, headers: Any, body: Any, status: int
) -> None:
    """As the provider refuses them, in the words of the dialect."""
    method, path = target.split()
    answer = requests.request(method, sandbox.url + path, headers=headers, data=body, timeout=5)
    assert answer.status_code == status
    assert ("error" if path.startswith(("/v0", "/_")) else "type") in answer.json()
    assert sandbox.ledger()["effects"] == []


def comments(sandbox: Sandbox, http: requests.Session, query: str = "") -> Any:
    """A page of comments."""
    return http.get(f"{sandbox.url}{V1_COMMENTS}?account_id=a1{query}", headers=KEY).json()


def test_reads_come_in_pages_newest_first_with_truncated_dates(sandbox: Sandbox, http: requests.Session) -> None:
    """Following the cursor shows everything exactly once."""
    for number in range(5):
        http.post(sandbox.url + V1_COMMENTS, headers=KEY, json={"account_id": "a1", "text": str(number)})
    texts, cursor = [], ""
    for _ in range(3):
        page = comments(sandbox, http, f"&limit=2{cursor}")
        texts += [item["text"] for item in page["items"]]
        cursor = f"&cursor={page['cursor']}"
    assert texts == ["4", "3", "2", "1", "0"]
    assert page["cursor"] is None
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.000Z", page["items"][0]["date"])


def test_reads_can_lag_and_change_the_text(sandbox: Sandbox, http: requests.Session) -> None:
    """As an integrator reported of the real ones."""
    http.post(sandbox.url + V1_COMMENTS, headers=KEY, json={"account_id": "a1", "text": " Salt & <pepper> "})
    assert comments(sandbox, http)["items"][0]["text"] == " Salt & <pepper> "
    sandbox.set_faults({"change_entities": True, "trim_text": True})
    assert comments(sandbox, http)["items"][0]["text"] == "Salt &amp; &lt;pepper&gt;"
    sandbox.set_faults({"visibility_lag": 60})
    assert comments(sandbox, http)["items"] == []


def test_the_reader_is_the_author_of_its_own_comments(sandbox: Sandbox, http: requests.Session) -> None:
    """`users/me` and `author_details.id` name the same member."""
    http.post(sandbox.url + V1_COMMENTS, headers=KEY, json={"account_id": "a1", "text": "x"})
    me = http.get(f"{sandbox.url}/api/v1/users/me?account_id=a1", headers=KEY).json()["provider_id"]
    other = http.get(f"{sandbox.url}/api/v1/users/me?account_id=a2", headers=KEY).json()["provider_id"]
    assert comments(sandbox, http)["items"][0]["author_details"]["id"] == me != other
    assert http.get(f"{sandbox.url}/api/v1/accounts/a1", headers=KEY).json()["sources"][0]["status"] == "OK"


def test_faults_are_set_and_cleared_over_http(sandbox: Sandbox, http: requests.Session) -> None:
    """A wrong document is refused with its reason and changes nothing."""
    rules = [{"action": "rate_limit", "retry_after": 60}]
    assert http.post(f"{sandbox.url}/_faults", json=rules).status_code == 200
    refused = http.post(f"{sandbox.url}/_faults", json=[{"action": "explode"}])
    assert (refused.status_code, refused.json()["error"][:15]) == (400, "rule 0: action:")
    limited = http.post(f"{sandbox.url}/v0/posts/p/like", headers=BEARER)
    assert (limited.status_code, limited.headers["Retry-After"]) == (429, "60")
    assert limited.json() == {"error": "rate_limit_exceeded", "retry_after": 60}
    http.delete(f"{sandbox.url}/_faults")
    assert http.post(f"{sandbox.url}/v0/posts/p/like", headers=BEARER).status_code == 200


def test_reset_forgets_effects_and_restarts_the_rules(sandbox: Sandbox, http: requests.Session) -> None:
    """The faults stay in force, counted from the beginning."""
    sandbox.set_faults([{"match": {"nth": 1}, "action": "status", "status": 503}])
    statuses = []
    for _ in range(2):
        statuses += [http.post(f"{sandbox.url}/v0/posts/p/like", headers=BEARER).status_code for _ in range(2)]
        http.post(f"{sandbox.url}/_reset")
    assert statuses == [503, 200, 503, 200]
    assert sandbox.ledger() == {"effects": [], "requests": 0, "duplicates": []}


@pytest.mark.parametrize(
    ("fault", "effects"),
    [
        ({"action": "drop_before"}, 0),
        ({"action": "apply_then_drop"}, 1),
        ({"action": "hang", "seconds": 0.05}, 0),
        ({"action": "apply_then_hang", "seconds": 0.05}, 1),
    ],
)
def test_broken_off_exchanges_have_the_effect_they_were_told_to(
    sandbox: Sandbox, http: requests.Session, fault: Any, effects: int
) -> None:
    """The client sees the same; the ledger knows."""
    sandbox.set_faults([fault])
    with pytest.raises(requests.ConnectionError):
        http.post(f"{sandbox.url}/v0/posts/p/like", headers=BEARER)
    assert len(sandbox.ledger()["effects"]) == effects


@pytest.mark.parametrize(
    ("fault", "status", "effects"),
    [
        ({"action": "status", "status": 503, "headers": {"X-A": "b"}}, 503, 0),
        ({"action": "status", "status": 204}, 204, 0),
        ({"action": "apply_then_status", "status": 500, "body": {"a": 1}}, 500, 1),
        ({"action": "latency", "ms": 1}, 200, 1),
        ({"action": "garbage_body"}, 201, 1),
        ({"action": "drip", "bytes_per_second": 100_000}, 500, 0),
        ({"action": "apply_then_drip", "bytes_per_second": 100_000, "part": "body"}, 200, 1),
    ],
)
def test_answered_faults_have_the_effect_they_were_told_to(
    sandbox: Sandbox, http: requests.Session, fault: Any, status: int, effects: int
) -> None:
    """And the connection can be used again afterwards."""
    sandbox.set_faults([{"match": {"times": 1}, **fault}])
    answer = http.post(f"{sandbox.url}/v0/posts/p/like", headers=BEARER)
    assert answer.status_code == status
    assert len(sandbox.ledger()["effects"]) == effects
    assert http.post(f"{sandbox.url}/v0/posts/p/like", headers=BEARER).status_code == 200


def test_latency_is_waited_before_the_effect(sandbox: Sandbox, http: requests.Session) -> None:
    """The provider applies at the end of it, whether the client still waits or not."""
    sandbox.set_faults([{"action": "latency", "ms": 80}])
    http.post(f"{sandbox.url}/v0/posts/p/like", headers=BEARER)
    (effect,) = sandbox.ledger()["effects"]
    assert 0.08 <= effect["at"] - effect["received_at"] < 10


def test_stop_ends_hanging_exchanges_and_frees_the_port() -> None:
    """Nothing that hangs can hold a test up."""
    sandbox = Sandbox(faults=[{"action": "apply_then_hang"}, {"action": "latency", "ms": 1}])
    with socket.create_connection((sandbox.host, sandbox.port)) as client:
        client.sendall(b"POST /v0/posts/p/like HTTP/1.1\r\nAuthorization: Bearer t\r\nContent-Length: 0\r\n\r\n")
        while not sandbox.ledger()["effects"]:
            time.sleep(0.001)
        started = time.monotonic()
        sandbox.stop()
        assert client.recv(1) == b""
    assert time.monotonic() - started < 10
    with Sandbox(port=sandbox.port) as again:
        assert again.port == sandbox.port


@pytest.mark.parametrize(
    "rubbish", [b"\r\n", b"hello\r\n", b"GET / HTTP/1.1\r\nContent-Length: x\r\n\r\n", b"\x16\x03\x01"]
)
def test_rubbish_is_hung_up_on(sandbox: Sandbox, rubbish: bytes) -> None:
    """And harms nobody else."""
    with socket.create_connection((sandbox.host, sandbox.port)) as client:
        client.sendall(rubbish)
        client.shutdown(socket.SHUT_WR)
        assert client.recv(1) == b""
    assert sandbox.ledger()["requests"] == 0


class Stopped(Exception):
    """What a signal handler raises."""


def test_serve_runs_until_the_caller_interrupts_it() -> None:
    """It says where it is, and is gone when the exception comes out."""
    urls: list[str] = []

    def ready(sandbox: Sandbox) -> None:
        urls.append(sandbox.url)
        raise Stopped

    with pytest.raises(Stopped):
        serve("127.0.0.1", 0, [{"action": "drop_before"}], ready=ready)
    with pytest.raises(requests.ConnectionError):
        requests.get(f"{urls[0]}/_ledger", timeout=1)
    assert not [thread for thread in threading.enumerate() if thread.name == "sandbox"]


def test_wrong_faults_do_not_start_it() -> None:
    """Clear, and before anything listens."""
    with pytest.raises(ValueError, match="rule 0: action"):
        Sandbox(faults=[{"action": "explode"}])


def received(sandbox: Sandbox, request: bytes) -> bytes:
    """Everything that comes back for one request, until the sandbox is silent for a moment or leaves."""
    with socket.create_connection((sandbox.host, sandbox.port)) as connection:
        connection.settimeout(0.3)
        connection.sendall(request)
        data = b""
        with suppress(TimeoutError):
            while part := connection.recv(65536):
                data += part
    return data


LIKE_V0 = b"POST /v0/posts/p/like HTTP/1.1\r\nAuthorization: Bearer t\r\nContent-Length: 0\r\n\r\n"
READ_V1 = b"GET /api/v1/posts/p/comments?account_id=a HTTP/1.1\r\nX-API-KEY: k\r\n\r\n"


@pytest.mark.parametrize(
    ("fault", "parts", "effects"),
    [
        ([{"action": "interim"}], [b"HTTP/1.1 103 Early Hints\r\n\r\nHTTP/1.1 200 OK"], 1),
        (
            [
                {"action": "interim", "statuses": [100, 102], "headers": {"X-A": "b"}},
                {"action": "interim"},
                {"action": "rate_limit", "retry_after": 60},
            ],
            [b"HTTP/1.1 100 ", b"X-A: b", b"HTTP/1.1 102 ", b"HTTP/1.1 103 ", b"HTTP/1.1 429 "],
            0,
        ),
        ([{"action": "extra_answer"}], [b"HTTP/1.1 200 OK", b"HTTP/1.1 201 Created", b"\r\n\r\n{}"], 1),
        ([{"action": "extra_answer", "status": 404, "ms": 20}], [b"HTTP/1.1 200 OK", b"HTTP/1.1 404 "], 1),
        ([{"action": "deny"}], [b"HTTP/1.1 200 OK", b'{"success": false}'], 0),
        (
            [{"action": "apply_then_deny", "word": "rate_limit", "retry_after": 5}],
            [b'{"success": false, "error": "rate_limit", "retry_after": 5.0}'],
            1,
        ),
        ([{"action": "garbage_body", "kind": "coding"}], [b"Content-Encoding: gzip", b'\r\n\r\n{"object"'], 1),
        ([{"action": "garbage_body", "kind": "nested", "depth": 3}], [b"\r\n\r\n[[[]]]"], 1),
        ([{"action": "garbage_body", "kind": "cut"}], [b"Content-Length: 119", b'{"object": "Comment'], 1),
    ],
)
def test_odd_answers_are_what_they_were_told_to_be(
    sandbox: Sandbox, fault: list[dict[str, Any]], parts: list[bytes], effects: int
) -> None:
    """In this order, on the wire, with or without the effect."""
    sandbox.set_faults(fault)
    data = received(sandbox, LIKE_V0)
    for part in parts:
        before, found, data = data.partition(part)
        assert found, (part, before)
    assert len(sandbox.ledger()["effects"]) == effects


def test_bad_cursor_cannot_be_encoded(sandbox: Sandbox) -> None:
    """Half a character, in a page that is well-formed otherwise."""
    sandbox.set_faults([{"match": {"request": "read"}, "action": "bad_cursor"}])
    page = json.loads(received(sandbox, READ_V1).partition(b"\r\n\r\n")[2])
    with pytest.raises(UnicodeEncodeError):
        page["cursor"].encode()
