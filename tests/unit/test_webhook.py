"""Alerts by webhook: the shape, the failures, and that nobody learns the address."""

from __future__ import annotations

import base64
import json
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta, timezone
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest

from adapters.alerts.webhook import WebhookAlerts, checked_webhook_url
from adapters.clock import SystemClock
from adapters.http.session import HttpSession
from engagement_core.model.incident import Alert, AlertState
from engagement_core.ports.alerts import AlertsUndelivered

ALERT = Alert(
    id=7,
    incident="auth_error:account-1",
    kind="auth_error",
    message="Activity a-1 failed. Next: reconnect.",
    activity_id="a-1",
    raised_at=datetime(2030, 1, 1, tzinfo=timezone.utc),
    next_step="reconnect.",
)


@dataclass
class Hook:
    """A webhook's address, and the bodies and headers that it was sent."""

    url: str = ""
    told: list[dict[str, Any]] = field(default_factory=list)
    headers: list[dict[str, str]] = field(default_factory=list)


@contextmanager
def hook(status: int = 200) -> Iterator[Hook]:
    """A webhook that answers so."""
    seen = Hook()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            seen.told.append(json.loads(self.rfile.read(int(self.headers["Content-Length"]))))
            seen.headers.append(dict(self.headers.items()) | {"path": self.path})
            self.send_response(status)
            self.send_header("Location", "/elsewhere")
            self.send_header("Content-Length", "0")
            self.end_headers()

        def log_message(self, *_: object) -> None:
            """Silent."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        seen.url = f"http://127.0.0.1:{server.server_address[1]}/services/geheim?key=geheim"
        try:
            yield seen
        finally:
            server.shutdown()
            thread.join()


def send(url: str, alert: Alert = ALERT, within: timedelta = timedelta(seconds=5)) -> None:
    """One delivery."""
    with HttpSession() as session:
        WebhookAlerts(url, session=session, clock=SystemClock(), within=within).send(alert)


def test_webhook_is_told_what_a_person_needs() -> None:
    """In the shape that Slack takes, at the whole address."""
    with hook() as seen:
        send(seen.url)
    assert seen.told == [
        {
            "text": "Activity a-1 failed. Next: reconnect.",
            "kind": "auth_error",
            "incident": "auth_error:account-1",
            "activity_id": "a-1",
            "state": "raised",
            "raised_at": "2030-01-01T00:00:00+00:00",
            "next_step": "reconnect.",
        }
    ]
    assert seen.headers[0]["Content-Type"] == "application/json"
    assert seen.headers[0]["path"] == "/services/geheim?key=geheim"


def test_webhook_is_told_the_end_without_a_next_step() -> None:
    """There is nothing left to do."""
    with hook() as seen:
        send(seen.url, replace(ALERT, state=AlertState.RESOLVED, next_step=None, activity_id=None))
    (told,) = seen.told
    assert (told["state"], told["activity_id"], "next_step" in told) == ("resolved", None, False)


def test_providers_words_are_neither_a_mention_nor_a_link() -> None:
    """Slack would call the whole channel."""
    with hook() as seen:
        send(seen.url, replace(ALERT, message="<!channel> a & b <https://evil.example|here>"))
    assert seen.told[0]["text"] == "&lt;!channel&gt; a &amp; b &lt;https://evil.example|here&gt;"


def test_credentials_in_the_address_become_a_header() -> None:
    """And are in nothing else that is sent."""
    with hook() as seen:
        send(seen.url.replace("http://", "http://ana%40x:ge%2Fheim@"))
    (headers,) = seen.headers
    assert base64.b64decode(headers["Authorization"].removeprefix("Basic ")).decode() == "ana@x:ge/heim"
    assert "ana" not in headers["Host"]


@pytest.mark.parametrize("status", [302, 400, 500])
def test_only_a_success_is_a_delivery(status: int) -> None:
    """No redirect is followed: it might lead anywhere."""
    answered = pytest.raises(AlertsUndelivered, match=f"^the webhook answered {status}$")
    with hook(status) as seen, answered:
        send(seen.url)
    assert len(seen.told) == 1


def test_dead_webhook_is_told_without_the_address() -> None:
    """It is as good as a password."""
    with pytest.raises(AlertsUndelivered) as problem:
        send("http://geheim:geheim@127.0.0.1:1/geheim")
    assert "geheim" not in f"{problem.value} {problem.value.__cause__}"


def test_hanging_webhook_is_given_up_in_time() -> None:
    """It accepts, and says nothing."""
    with socket.create_server(("127.0.0.1", 0)) as silent:
        started = time.monotonic()
        with pytest.raises(AlertsUndelivered, match="the webhook cannot be reached: NoAnswer"):
            send(f"http://127.0.0.1:{silent.getsockname()[1]}/geheim", within=timedelta(seconds=0.2))
        assert time.monotonic() - started < 2


@pytest.mark.parametrize(
    "url",
    [
        "http://hooks.example.com/geheim",
        "ftp://hooks.example.com/geheim",
        "hooks.example.com/geheim",
        "https:///geheim",
        "https://hooks.example.com:0/geheim",
        "https://[geheim",
        "https://hooks.example.com/geheim\r\nX-Evil: 1",
        "https://hooks.example.com/ge heim",
        "https://hooks.example.com/geheim\u00e4",
    ],
)
def test_address_that_cannot_be_used_is_refused_without_repeating_it(url: str) -> None:
    """No encryption, no host, or not an address at all."""
    with pytest.raises(ValueError, match="must") as problem:
        checked_webhook_url(url)
    assert "heim" not in str(problem.value)


@pytest.mark.parametrize(
    "url",
    [
        "https://hooks.slack.com/services/T/B/x",
        "https://u:p@h.example:8443/a?b=c",
        "http://localhost:9/a",
        "http://[::1]/",
    ],
)
def test_address_is_taken_as_it_is(url: str) -> None:
    """Path, query and credentials belong to it."""
    assert checked_webhook_url(f" {url}\n") == url
