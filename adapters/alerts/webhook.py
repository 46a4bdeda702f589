"""Alerts as JSON POSTs, in the shape that Slack and those like it take.

The one rule: an address can be a secret. It is in no message, and it is not used without encryption except within this
machine.
"""

from __future__ import annotations

import json
from datetime import timedelta
from urllib.parse import urlsplit

from adapters.http.base_url import checked_base_url
from adapters.http.errors import HttpError
from adapters.http.session import HttpRequest, HttpSession
from engagement_core.ports.alerts import Alert, AlertsUndelivered
from engagement_core.ports.clock import Clock, Deadline

__all__ = ["WebhookAlerts"]

_WITHIN = timedelta(seconds=5)


class WebhookAlerts:
    """Fills `engagement_core.ports.alerts.Alerts`."""

    def __init__(self, url: str, *, session: HttpSession, clock: Clock) -> None:
        """
        Raises:
            ValueError: the address is not https (nor http to a loopback host). The message does not repeat it.
        """
        parts = urlsplit(url)
        checked_base_url(f"{parts.scheme}://{parts.netloc}")
        self._url = url
        self._session = session
        self._clock = clock

    def send(self, alert: Alert) -> None:
        """See the port. Takes five seconds at most."""
        body = {
            "text": alert.message,
            "kind": alert.kind,
            "activity_id": alert.activity_id,
            "raised_at": alert.raised_at.isoformat(),
        }
        request = HttpRequest(
            method="POST",
            url=self._url,
            headers={"Content-Type": "application/json"},
            body=json.dumps(body).encode(),
        )
        try:
            reply = self._session.send(request, Deadline.after(self._clock, _WITHIN))
        except HttpError as error:
            raise AlertsUndelivered(f"the webhook cannot be reached: {type(error).__name__}") from error
        if not 200 <= reply.status < 300:  # noqa: PLR2004 - HTTP's own boundaries
            raise AlertsUndelivered(f"the webhook answered {reply.status}")
