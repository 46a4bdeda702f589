"""Sends alerts as JSON POSTs, in the format that Slack and similar services accept.

The one rule: treat the address like a password. No message contains it. It is never used without encryption, except
within this machine.
"""

from __future__ import annotations

import json
from base64 import b64encode
from datetime import timedelta
from typing import Any
from urllib.parse import SplitResult, unquote, urlsplit

from adapters.http.base_url import checked_base_url
from adapters.http.errors import HttpError
from adapters.http.session import HttpRequest, HttpSession, is_header_value
from engagement_core.model.incident import Alert
from engagement_core.ports.alerts import AlertsUndelivered
from engagement_core.ports.clock import Clock, Deadline

__all__ = ["WebhookAlerts", "checked_webhook_url"]

_WITHIN = timedelta(seconds=5)


def checked_webhook_url(url: str) -> str:
    """`url`, if alerts may be sent there: https, or http to a loopback host. It may contain user and password.

    Raises:
        ValueError: alerts may not be sent there. The message is one sentence and does not repeat the address.
    """
    url = url.strip()
    if not is_header_value(url) or " " in url:
        raise ValueError("must be an address of printable ASCII characters; encode others as %XX")
    try:
        parts = urlsplit(url)
    except ValueError:
        raise ValueError("must be an address such as https://hooks.slack.com/services/...") from None
    checked_base_url(f"{parts.scheme}://{_place(parts)}")
    return url


class WebhookAlerts:
    """Fills `engagement_core.ports.alerts.Alerts`."""

    def __init__(self, url: str, *, session: HttpSession, clock: Clock, within: timedelta = _WITHIN) -> None:
        """
        Args:
            url: where to send the POST.
            session: the connections.
            clock: for the deadline.
            within: how long one delivery may take.

        Raises:
            ValueError: see `checked_webhook_url`.
        """
        parts = urlsplit(checked_webhook_url(url))
        self._url = parts._replace(netloc=_place(parts), fragment="").geturl()
        self._headers = {"Content-Type": "application/json", **_authorization(parts)}
        self._session = session
        self._clock = clock
        self._within = within

    def send(self, alert: Alert) -> None:
        """See the port. Only a 2xx is a delivery; no redirect is followed."""
        body = json.dumps(_payload(alert)).encode()
        request = HttpRequest(method="POST", url=self._url, headers=self._headers, body=body)
        try:
            reply = self._session.send(request, Deadline.after(self._clock, self._within))
        except HttpError as error:
            # Not the error's own text, which may hold the address.
            raise AlertsUndelivered(f"the webhook cannot be reached: {type(error).__name__}") from error
        if not 200 <= reply.status < 300:  # noqa: PLR2004 - HTTP's own boundaries
            raise AlertsUndelivered(f"the webhook answered {reply.status}")


def _payload(alert: Alert) -> dict[str, Any]:
    payload = {
        "text": _as_plain_text(alert.message),
        "kind": alert.kind,
        "incident": alert.incident,
        "activity_id": alert.activity_id,
        "state": alert.state.value,
        "raised_at": alert.raised_at.isoformat(),
    }
    return payload if alert.next_step is None else {**payload, "next_step": alert.next_step}


def _as_plain_text(message: str) -> str:
    """Slack interprets `<!channel>` and `<https://...|text>`. A provider's text must not become one of those."""
    return message.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")


def _place(parts: SplitResult) -> str:
    """Host and port, without user and password."""
    return parts.netloc.rpartition("@")[2]


def _authorization(parts: SplitResult) -> dict[str, str]:
    if parts.username is None:
        return {}
    credentials = f"{unquote(parts.username)}:{unquote(parts.password or '')}"
    return {"Authorization": f"Basic {b64encode(credentials.encode()).decode()}"}
