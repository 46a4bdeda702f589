"""What is secret is masked by its name, its value and its shape; what is not stays readable."""

from __future__ import annotations

import json
import time
from typing import Any

import pytest

from adapters.telemetry.redaction import Redactor, secrets_in_url

KEY = "k3y/with+odd=signs"


def cleaned(method: str = "error", **event: Any) -> dict[str, Any]:
    """An event as it is printed."""
    return dict(Redactor((KEY,))(None, method, event))


@pytest.mark.parametrize(
    "name", ["access_token", "api_key", "UNIPILE_API_KEY", "Authorization", "password", "client_secret", "webhook_url"]
)
def test_field_that_names_a_secret_is_masked(name: str) -> None:
    """Whatever it holds, however deep it lies."""
    assert cleaned(**{name: "x"}) == {name: "***"}
    assert cleaned(context={"deep": [{name: "x"}]}) == {"context": {"deep": [{name: "***"}]}}


@pytest.mark.parametrize(
    "form",
    [
        KEY,
        "k3y%2Fwith%2Bodd%3Dsigns",
        "k3y%2fwith%2bodd%3dsigns",
        "k3y/with%2Bodd%3Dsigns",
        f"repr: {KEY!r}",
    ],
)
def test_known_value_is_masked_wherever_it_turns_up(form: str) -> None:
    """In a message, in an exception, in a list; as it is and percent-encoded."""
    for event in ({"message": f"a {form} b"}, {"error": ValueError(form)}, {"many": (form,)}):
        assert "k3y" not in str(cleaned(**event))


def test_known_value_is_masked_as_json_writes_it() -> None:
    """A password may have any character."""
    password = 'k3y"\\é'
    assert Redactor([password])(None, "info", {"message": json.dumps({"x": password})}) == {"message": '{"x": "***"}'}


@pytest.mark.parametrize(
    "text",
    [
        "connection to postgresql://user:hunter2@h:5432/d failed",
        "redis://:hunter2@h:6379/0",
        "https://hunter2:x@h/",
        "postgresql://user:hunter2/more@with:odd@h/d",
        "Authorization: Bearer hunter2",
        "'authorization': 'Bearer hunter2'",
        "host=h password=hunter2 dbname=d",
        "password='hunter2 and more' host=h",
        "?access_token=hunter2&limit=5",
        '{"api_key": "hunter2"}',
    ],
)
def test_unknown_value_is_masked_by_its_shape(text: str) -> None:
    """A token that we have never been told of."""
    assert "hunter2" not in cleaned(message=text)["message"]
    assert "***" in cleaned(message=text)["message"]


def test_what_is_no_secret_stays() -> None:
    """Numbers as numbers, addresses without a password, words like token in prose."""
    event = {
        "attempt": 2,
        "duration_ms": 1.5,
        "ok": True,
        "at": "https://h:1/p?q=1",
        "message": "the token has expired",
    }
    assert cleaned(**event) == event


@pytest.mark.parametrize("name", ["text", "comment_text", "comment_generated"])
def test_words_of_a_comment_are_for_debug_alone(name: str) -> None:
    """By the name of their field."""
    assert cleaned("info", **{name: "Great post!"}) == {name: "***"}
    assert cleaned("debug", **{name: "Great post!"}) == {name: "Great post!"}


@pytest.mark.parametrize(
    "url",
    [
        "postgresql://user:hunter2@h/d",
        "postgresql://user:hunter2/and/more@h/d",
        "postgresql://user:and@hunter2@h/d",
        "postgresql://user:hunter2#and@[h/d",
        "host=h password=hunter2",
        "postgresql://h/d?user=u&password=hunter2&sslmode=require",
    ],
)
def test_password_is_found_in_an_address_however_badly_it_is_written(url: str) -> None:
    """And each piece that a parser would quote."""
    found = secrets_in_url(url)
    assert "hunter2" in found
    assert "require" not in found


def test_webhook_is_a_secret_as_a_whole_and_from_its_path_on() -> None:
    """Which is how an HTTP library prints it."""
    assert set(secrets_in_url("https://hooks.test/services/T0/B0", whole=True)) == {
        "https://hooks.test/services/T0/B0",
        "services/T0/B0",
    }


def test_nothing_known_masks_nothing() -> None:
    """No secret, or one that is too short to be looked for."""
    assert Redactor(("", "abc")).text("abc, and so on") == "abc, and so on"


@pytest.mark.parametrize("text", ["a.b." * 20_000, "@" + "a://" * 20_000, "password=" * 10_000, "bearer " * 10_000])
def test_hostile_text_takes_no_longer_than_it_is_long(text: str) -> None:
    """A provider's words come through here: none may hold a thread. (Squared, these would take minutes.)"""
    started = time.process_time()
    Redactor((KEY,)).text(text)
    assert time.process_time() - started < 5
