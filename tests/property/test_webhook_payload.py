"""Whatever a provider or a row says: the webhook's payload is JSON, and its text is words and no command."""

from __future__ import annotations

import json
from datetime import datetime, timedelta, timezone
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from adapters.alerts.webhook import WebhookAlerts
from adapters.http.session import HttpReply, HttpRequest
from engagement_core.model.incident import Alert
from engagement_core.ports.clock import Deadline
from fakes.clock import InMemoryClock

WORDS = st.text() | st.lists(st.sampled_from(["<!channel>", "<https://x|y>", "&lt;", "&amp;", "<", ">", "é"])).map(
    "".join
)


def as_shown(text: str) -> str:
    """What a reader sees: three entities are known, and no others."""
    return text.replace("&lt;", "<").replace("&gt;", ">").replace("&amp;", "&")


class Wire:
    """A session that keeps what it was to send."""

    def __init__(self) -> None:
        self.sent: list[HttpRequest] = []

    def send(self, request: HttpRequest, deadline: Deadline) -> HttpReply:
        """Say yes."""
        self.sent.append(request)
        return HttpReply(status=200, headers={}, body=b"ok")


@given(message=WORDS, activity_id=st.none() | WORDS, next_step=st.none() | WORDS)
def test_text_says_the_message_and_commands_nothing(
    message: str, activity_id: str | None, next_step: str | None
) -> None:
    """It reads as what was meant, and has no angle bracket of its own; the other fields come as they are."""
    wire: Any = Wire()
    webhook = WebhookAlerts("https://hooks.example/x", session=wire, clock=InMemoryClock(), within=timedelta(seconds=1))
    webhook.send(
        Alert(
            id=1,
            incident="dead_letter:x",
            kind="dead_letter",
            message=message,
            activity_id=activity_id,
            raised_at=datetime(2030, 1, 1, tzinfo=timezone.utc),
            next_step=next_step,
        )
    )
    payload = json.loads(wire.sent[0].body)
    assert not set("<>") & set(payload["text"])
    assert as_shown(payload["text"]) == message
    assert (payload["activity_id"], payload.get("next_step")) == (activity_id, next_step)
