"""Alerts by webhook: the shape, the failures, and that nothing else waits for them."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime, timezone
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest

from adapters.alerts.several import SeveralAlerts
from adapters.alerts.webhook import WebhookAlerts
from adapters.clock import SystemClock
from adapters.http.session import HttpSession
from engagement_core.ports.alerts import Alert, AlertsUndelivered

ALERT = Alert(
    id=7,
    kind="auth_error",
    message="Activity a-1 failed. Next: reconnect.",
    activity_id="a-1",
    raised_at=datetime(2030, 1, 1, tzinfo=timezone.utc),
)


@contextmanager
def hook(*statuses: int) -> Iterator[tuple[str, list[dict[str, Any]]]]:
    """A webhook that answers with these statuses in turn, and then with 200; its address, and what it was told."""
    told: list[dict[str, Any]] = []
    answers = list(statuses)

    class Hook(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            told.append(json.loads(self.rfile.read(int(self.headers["Content-Length"]))))
            self.send_response(answers.pop(0) if answers else 200)
            self.send_header("Content-Length", "0")
            self.end_headers()

        def log_message(self, *_: object) -> None:
            """Silent."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Hook) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_address[1]}/services/geheim", told
        finally:
            server.shutdown()
            thread.join()


def test_a_webhook_is_told_what_a_person_needs() -> None:
    """In the shape that Slack takes."""
    with hook() as (url, told), HttpSession() as session:
        WebhookAlerts(url, session=session, clock=SystemClock()).send(ALERT)
    assert told == [
        {
            "text": "Activity a-1 failed. Next: reconnect.",
            "kind": "auth_error",
            "activity_id": "a-1",
            "raised_at": "2030-01-01T00:00:00+00:00",
        }
    ]


def test_a_refusal_and_a_dead_webhook_are_told_without_the_address() -> None:
    """The address is as good as a password."""
    answered = pytest.raises(AlertsUndelivered, match="the webhook answered 500")
    with hook(500) as (url, _), HttpSession() as session, answered:
        WebhookAlerts(url, session=session, clock=SystemClock()).send(ALERT)
    with HttpSession() as session, pytest.raises(AlertsUndelivered) as problem:
        WebhookAlerts("http://127.0.0.1:1/geheim", session=session, clock=SystemClock()).send(ALERT)
    assert "geheim" not in str(problem.value)


def test_an_address_without_encryption_is_refused() -> None:
    """Except within this machine."""
    with HttpSession() as session, pytest.raises(ValueError, match="https"):
        WebhookAlerts("http://hooks.example.com/geheim", session=session, clock=SystemClock())


def test_whoever_was_told_is_not_told_again_because_another_one_was_not() -> None:
    """The log has it once, the webhook until it takes it."""
    logged: list[Alert] = []
    log = type("Log", (), {"send": staticmethod(logged.append)})()
    with hook(503) as (url, told), HttpSession() as session:
        alerts = SeveralAlerts(log, WebhookAlerts(url, session=session, clock=SystemClock()))
        with pytest.raises(AlertsUndelivered):
            alerts.send(ALERT)
        alerts.send(ALERT)
    assert (logged, len(told)) == ([ALERT], 2)
