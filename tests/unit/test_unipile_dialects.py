"""The requests that each dialect builds, to the letter, and what it makes of the answers."""

from __future__ import annotations

import json
from datetime import datetime, timezone

import pytest

from adapters.http.session import HttpReply, HttpRequest
from adapters.unipile.dialect import Dialect, Reads, Unsendable
from adapters.unipile.v0 import V0
from adapters.unipile.v1 import V1
from engagement_core.model.provider import Applied, Engagement, Found
from support.provider import ACCESS_TOKEN, API_KEY, account, comment, like

TEXT = "Ünïcode, “quotes” & 😀"


def sent(request: HttpRequest) -> tuple[str, str, object]:
    """Method, path and body."""
    return request.method, request.url, None if request.body is None else json.loads(request.body)


def reply(body: object, status: int = 200) -> HttpReply:
    """A reply of the provider."""
    raw = body if isinstance(body, bytes) or body is None else json.dumps(body).encode()
    return HttpReply(status=status, headers={}, body=raw)


@pytest.fixture
def reads() -> Reads:
    """What v1 can be asked."""
    reads = V1().reads
    assert reads is not None
    return reads


def test_v0_requests_are_the_specifications() -> None:
    """`POST /posts/{post_id}/like` and `/comments` with `{text}`, in the account's own name."""
    assert sent(V0().engage(like("linkedin-post-456"), API_KEY)) == ("POST", "/v0/posts/linkedin-post-456/like", None)
    request = V0().engage(comment(TEXT, "linkedin-post-456"), API_KEY)
    assert sent(request) == ("POST", "/v0/posts/linkedin-post-456/comments", {"text": TEXT})
    assert request.headers["Authorization"] == f"Bearer {ACCESS_TOKEN}"
    assert request.headers["Content-Type"] == "application/json"
    assert "X-API-KEY" not in request.headers


@pytest.mark.parametrize("token", [None, ""])
def test_v0_falls_back_to_the_api_key(token: str | None) -> None:
    """For an account that has no token of its own."""
    request = V0().engage(like(by=account(access_token=token)), API_KEY)
    assert request.headers["Authorization"] == f"Bearer {API_KEY}"


def test_v1_requests_are_the_providers() -> None:
    """The account is named in the body, the key in the header; the token stays at home."""
    request = V1().engage(like("urn:li:activity:7"), API_KEY)
    body = {"account_id": "acc-1", "post_id": "urn:li:activity:7", "reaction_type": "like"}
    assert sent(request) == ("POST", "/api/v1/posts/reaction", body)
    assert request.headers["X-API-KEY"] == API_KEY
    assert "Authorization" not in request.headers
    assert sent(V1().engage(comment(TEXT, "urn:li:activity:7"), API_KEY)) == (
        "POST",
        "/api/v1/posts/urn%3Ali%3Aactivity%3A7/comments",
        {"account_id": "acc-1", "text": TEXT},
    )


@pytest.mark.parametrize("dialect", [V0(), V1()])
@pytest.mark.parametrize(
    ("post_id", "segment"),
    [("urn:li:ugcPost:1", "urn%3Ali%3AugcPost%3A1"), ("a/../b?c#d", "a%2F..%2Fb%3Fc%23d"), ("ü %", "%C3%BC%20%25")],
)
def test_post_id_is_one_segment_whatever_is_in_it(dialect: Dialect, post_id: str, segment: str) -> None:
    """An id must not be able to choose another path."""
    assert f"/posts/{segment}/comments" in dialect.engage(comment(post_id=post_id), API_KEY).url


@pytest.mark.parametrize("dialect", [V0(), V1()])
@pytest.mark.parametrize("engagement", [like(""), like("."), like(".."), comment(post_id=".."), comment(post_id="")])
def test_post_id_that_is_a_walk_through_the_path_is_unsendable(dialect: Dialect, engagement: Engagement) -> None:
    """Such ids are no ids."""
    with pytest.raises(Unsendable):
        dialect.engage(engagement, API_KEY)


@pytest.mark.parametrize("text", ["Hi {{0}}", "Hi {{name", "name}}"])
def test_v1_never_sends_double_braces(text: str) -> None:
    """They would become mentions; and what was frozen is never changed on its way."""
    with pytest.raises(Unsendable, match="braces"):
        V1().engage(comment(text), API_KEY)


@pytest.mark.parametrize("provider_account_id", [None, ""])
@pytest.mark.parametrize("engagement_type", ["like", "comment"])
def test_v1_needs_the_providers_name_for_the_account(provider_account_id: str | None, engagement_type: str) -> None:
    """Never act as somebody else."""
    nobody = account(provider_account_id=provider_account_id)
    with pytest.raises(Unsendable, match="unipile_account_id"):
        V1().engage(like(by=nobody) if engagement_type == "like" else comment(by=nobody), API_KEY)


def test_token_with_control_characters_is_unsendable_and_not_repeated() -> None:
    """It must neither smuggle in a header nor appear in a message."""
    with pytest.raises(Unsendable) as refusal:
        V0().engage(like(by=account(access_token="tok\r\nX-Evil: 1")), API_KEY)
    assert "tok" not in str(refusal.value)


def test_v0_answer_gives_id_and_time() -> None:
    """As in the specification's example."""
    done = V0().applied(reply({"success": True, "comment_id": "c-1", "timestamp": "2024-03-15T15:00:01.123Z"}))
    assert done == Applied(engagement_id="c-1", created_at=datetime(2024, 3, 15, 15, 0, 1, 123000, tzinfo=timezone.utc))


@pytest.mark.parametrize(
    ("body", "engagement_id"),
    [
        ({"object": "CommentSent", "comment_id": "7300"}, "7300"),
        ({"comment_id": 7300, "new_field": []}, "7300"),
        ({"comment_id": "a\x00b\n"}, "a b"),
        ({"comment_id": "x" * 300}, "x" * 254 + "…"),
        ({"comment_id": True}, None),
        ({"comment_id": ["7300"]}, None),
        ({"comment_id": ""}, None),
        ({"object": "ReactionAdded"}, None),
        (b"\xff\xfe<html>", None),
        (b"", None),
        (None, None),
        ([], None),
        (b"[" * 100_000, None),
    ],
)
@pytest.mark.parametrize("dialect", [V0(), V1()])
def test_yes_is_a_yes_whatever_the_body(dialect: Dialect, body: object, engagement_id: str | None) -> None:
    """An id that can be stored is kept, anything else is left."""
    assert dialect.applied(reply(body)).engagement_id == engagement_id


@pytest.mark.parametrize("timestamp", ["yesterday", 12, None, "2024-13-01T00:00:00Z", "0001-01-01T00:00:00+14:00"])
def test_unreadable_time_does_not_cost_the_id(timestamp: object) -> None:
    """Each field stands for itself."""
    done = V0().applied(reply({"comment_id": "c-1", "timestamp": timestamp}))
    assert done == Applied(engagement_id="c-1", created_at=None)


def test_v1_reads_are_the_providers(reads: Reads) -> None:
    """Paths and queries to the letter."""
    assert reads.who_am_i(account("a&b"), API_KEY).url == "/api/v1/users/me?account_id=a%26b"
    assert reads.health(account("a/b"), API_KEY).url == "/api/v1/accounts/a%2Fb"
    assert reads.page(comment(post_id="u:1"), None, API_KEY).url == (
        "/api/v1/posts/u%3A1/comments?account_id=acc-1&limit=100&sort_by=MOST_RECENT"
    )
    assert reads.page(like("u:1"), "c=1", API_KEY).url == (
        "/api/v1/posts/u%3A1/reactions?account_id=acc-1&limit=100&cursor=c%3D1"
    )


def test_v1_reads_pick_our_own_by_the_members_id(reads: Reads) -> None:
    """Not by the display name, which anybody may have."""
    mine = {"id": "1", "author": "Eve", "author_details": {"id": "me"}, "date": "2024-03-15T15:00:01Z", "text": "Hi"}
    items = [mine, {**mine, "id": "2", "author_details": {"id": "other"}}, {**mine, "id": 3, "date": "2d"}]
    page = reads.own_page(comment(), "me", reply({"items": items, "cursor": "next"}))
    assert page is not None
    assert page.cursor == "next"
    assert page.own == (
        Found(engagement_id="1", text="Hi", created_at=datetime(2024, 3, 15, 15, 0, 1, tzinfo=timezone.utc)),
        Found(engagement_id="3", text="Hi", created_at=None),
    )


@pytest.mark.parametrize(
    "date", ["2024-03-15", "2024-03-15T15:00:01", "2024-03-15T15:00Z", "2024-03-15T25:00:01Z", "20240315", 20240315]
)
def test_v1_date_without_a_second_or_a_zone_says_nothing(reads: Reads, date: object) -> None:
    """Taken at its word, it would make a fresh comment an old one, and ours would be sent again."""
    page = reads.own_page(comment(), "me", reply({"items": [{**GOOD, "date": date}], "cursor": None}))
    assert page is not None
    assert page.own == (Found(engagement_id="1", text="x", created_at=None),)


def test_v1_like_is_a_reaction_of_that_value_alone(reads: Reads) -> None:
    """Our own PRAISE is not our LIKE."""
    items = [{"value": "PRAISE", "author": {"id": "me"}}, {"value": "LIKE", "author": {"id": "me"}}]
    page = reads.own_page(like(), "me", reply({"items": items, "cursor": None}))
    assert page is not None
    assert page.own == (Found(engagement_id=None, text=None, created_at=None),)


GOOD = {"id": "1", "author_details": {"id": "me"}, "date": None, "text": "x"}


@pytest.mark.parametrize(
    "body",
    [
        None,
        b"",
        b"<html>",
        [],
        {},
        {"items": None},
        {"items": {}},
        {"items": ["x"]},
        {"items": [{**GOOD, "author_details": None}]},
        {"items": [{**GOOD, "author_details": {}}]},
        {"items": [{**GOOD, "id": None}]},
        {"items": [{**GOOD, "text": 5}]},
        {"items": [GOOD], "cursor": 5},
        {"items": [GOOD, {}]},
    ],
)
def test_page_that_is_not_understood_in_full_is_not_understood(reads: Reads, body: object) -> None:
    """From a page with holes one could conclude "it is not there"."""
    assert reads.own_page(comment(), "me", reply(body)) is None


@pytest.mark.parametrize("end", [{}, {"cursor": None}, {"cursor": ""}])
def test_page_without_a_cursor_is_the_last(reads: Reads, end: dict[str, object]) -> None:
    """However the provider leaves it out."""
    page = reads.own_page(comment(), "me", reply({"items": [GOOD], **end}))
    assert page is not None
    assert page.cursor is None


def test_member_and_health_are_read_or_not_understood(reads: Reads) -> None:
    """Wrong shapes are no answers."""
    assert reads.member_id(reply({"provider_id": "ACo1"})) == "ACo1"
    assert reads.member_id(reply({"provider_id": None})) is None
    assert reads.health_words(reply({"sources": [{"status": "OK"}, {"status": "CREDENTIALS"}]})) == (
        "OK",
        "CREDENTIALS",
    )
    assert reads.health_words(reply({"sources": "OK"})) is None
