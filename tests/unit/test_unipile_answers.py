"""What each answer of the provider means; the rows are those of the provider's page in the documentation."""

from __future__ import annotations

import json
from datetime import datetime, timedelta, timezone

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from adapters.http.session import HttpReply
from adapters.unipile.answers import ANSWERS, cause_of, failure_of, retry_after, says_no
from adapters.unipile.plain import plain
from engagement_core.model.errors import Cause, Effect, Failure

NOW = datetime(2024, 3, 15, 14, 30, tzinfo=timezone.utc)
DAY = timedelta(hours=24)


def failure(status: int, body: object = None, headers: dict[str, str] | None = None) -> Failure:
    """The failure that such a reply reports."""
    raw = body if isinstance(body, bytes) else json.dumps(body).encode()
    return failure_of(HttpReply(status=status, headers=headers or {}, body=raw), now=NOW, secrets=("s3cret", ""))


@pytest.mark.parametrize("status", [402, 405, 408, 409, 418, 302, 304, 101, 499, 520, 599, 0, 999])
def test_status_that_nobody_knows_is_unknown(status: int) -> None:
    """What is not clearly a no may have happened."""
    assert failure(status).effect is Effect.UNKNOWN


@pytest.mark.parametrize(
    ("status", "cause"),
    [(400, Cause.REJECTED), (500, Cause.SERVER_ERROR), (404, Cause.POST_GONE), (410, Cause.POST_GONE)],
)
def test_word_that_nobody_knows_falls_back_to_the_status(status: int, cause: Cause) -> None:
    """Both lists are open."""
    assert failure(status, {"type": "errors/brand_new"}).cause is cause


@pytest.mark.parametrize(
    ("word", "cause"),
    [
        ("rate_limit", Cause.RATE_LIMITED),
        ("auth_error", Cause.ACCOUNT_SIGNED_OUT),
        ("profile_blocked", Cause.PROFILE_BLOCKED),
        ("post_not_found", Cause.POST_GONE),
    ],
)
def test_specifications_own_words_mean_what_they_say_beside_a_refusal(word: str, cause: Cause) -> None:
    """In a 4xx, and in a 2xx that says no; beside a 5xx they prove nothing."""
    assert [cause_of(status, word) for status in (200, 400, 403, 422)] == [cause] * 4
    assert cause_of(500, word) is Cause.SERVER_ERROR


@pytest.mark.parametrize("status", [200, 400, 409, 422, 423, 500, 503])
def test_busy_account_cannot_be_told(status: int) -> None:
    """It may be busy with this very request."""
    assert failure(status, {"type": "errors/account_busy"}).effect is Effect.UNKNOWN


def test_word_in_the_table_is_found_beside_one_that_is_not() -> None:
    """`type` and `error` may both be there, and one of them for people."""
    assert failure(400, {"type": "Problem", "error": "rate_limit_exceeded"}).cause is Cause.RATE_LIMITED
    assert failure(400, {"type": "errors/invalid_post", "error": "Oops"}).cause is Cause.POST_GONE


@pytest.mark.parametrize(
    ("body", "no"),
    [
        ({"success": False}, True),
        ({"object": "Error"}, True),
        ({"success": True, "object": "Error"}, True),
        ({"success": "false"}, False),
        ({"success": 0}, False),
        ({"success": None}, False),
        ({"object": "error"}, False),
        ({"object": "Something"}, False),
        ({"error": "rate_limit_exceeded"}, False),
        ({"data": {"success": False}}, False),
        ([{"success": False}], False),
        (False, False),
        (None, False),
    ],
)
def test_only_two_words_turn_a_yes_into_a_no(body: object, no: bool) -> None:
    """The boolean, and the object that is called Error; anything else was done."""
    assert says_no(json.dumps(body).encode()) is no


@pytest.mark.parametrize("body", [None, b"", b"{", b"\xff\xfe<", b'{"success": false', b"[" * 100_000, b"1" * 10_000])
def test_what_cannot_be_read_says_nothing(body: bytes | None) -> None:
    """A no must be readable."""
    assert says_no(body) is False


@pytest.mark.parametrize("prefix", ["", "errors/", "api/", "provider/", "https://x.test/problems/"])
def test_word_beats_the_status_in_every_spelling(prefix: str) -> None:
    """v1, v2 and v0 put different things before it."""
    assert cause_of(400, f"{prefix}too_many_requests") is Cause.RATE_LIMITED
    assert cause_of(400, f"{prefix}Expired_Credentials") is Cause.ACCOUNT_SIGNED_OUT


@pytest.mark.parametrize("word", ["no_client_session", "no_channel", "no_handler"])
def test_missing_session_is_no_effect_only_together_with_503(word: str) -> None:
    """Anything else with that word keeps the meaning of its status."""
    assert cause_of(503, f"errors/{word}") is Cause.NO_SESSION
    assert cause_of(500, f"errors/{word}") is Cause.SERVER_ERROR
    assert cause_of(503, "errors/service_unavailable") is Cause.SERVER_ERROR


@settings(deadline=None)
@given(status=st.integers(500, 599), word=st.text(max_size=20))
def test_no_server_error_with_an_unheard_of_word_is_ever_without_effect(status: int, word: str) -> None:
    """A blind retry is only ever allowed by a word that is in the table."""
    if word.rsplit("/", 1)[-1].lower() not in {known for _, known in ANSWERS}:
        report = failure(status, {"type": word})
        assert report.effect is Effect.UNKNOWN or status == 501


@settings(deadline=None)
@given(
    body=st.binary(max_size=60)
    | st.recursive(
        st.none() | st.booleans() | st.floats() | st.text(max_size=5),
        lambda inner: (
            st.lists(inner, max_size=3)
            | st.dictionaries(
                st.sampled_from(["type", "error", "title", "detail", "message", "retry_after"]), inner, max_size=4
            )
        ),
        max_leaves=8,
    )
)
def test_no_body_can_raise(body: object) -> None:
    """Whatever the provider sends, the status decides."""
    assert failure(500, body).provider_status == 500


def test_deeply_nested_body_cannot_raise() -> None:
    """Not even one made to exhaust the stack."""
    assert failure(429, b"[" * 100_000).cause is Cause.RATE_LIMITED


@pytest.mark.parametrize(
    ("headers", "body", "expected"),
    [
        ({"Retry-After": "60"}, None, timedelta(seconds=60)),
        ({"Retry-After": " 1.5 "}, None, timedelta(seconds=1.5)),
        ({"Retry-After": "0"}, None, timedelta(0)),
        ({"Retry-After": "999999"}, None, DAY),
        ({"Retry-After": "-1"}, None, None),
        ({"Retry-After": "soon"}, None, None),
        ({"Retry-After": "nan"}, None, None),
        ({"Retry-After": "inf"}, None, None),
        ({"Retry-After": "soon"}, 7, timedelta(seconds=7)),
        ({"Retry-After": "60"}, 7, timedelta(seconds=60)),
        ({}, 60, timedelta(seconds=60)),
        ({}, "60", timedelta(seconds=60)),
        ({}, 1e300, DAY),
        ({}, -5, None),
        ({}, True, None),
        ({}, [60], None),
        ({}, 10**400, None),
        ({}, None, None),
        ({"Retry-After": "Fri, 15 Mar 2024 14:31:00 GMT"}, None, timedelta(minutes=1)),
        (
            {"Retry-After": "Fri, 15 Mar 2024 14:31:00 GMT", "Date": "Fri, 15 Mar 2024 14:30:50 GMT"},
            None,
            timedelta(seconds=10),
        ),
        ({"Retry-After": "Fri, 15 Mar 2024 14:29:00 GMT"}, None, None),
        ({"Retry-After": "Mon, 15 Mar 2094 14:29:00 GMT"}, None, DAY),
        ({"Retry-After": "Fri, 15 Mar 2024 14:31:00 -0000"}, None, None),
        ({"Retry-After": "Fri, 99 Mar 2024 14:31:00 GMT"}, None, None),
    ],
)
def test_retry_after_is_read_in_all_its_forms(
    headers: dict[str, str], body: object, expected: timedelta | None
) -> None:
    """Seconds or a date in the header, seconds in the body; a day at most; nonsense is no request."""
    assert retry_after(headers, body, NOW) == expected


def test_message_is_one_short_sentence_without_secrets() -> None:
    """The provider's own text is quoted, but tamed."""
    body = {"title": "Bad\r\n key\x00 s3cret", "type": "errors/s3cret\n", "detail": "x" * 5000}
    report = failure(400, body)
    assert report.message.startswith("The provider answered 400: errors/***: Bad key ***. xxx")
    assert len(report.message) <= 300
    assert report.message.isprintable()
    assert report.provider_type == "errors/***"
    assert "s3cret" not in repr(report)


def test_provider_words_are_kept_for_the_audit_log() -> None:
    """Status and type as they came."""
    report = failure(422, {"title": "Gone", "type": "errors/invalid_post", "status": 422})
    assert (report.provider_status, report.provider_type) == (422, "errors/invalid_post")
    assert failure(418, None).message == "The provider answered 418: nothing"


@pytest.mark.parametrize(
    ("text", "shown"), [("a\x00b\ud800c\u2028d", "a b c d"), ("é 😀", "é 😀"), ("   ", ""), ("x" * 11, "x" * 9 + "…")]
)
def test_plain_keeps_what_can_be_stored_and_read(text: str, shown: str) -> None:
    """No NUL, no half a character, no second line, no novel."""
    assert plain(text, limit=10) == shown
