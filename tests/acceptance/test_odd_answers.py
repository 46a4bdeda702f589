"""What a provider or a voice may answer besides a plain yes or no; the worker is a process, the rows are judged."""

from __future__ import annotations

import json
import re
import socket
import threading
from collections.abc import Callable
from typing import Any

import psutil
import pytest

from acceptance.conftest import World
from support.provider import ScriptedServer, raw_reply

_EARLY_HINTS = b"HTTP/1.1 103 Early Hints\r\nLink: </a.css>; rel=preload\r\n\r\n"


def provider(
    write: Callable[[str], bytes], read: Callable[[str], bytes] | None = None
) -> Callable[[socket.socket, bytes], None]:
    """A provider that answers `write(post)` to each POST and `read(path)` to each GET."""

    def script(connection: socket.socket, request: bytes) -> None:
        method, path, _ = request.decode().split(" ", 2)
        if method == "POST":
            named = re.search(r"post-[a-z0-9-]+", request.decode())
            connection.sendall(write(named[0] if named else ""))
        else:
            connection.sendall(read(path) if read else raw_reply(404))

    return script


def told(status: int, **body: Any) -> bytes:
    """A reply whose body is a JSON object."""
    return raw_reply(status, json.dumps(body).encode())


def burst(world: World, server: ScriptedServer, **more: str) -> None:
    """One run of the worker, one thread, against this provider."""
    names = {"POD_ENGAGEMENT_WORKER_CONCURRENCY": "1", "POD_ENGAGEMENT_VISIBILITY_LAG_MS": "60000"}
    done = world.engagement("run", "--burst", UNIPILE_BASE_URL=server.url, **names, **more)
    assert done.returncode == 0, done.stderr


def rows(world: World) -> dict[str, tuple[str, Any]]:
    """Status and what is known of the execution, by activity."""
    return {
        key: (status, result)
        for key, status, result in world.sql("SELECT id, status, execution_result FROM pod_activities")
    }


def test_early_hints_give_nobody_anothers_answer(world: World) -> None:
    """A is told 103 and then 201; B, in the same thread, is refused with 429 and must not be given A's id."""
    answers = {"post-a": _EARLY_HINTS + told(201, comment_id="id-of-a"), "post-b": told(429, error="rate_limit")}
    with ScriptedServer(provider(lambda post: answers[post])) as server:
        world.add("a", pod_id="pod-2", post_id="post-a", engagement_type="comment", comment_text="One", due_in=-2)
        world.add("b", pod_id="pod-2", post_id="post-b", engagement_type="comment", comment_text="Two", due_in=-1)
        burst(world, server, UNIPILE_API_VERSION="v1")
    seen = rows(world)
    assert seen["a"][0] == "executed"
    assert "id-of-a" in json.dumps(seen["a"][1])
    assert seen["b"][0] != "executed"
    assert "id-of-a" not in json.dumps(seen["b"][1])


def test_early_hints_of_a_voice_give_nobody_anothers_words(world: World) -> None:
    """The congratulations meant for one are not what the other is told in grief."""
    said = {b"Great news": b"Congratulations to you!", b"Sad news": b"My heartfelt sympathy."}

    def speak(connection: socket.socket, request: bytes) -> None:
        words = next(answer for text, answer in said.items() if text in request)
        connection.sendall(_EARLY_HINTS + told(200, text=words.decode()))

    with ScriptedServer(speak) as voice:
        world.add("a", post_id="post-a", engagement_type="comment", comment_text="Great news", due_in=-2)
        world.add("b", post_id="post-b", engagement_type="comment", comment_text="Sad news", due_in=-1)
        done = world.engagement(
            "run",
            "--burst",
            POD_ENGAGEMENT_WORKER_CONCURRENCY="1",
            VOICE_PROVIDER="http",
            VOICE_BASE_URL=voice.url + "/voice",
        )
        assert done.returncode == 0, done.stderr
    sent = {effect["post_id"]: effect["text"] for effect in world.effects()}
    assert sent == {"post-a": "Congratulations to you!", "post-b": "My heartfelt sympathy."}


@pytest.mark.parametrize("version", ["v0", "v1"])
def test_yes_that_is_nested_too_deep_is_executed_once(world: World, version: str) -> None:
    """Whatever we can make of the body: it was done. Which depth is just too deep depends on who reads it."""
    depths = {f"post-{depth}": depth for depth in range(940, 1000, 2)}

    def answer(post: str) -> bytes:
        return raw_reply(201, b'{"timestamp":' + b"[" * depths[post] + b"]" * depths[post] + b"}")

    with ScriptedServer(provider(answer)) as server:
        for post in depths:
            world.add(post, pod_id="pod-2", post_id=post, engagement_type="comment", comment_text="Well said")
        burst(world, server, UNIPILE_API_VERSION=version)
    assert {status for status, _ in rows(world).values()} == {"executed"}
    assert len(server.requests) == len(depths)


@pytest.mark.parametrize("version", ["v0", "v1"])
def test_no_inside_of_a_200_is_a_refusal(world: World, version: str) -> None:
    """A known word means what it says, and its wait is honoured; without one the outcome is unknown."""
    answers = {
        "post-limited": told(200, success=False, error="rate_limit_exceeded", retry_after=600),
        "post-unsaid": told(200, success=False),
    }
    with ScriptedServer(provider(lambda post: answers[post])) as server:
        world.add("unsaid", pod_id="pod-1", post_id="post-unsaid", due_in=-2)
        world.add("limited", pod_id="pod-2", post_id="post-limited", due_in=-1)
        burst(world, server, UNIPILE_API_VERSION=version)
    assert {key: status for key, (status, _) in rows(world).items()} == {"unsaid": "scheduled", "limited": "scheduled"}
    phases = dict(world.sql("SELECT activity_id, phase FROM engagement_attempts"))
    assert phases["unsaid"] == "unknown"
    assert phases["limited"] not in {"unknown", "executed"}
    assert world.sql("SELECT error ->> 'error_type' FROM engagement_attempts WHERE activity_id = 'limited'") == [
        ("rate_limit",)
    ]


@pytest.mark.parametrize("body", [{}, {"type": "errors/account_busy"}])
def test_conflict_that_says_nothing_is_no_proof_of_a_like(world: World, body: dict[str, Any]) -> None:
    """It is looked up, not believed."""
    with ScriptedServer(provider(lambda _: told(409, **body))) as server:
        world.add("busy", pod_id="pod-2")
        burst(world, server, UNIPILE_API_VERSION="v1")
    assert rows(world)["busy"][0] == "scheduled"
    assert world.sql("SELECT phase FROM engagement_attempts") == [("unknown",)]


def test_cursor_with_half_a_character_holds_up_no_neighbour(world: World) -> None:
    """Both outcomes are unknown; the one that can be read is settled, although the other is read first."""
    comment = {"id": "77", "author_details": {"id": "me"}, "date": None, "text": "Well said"}
    reads = {"post-sick": {"items": [], "cursor": "after-\ud800"}, "post-well": {"items": [comment], "cursor": None}}

    def read(path: str) -> bytes:
        if "/users/me" in path:
            return told(200, provider_id="me")
        return told(200, **next(page for post, page in reads.items() if post in path))

    with ScriptedServer(provider(lambda _: told(500), read)) as server:
        for name, due_in in (("sick", -2), ("well", -1)):
            text = {"engagement_type": "comment", "comment_text": "Well said"}
            world.add(name, pod_id="pod-2", post_id=f"post-{name}", due_in=due_in, **text)
        worker = world.start_worker(
            UNIPILE_BASE_URL=server.url,
            UNIPILE_API_VERSION="v1",
            POD_ENGAGEMENT_VISIBILITY_LAG_MS="200",
            POD_ENGAGEMENT_JOB_TIMEOUT="1500",
        )
        world.wait_for("well", "executed")
        assert any(b"post-sick" in request for request in server.requests if request.startswith(b"GET"))
        assert world.activity("sick")["status"] == "scheduled"
        assert world.stop(worker) == 0


def test_slow_provider_leaves_no_more_sockets_than_threads(world: World) -> None:
    """Spare threads come and go while calls last longer than they should; their connections do not stay behind."""
    calls, threads = threading.Semaphore(0), 3

    def slow(connection: socket.socket, request: bytes) -> None:
        calls.release()
        threading.Event().wait(3.6)
        connection.sendall(told(201, object="ReactionAdded"))

    with ScriptedServer(slow) as server:
        numbers = "FROM generate_series(1, 30) n"
        world.sql(
            "INSERT INTO linkedin_accounts (id, profile_id, unipile_account_id)"
            f" SELECT 'slow-' || n, 'slow-' || n, 'slow-' || n {numbers};"
            f"INSERT INTO pods (id, linkedin_account_id) SELECT 'slow-' || n, 'slow-' || n {numbers}"
        )
        for number in range(1, 31):
            world.add(f"slow-{number}", pod_id=f"slow-{number}", post_id=f"post-{number}", due_in=number * 0.8)
        worker = world.start_worker(
            UNIPILE_BASE_URL=server.url,
            UNIPILE_API_VERSION="v1",
            POD_ENGAGEMENT_WORKER_CONCURRENCY=str(threads),
        )
        open_sockets = []
        for _ in range(30):
            assert calls.acquire(timeout=30)
            seen = psutil.Process(worker.pid).net_connections("tcp")
            open_sockets.append(sum(bool(each.raddr) and each.raddr.port == server.port for each in seen))
        assert world.stop(worker) == 0
    # As many threads again may stand in for those whose calls last.
    assert max(open_sockets) <= 2 * threads, open_sockets
