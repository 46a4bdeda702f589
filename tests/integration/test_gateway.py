"""The gateway over real HTTP: every row of the provider's error table, and all that can happen instead of an answer."""

from __future__ import annotations

import json
import socket
import threading
import time
from collections.abc import Callable, Iterator
from datetime import datetime, timedelta, timezone
from typing import Any

import pytest

from adapters.http.breaker import HostBreaker
from adapters.http.session import HttpSession
from adapters.unipile.gateway import DIALECTS, AccountHealth, UnipileGateway
from adapters.unipile.sandbox import Sandbox
from engagement_core.model.errors import Cause, Effect, Failure
from engagement_core.model.provider import Answer, Applied, NoReadBack, NotSent, Seen
from support.provider import (
    ACCESS_TOKEN,
    API_KEY,
    HandClock,
    RealClock,
    ScriptedServer,
    account,
    comment,
    free_port,
    like,
    raw_reply,
    within,
)

Make = Callable[..., UnipileGateway]


@pytest.fixture
def sandbox() -> Iterator[Sandbox]:
    """A provider that obeys."""
    with Sandbox() as sandbox:
        yield sandbox


@pytest.fixture(scope="module")
def session() -> Iterator[HttpSession]:
    """One for all: it keeps nothing of a call but connections."""
    with HttpSession() as session:
        yield session


@pytest.fixture
def make(session: HttpSession) -> Make:
    """Makes gateways."""

    def make(url: str, version: str = "v1", breaker: HostBreaker | None = None, **more: Any) -> UnipileGateway:
        return UnipileGateway(
            base_url=url,
            dialect=DIALECTS[version],
            api_key=more.pop("api_key", API_KEY),
            session=session,
            breaker=breaker or HostBreaker(host="provider", clock=RealClock()),
            **more,
        )

    return make


def told(word: str) -> dict[str, str]:
    """A body of v1 with this type."""
    return {"title": "Told so", "type": f"errors/{word}"}


@pytest.mark.parametrize(
    ("status", "body", "cause"),
    [
        (429, {}, Cause.RATE_LIMITED),
        (429, {"error": "rate_limit_exceeded", "retry_after": 60}, Cause.RATE_LIMITED),
        (403, told("limit_exceeded"), Cause.RATE_LIMITED),
        (422, {"type": "api/too_many_requests"}, Cause.RATE_LIMITED),
        (500, {"type": "provider/too_many_requests"}, Cause.RATE_LIMITED),
        (401, {}, Cause.ACCOUNT_SIGNED_OUT),
        (401, told("expired_credentials"), Cause.ACCOUNT_SIGNED_OUT),
        (403, told("disconnected_account"), Cause.ACCOUNT_SIGNED_OUT),
        (401, told("checkpoint_error"), Cause.ACCOUNT_SIGNED_OUT),
        (403, {"type": "provider/invalid_authorization"}, Cause.ACCOUNT_SIGNED_OUT),
        (403, told("account_restricted"), Cause.PROFILE_BLOCKED),
        (403, told("action_required"), Cause.PROFILE_BLOCKED),
        (403, told("blocked_recipient"), Cause.PROFILE_BLOCKED),
        (403, told("insufficient_permissions"), Cause.PROFILE_BLOCKED),
        (404, {}, Cause.POST_GONE),
        (404, told("resource_not_found"), Cause.POST_GONE),
        (422, told("invalid_post"), Cause.POST_GONE),
        (422, told("invalid_resource_identifier"), Cause.POST_GONE),
        (400, {}, Cause.REJECTED),
        (403, {}, Cause.REJECTED),
        (415, {}, Cause.REJECTED),
        (422, told("something_else"), Cause.REJECTED),
        (501, {}, Cause.REJECTED),
        (503, told("no_client_session"), Cause.NO_SESSION),
        (503, told("no_channel"), Cause.NO_SESSION),
        (503, told("no_handler"), Cause.NO_SESSION),
        (500, {}, Cause.SERVER_ERROR),
        (502, {}, Cause.SERVER_ERROR),
        (503, {}, Cause.SERVER_ERROR),
        (504, told("request_timeout"), Cause.SERVER_ERROR),
        (503, told("network_down"), Cause.SERVER_ERROR),
        (504, told("proxy_timeout"), Cause.SERVER_ERROR),
        (422, {"type": "provider/timeout"}, Cause.SERVER_ERROR),
        (400, {"type": "provider/server_error"}, Cause.SERVER_ERROR),
        (302, {}, Cause.UNINTELLIGIBLE),
        (418, {}, Cause.UNINTELLIGIBLE),
        (599, {}, Cause.UNINTELLIGIBLE),
    ],
)
def test_each_row_of_the_error_table(make: Make, sandbox: Sandbox, status: int, body: object, cause: Cause) -> None:
    """Status and type, over the wire, give the cause; the provider's own words are kept."""
    sandbox.set_faults([{"action": "status", "status": status, "body": body}])
    gateway = make(sandbox.url)
    for engagement in (like(), comment()):
        answer = gateway.engage(engagement, within(5))
        assert isinstance(answer, Failure)
        assert (answer.cause, answer.provider_status) == (cause, status)
    assert sandbox.ledger()["requests"] == 2


@pytest.mark.parametrize("word", ["action_already_performed", "already_exists", "conflict"])
@pytest.mark.parametrize("status", [409, 422])
def test_already_done_is_a_done_like_and_a_comment_to_be_looked_for(
    make: Make, sandbox: Sandbox, status: int, word: str
) -> None:
    """A reaction is set, not added; a comment may be somebody else's doing."""
    sandbox.set_faults([{"action": "status", "status": status, "body": told(word)}])
    gateway = make(sandbox.url)
    assert gateway.engage(like(), within(5)) == Applied(engagement_id=None, created_at=None)
    answer = gateway.engage(comment(), within(5))
    assert isinstance(answer, Failure)
    assert (answer.cause, answer.effect) == (Cause.ALREADY_DONE, Effect.UNKNOWN)


def test_refused_port_is_not_sent(make: Make) -> None:
    """Nothing left, so it may be tried again."""
    answer = make(f"http://127.0.0.1:{free_port()}").engage(like(), within(5))
    assert isinstance(answer, Failure)
    assert (answer.cause, answer.effect) == (Cause.NOT_SENT, Effect.NONE)


@pytest.mark.parametrize("action", ["hang", "apply_then_hang", "drip", "apply_then_drip"])
@pytest.mark.parametrize("version", ["v0", "v1"])
def test_answer_that_does_not_come_in_time_is_unknown_at_the_deadline(
    make: Make, sandbox: Sandbox, version: str, action: str
) -> None:
    """Silence and dripping are the same: nobody can tell."""
    more = {"bytes_per_second": 5} if "drip" in action else {}
    sandbox.set_faults([{"action": action, **more}])
    started = time.monotonic()
    answer = make(sandbox.url, version).engage(comment(), within(0.3))
    assert 0.25 < time.monotonic() - started < 10
    assert isinstance(answer, Failure)
    assert (answer.cause, answer.effect) == (Cause.NO_ANSWER, Effect.UNKNOWN)
    assert len(sandbox.ledger()["effects"]) == action.startswith("apply")


@pytest.mark.parametrize(
    "fault", [{"action": "garbage_body"}, {"action": "apply_then_drip", "part": "body", "bytes_per_second": 20}]
)
def test_yes_with_an_unreadable_body_is_applied(make: Make, sandbox: Sandbox, fault: dict[str, Any]) -> None:
    """Done, id unknown."""
    sandbox.set_faults([fault])
    assert make(sandbox.url).engage(comment(), within(2)) == Applied(engagement_id=None, created_at=None)
    assert len(sandbox.ledger()["effects"]) == 1


@pytest.mark.parametrize("status", [500, 429, 400])
def test_applied_and_then_denied_is_told_as_the_provider_tells_it(make: Make, sandbox: Sandbox, status: int) -> None:
    """We know no more than the answer; a 500 is unknown."""
    sandbox.set_faults([{"action": "apply_then_status", "status": status}])
    answer = make(sandbox.url).engage(comment(), within(5))
    assert isinstance(answer, Failure)
    assert answer.provider_status == status


def test_v0_bytes_are_the_specifications(make: Make) -> None:
    """Method, path, bearer token and body as they arrive."""

    def script(connection: socket.socket, request: bytes) -> None:
        connection.sendall(raw_reply(200, b'{"success":true}'))

    with ScriptedServer(script) as server:
        gateway = make(server.url, "v0")
        gateway.engage(like("linkedin-post-456"), within(5))
        gateway.engage(comment("Hi", "urn:li:activity:1"), within(5))
    lines = server.requests[0].split(b"\r\n")
    assert lines[0] == b"POST /v0/posts/linkedin-post-456/like HTTP/1.1"
    assert f"Authorization: Bearer {ACCESS_TOKEN}".encode() in lines
    assert b"Content-Length: 0" in lines
    head, _, body = server.requests[1].partition(b"\r\n\r\n")
    assert head.startswith(b"POST /v0/posts/urn%3Ali%3Aactivity%3A1/comments HTTP/1.1\r\n")
    assert json.loads(body) == {"text": "Hi"}


@pytest.mark.parametrize(
    "engagement",
    [like(by=account(access_token="tok\r\nX: y")), like(""), comment(post_id="..")],
)
def test_unsendable_engagement_is_a_failure_that_was_not_sent(make: Make, sandbox: Sandbox, engagement: Any) -> None:
    """A bad row is told, not thrown; and the breaker hears nothing of it."""
    breaker = HostBreaker(host="h", clock=RealClock(), fail_max=1)
    answer = make(sandbox.url, "v0", breaker).engage(engagement, within(5))
    assert isinstance(answer, Failure)
    assert (answer.cause, answer.effect) == (Cause.INVALID_ACTIVITY, Effect.NONE)
    assert "tok" not in answer.message
    assert sandbox.ledger()["requests"] == 0
    assert breaker.state == "closed"


def test_secrets_never_come_back(make: Make) -> None:
    """Not even from a provider that repeats them, and not in a repr."""
    echo = json.dumps({"title": f"bad {API_KEY}", "type": f"errors/{ACCESS_TOKEN}", "detail": API_KEY}).encode()

    def script(connection: socket.socket, request: bytes) -> None:
        connection.sendall(raw_reply(400, echo))

    with ScriptedServer(script) as server:
        gateway = make(server.url, "v0")
        shown = repr(gateway.engage(comment(), within(5))) + repr(gateway) + repr(vars(gateway)["_dialect"])
    shown += repr(make(f"http://127.0.0.1:{free_port()}").engage(comment(), within(5)))
    assert "***" in shown
    assert API_KEY not in shown
    assert ACCESS_TOKEN not in shown


@pytest.mark.parametrize("key", ["", "sec\r\nret", "schlüssel"])
def test_key_that_cannot_be_sent_is_refused_at_the_start(make: Make, key: str) -> None:
    """Before the first activity fails for it."""
    with pytest.raises(ValueError, match="API key") as refusal:
        make("http://127.0.0.1", api_key=key)
    assert not key or key not in str(refusal.value)


def test_unencrypted_provider_is_refused_at_the_start(make: Make) -> None:
    """Plain http is for this machine only."""
    with pytest.raises(ValueError, match="https"):
        make("http://api.unipile.com")


def test_retry_after_date_is_read_against_the_replys_date_or_ours(make: Make, sandbox: Sandbox) -> None:
    """An HTTP date needs a now."""
    at = "Fri, 15 Mar 2024 14:31:00 GMT"
    gateway = make(sandbox.url, now=lambda: datetime(2024, 3, 15, 14, 30, tzinfo=timezone.utc))
    waits = []
    for date in ({}, {"Date": "Fri, 15 Mar 2024 14:30:50 GMT"}):
        sandbox.set_faults([{"action": "status", "status": 429, "headers": {"Retry-After": at, **date}}])
        answer = gateway.engage(like(), within(5))
        assert isinstance(answer, Failure)
        waits.append(answer.retry_after)
    assert waits == [timedelta(seconds=60), timedelta(seconds=10)]


def test_breaker_counts_server_errors_and_lost_connections_but_no_refusal(make: Make, sandbox: Sandbox) -> None:
    """4xx never, too late never; 5xx, silence and refused connections do; the tripping call tells its own outcome."""
    breaker = HostBreaker(host="provider", clock=HandClock(), fail_max=3)
    gateway = make(sandbox.url, breaker=breaker)
    outcomes: list[Answer] = []
    for fault in (
        {"action": "status", "status": 404},
        {"action": "rate_limit", "retry_after": 1},
        {"action": "status", "status": 401},
        {"action": "status", "status": 400},
        {"action": "drop_before"},
        {"action": "apply_then_drop"},
    ):
        sandbox.set_faults([fault])
        gateway.engage(comment(), within(5))
    gateway.engage(comment(), within(0))
    assert breaker.state == "closed"
    sandbox.set_faults([{"action": "status", "status": 500}])
    outcomes = [gateway.engage(comment(), within(5)) for _ in range(2)]
    assert isinstance(outcomes[0], Failure)
    assert outcomes[0].cause is Cause.SERVER_ERROR
    assert outcomes[1] == NotSent(
        reason="provider has failed repeatedly and is not called for a while.", retry_in=timedelta(seconds=5)
    )
    assert gateway.available_in() == timedelta(seconds=5)
    assert sandbox.ledger()["requests"] == 7


def test_refused_connections_open_the_breaker(make: Make) -> None:
    """A host that is down is not knocked at for every activity."""
    breaker = HostBreaker(host="provider", clock=HandClock(), fail_max=2)
    gateway = make(f"http://127.0.0.1:{free_port()}", breaker=breaker)
    answers = [gateway.engage(like(), within(5)) for _ in range(3)]
    assert [type(answer) for answer in answers] == [Failure, Failure, NotSent]


def test_read_backs_neither_ask_nor_tell_the_breaker(make: Make, sandbox: Sandbox) -> None:
    """They are how one learns that the provider works again."""
    breaker = HostBreaker(host="provider", clock=HandClock(), fail_max=1)
    gateway = make(sandbox.url, breaker=breaker)
    sandbox.set_faults([{"match": {"request": "any"}, "action": "status", "status": 500}])
    assert isinstance(gateway.read_back(like(), within(5)), Failure)
    assert breaker.state == "closed"
    gateway.engage(like(), within(5))
    assert breaker.state == "open"
    sandbox.set_faults(None)
    assert gateway.read_back(like(), within(5)) == Seen(own=())


def test_five_threads_call_at_the_same_time(make: Make) -> None:
    """Through session and breaker, five requests are with the provider together."""
    together = threading.Barrier(5)

    def script(connection: socket.socket, request: bytes) -> None:
        together.wait(5)
        connection.sendall(raw_reply(201))

    answers: list[Answer] = []
    with ScriptedServer(script) as server:
        gateway = make(server.url)
        threads = [threading.Thread(target=lambda: answers.append(gateway.engage(like(), within(5)))) for _ in range(5)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    assert answers == [Applied(engagement_id=None, created_at=None)] * 5


def test_read_back_follows_the_cursor_to_its_end(make: Make, sandbox: Sandbox) -> None:
    """Our comment is on the last page of many."""
    gateway = make(sandbox.url)
    gateway.engage(comment("mine"), within(5))
    other = account(provider_account_id="acc-2")
    for number in range(7):
        gateway.engage(comment(f"theirs {number}", by=other), within(5))
    sandbox.set_faults({"page_size": 2})
    before = sandbox.ledger()["requests"]
    seen = gateway.read_back(comment(), within(5))
    assert isinstance(seen, Seen)
    assert [found.text for found in seen.own] == ["mine"]
    assert sandbox.ledger()["requests"] - before == 1 + 4


def test_read_back_without_an_end_is_a_failure(make: Make) -> None:
    """A provider whose cursor leads in circles proves nothing."""
    page = json.dumps({"items": [], "cursor": "again", "provider_id": "me"}).encode()

    def script(connection: socket.socket, request: bytes) -> None:
        connection.sendall(raw_reply(200, page))

    with ScriptedServer(script) as server:
        seen = make(server.url).read_back(comment(), within(30))
    assert isinstance(seen, Failure)
    assert seen.cause is Cause.UNINTELLIGIBLE
    assert len(server.requests) == 51


@pytest.mark.parametrize("nth", [1, 2, 3])
@pytest.mark.parametrize(
    ("fault", "cause"),
    [
        ({"action": "status", "status": 503}, Cause.SERVER_ERROR),
        ({"action": "status", "status": 404}, Cause.POST_GONE),
        ({"action": "garbage_body"}, Cause.UNINTELLIGIBLE),
        ({"action": "drop_before"}, Cause.NO_ANSWER),
    ],
)
def test_read_back_that_fails_anywhere_proves_nothing(
    make: Make, sandbox: Sandbox, nth: int, fault: dict[str, Any], cause: Cause
) -> None:
    """Who-am-I, the first page or the second: never half an answer."""
    gateway = make(sandbox.url)
    for number in range(3):
        gateway.engage(comment(f"{number}"), within(5))
    rule = {"match": {"request": "read", "nth": nth}, **fault}
    sandbox.set_faults({"rules": [rule], "page_size": 2})
    seen = gateway.read_back(comment(), within(5))
    assert isinstance(seen, Failure)
    assert seen.cause is cause


def test_read_back_needs_the_providers_name_for_the_account(make: Make, sandbox: Sandbox) -> None:
    """Without it there is nothing to ask for."""
    seen = make(sandbox.url).read_back(like(by=account(provider_account_id=None)), within(5))
    assert isinstance(seen, Failure)
    assert seen.cause is Cause.INVALID_ACTIVITY


def test_health_is_the_providers_word(make: Make, sandbox: Sandbox) -> None:
    """Good, unknown to v0, or a failure."""
    gateway = make(sandbox.url)
    health = gateway.health(account(), within(5))
    assert isinstance(health, AccountHealth)
    assert (health.words, health.is_good) == (("OK",), True)
    assert not AccountHealth(words=("OK", "CREDENTIALS")).is_good
    assert not AccountHealth(words=()).is_good
    assert make(sandbox.url, "v0").health(account(), within(5)) == NoReadBack()
    sandbox.set_faults([{"match": {"request": "read"}, "action": "status", "status": 401}])
    failed = gateway.health(account(), within(5))
    assert isinstance(failed, Failure)
    assert failed.cause is Cause.ACCOUNT_SIGNED_OUT
