"""Whatever comes back, and whatever a row contains, the gateway returns a value; and a yes stays a yes."""

from __future__ import annotations

import json
from typing import Any
from unittest.mock import patch

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from adapters.http.breaker import HostBreaker
from adapters.http.session import HttpReply, HttpRequest
from adapters.unipile.gateway import DIALECTS, UnipileGateway
from adapters.unipile.ping import Greeting, ping
from engagement_core.model.errors import Cause, Effect, Failure
from engagement_core.model.provider import AccountHealth, Applied, NoReadBack, NotSent, Seen
from engagement_core.ports.clock import Deadline
from support.provider import API_KEY, HandClock, account, comment, like, within

DEEP = [b"[" * 990 + b"]" * 990, b'{"a":' * 990 + b"1" + b"}" * 990, b"[" * 100_000]
WORDS = [
    "success",
    "object",
    "error",
    "type",
    "title",
    "detail",
    "message",
    "retry_after",
    "comment_id",
    "items",
    "cursor",
    "author",
    "id",
    "text",
]

texts = st.text(st.characters(), max_size=8) | st.sampled_from(["\ud800", "Error", "rate_limit_exceeded", "OK", "2d"])
values = st.recursive(
    st.none() | st.booleans() | st.floats() | st.integers(-(10**30), 10**30) | texts,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(WORDS) | texts, inner, max_size=5),
    max_leaves=10,
)
bodies = (
    st.none()
    | st.binary(max_size=60)
    | st.sampled_from([*DEEP, b"", b"\xef\xbb\xbf{}", b"1" * 10_000, b'{"success":true,"success":false}', b"1e999"])
    | values.map(lambda value: json.dumps(value).encode("utf-8", "surrogatepass"))
)
headers = st.dictionaries(st.sampled_from(["Retry-After", "Date", "X-Odd"]), texts | st.just("Fri, 99 Xxx"), max_size=3)
replies = st.builds(HttpReply, status=st.integers(100, 999) | st.integers(200, 299), headers=headers, body=bodies)
versions = st.sampled_from(["v0", "v1"])


class Saying:
    """A session that has one reply for everything, or a defect."""

    def __init__(self, reply: HttpReply | Exception) -> None:
        self._reply = reply

    def send(self, request: HttpRequest, deadline: Deadline) -> HttpReply:
        """See `HttpSession`."""
        if isinstance(self._reply, Exception):
            raise self._reply
        return self._reply


def gateway(version: str, reply: HttpReply | Exception) -> UnipileGateway:
    """One that is always told this."""
    session: Any = Saying(reply)
    breaker = HostBreaker(host="h", clock=HandClock(), fail_max=10**9)
    return UnipileGateway(
        base_url="http://127.0.0.1", dialect=DIALECTS[version], api_key=API_KEY, session=session, breaker=breaker
    )


def is_explicit_no(body: bytes | None) -> bool:
    """Judged anew, without the product's reader."""
    try:
        told = json.loads(body or b"null")
    except (ValueError, RecursionError):
        return False
    return isinstance(told, dict) and (told.get("success") is False or told.get("object") == "Error")


@settings(deadline=None, max_examples=400)
@given(version=versions, reply=replies, is_like=st.booleans())
def test_every_answer_is_a_value_and_a_yes_is_applied_unless_it_says_no(
    version: str, reply: HttpReply, is_like: bool
) -> None:
    """No body, header or status raises; a 2xx without an explicit no was done; nothing else but a done like was."""
    answer = gateway(version, reply).engage(like() if is_like else comment(), within(5))
    assert isinstance(answer, Applied | Failure)
    if 200 <= reply.status < 300 and not is_explicit_no(reply.body):
        assert isinstance(answer, Applied)
    elif isinstance(answer, Applied):
        assert is_like
    elif 200 <= reply.status < 300 and answer.provider_type is None:
        assert answer.effect is Effect.UNKNOWN


@settings(deadline=None, max_examples=400)
@given(version=versions, reply=replies, is_like=st.booleans())
def test_every_read_is_a_value_and_a_no_is_never_a_complete_read(version: str, reply: HttpReply, is_like: bool) -> None:
    """What is not understood proves nothing."""
    asked = gateway(version, reply)
    seen = asked.read_back(like() if is_like else comment(), within(5))
    health = asked.health(account(), within(5))
    assert isinstance(seen, Seen | NoReadBack | Failure)
    assert isinstance(health, AccountHealth | NoReadBack | Failure)
    if version == "v1" and is_explicit_no(reply.body):
        assert isinstance(seen, Failure)
        assert isinstance(health, Failure)
    session: Any = Saying(reply)
    assert isinstance(
        ping(base_url="http://127.0.0.1", version=version, api_key=API_KEY, session=session, deadline=within(5)),
        Greeting,
    )


@settings(deadline=None)
@given(version=versions, post_id=texts, account_id=texts | st.none(), token=texts | st.none(), text=texts)
def test_every_row_gives_a_value(
    version: str, post_id: str, account_id: str | None, token: str | None, text: str
) -> None:
    """Ids, tokens and comments are other people's."""
    asked = gateway(version, HttpReply(status=201, headers={}, body=b"{}"))
    by = account(account_id, token)
    for engagement in (like(post_id, by), comment(text, post_id, by)):
        answer = asked.engage(engagement, within(5))
        assert isinstance(answer, Applied) or (isinstance(answer, Failure) and answer.effect is Effect.NONE)
        assert isinstance(asked.read_back(engagement, within(5)), Failure | NoReadBack)
    assert isinstance(asked.health(by, within(5)), Failure | NoReadBack)


@pytest.mark.parametrize("version", ["v0", "v1"])
@pytest.mark.parametrize("body", DEEP)
def test_yes_in_a_body_that_is_nested_too_deep_is_applied(version: str, body: bytes) -> None:
    """Whichever of the readers gives up first."""
    reply = HttpReply(status=201, headers={}, body=body)
    wrapped = HttpReply(status=201, headers={}, body=b'{"comment_id":' + body + b"}")
    for each in (reply, wrapped):
        assert gateway(version, each).engage(comment(), within(5)) == Applied(engagement_id=None, created_at=None)


def test_defect_of_ours_means_what_was_known_when_it_came() -> None:
    """Before the first byte nothing was sent; after the head of a yes it was done; between them nobody can tell."""
    fine = HttpReply(status=201, headers={}, body=b"{}")
    dialect = type(DIALECTS["v1"])
    with patch.object(dialect, "engage", side_effect=KeyError("secret")):
        before = gateway("v1", fine).engage(like(), within(5))
    between = gateway("v1", KeyError("secret")).engage(like(), within(5))
    with patch.object(dialect, "applied", side_effect=KeyError("secret")):
        after = gateway("v1", fine).engage(like(), within(5))
    assert isinstance(before, Failure)
    assert isinstance(between, Failure)
    assert (before.cause, between.effect) == (Cause.NOT_SENT, Effect.UNKNOWN)
    assert after == Applied(engagement_id=None, created_at=None)
    assert "secret" not in before.message + between.message


def test_greeting_with_an_address_or_a_key_that_cannot_be_used_is_a_greeting() -> None:
    """The doctor's question raises nothing either."""
    session: Any = Saying(HttpReply(status=200, headers={}, body=b"{}"))
    for url, key in (("http://elsewhere.test", API_KEY), ("http://127.0.0.1", "schlüssel"), ("nonsense", API_KEY)):
        seen = ping(base_url=url, version="v1", api_key=key, session=session, deadline=within(5))
        assert isinstance(seen, Greeting)
        assert key not in seen.message


def test_open_breaker_is_told_as_before() -> None:
    """Not sent, and nobody is to blame."""
    breaker = HostBreaker(host="h", clock=HandClock(), fail_max=1)
    with breaker.admit() as admission:
        admission.failed()
    session: Any = Saying(KeyError())
    asked = UnipileGateway(
        base_url="http://127.0.0.1", dialect=DIALECTS["v1"], api_key=API_KEY, session=session, breaker=breaker
    )
    assert isinstance(asked.engage(like(), within(5)), NotSent)
