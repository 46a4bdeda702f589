"""Asks whether the provider answers and accepts our key. It does nothing at the provider.

The one rule: it sends one GET, which engages nothing. If the dialect has no question, it asks none and sends no key.
"""

from __future__ import annotations

import ssl
from dataclasses import dataclass
from enum import Enum

from adapters.http.base_url import checked_base_url
from adapters.http.errors import HttpError
from adapters.http.session import HttpRequest, HttpSession, is_header_value
from adapters.unipile.answers import says_no
from engagement_core.ports.clock import Deadline

__all__ = ["Greeting", "PingStatus", "ping"]

_AGENT = {"User-Agent": "pod-engagement", "Accept": "application/json"}
_REFUSES_THE_KEY = frozenset({401, 403})


class PingStatus(Enum):
    """How the provider answered."""

    KEY_TAKEN = "key taken"
    KEY_REFUSED = "key refused"
    KEY_NOT_ASKED = "key not asked"
    """The provider answers, but this dialect cannot ask it about the key."""
    TROUBLED = "troubled"
    """The provider answers, but neither yes nor no."""
    TLS = "tls"
    UNREACHABLE = "unreachable"


@dataclass(frozen=True, kw_only=True, slots=True)
class Greeting:
    """`message` is one sentence without the key."""

    reception: PingStatus
    message: str


def ping(*, base_url: str, version: str, api_key: str, session: HttpSession, deadline: Deadline) -> Greeting:
    """Ask v1 for its first account, and v0 for nothing.
    An address or a key that cannot be used gives a greeting too."""
    asks = version == "v1"
    headers = {**_AGENT, "X-API-KEY": api_key} if asks else _AGENT
    path = "/api/v1/accounts?limit=1" if asks else "/v0"
    try:
        request = HttpRequest(method="GET", url=checked_base_url(base_url) + path, headers=headers)
    except ValueError as error:
        reception = PingStatus.UNREACHABLE if is_header_value(api_key) else PingStatus.KEY_REFUSED
        return Greeting(reception=reception, message=f"The provider was not asked: {error}")
    try:
        reply = session.send(request, deadline)
    except HttpError as error:
        reception = PingStatus.TLS if _is_about_tls(error) else PingStatus.UNREACHABLE
        return Greeting(reception=reception, message=str(error))
    if asks and reply.status < 300 and says_no(reply.body):  # noqa: PLR2004 - HTTP's own boundary
        message = f"The provider answered {reply.status}, but its body is a refusal."
        return Greeting(reception=PingStatus.TROUBLED, message=message)
    return Greeting(reception=_reception(reply.status, asks=asks), message=f"The provider answered {reply.status}.")


def _reception(status: int, *, asks: bool) -> PingStatus:
    if status >= 500:  # noqa: PLR2004 - HTTP's own boundary
        return PingStatus.TROUBLED
    if not asks:
        return PingStatus.KEY_NOT_ASKED
    if status in _REFUSES_THE_KEY:
        return PingStatus.KEY_REFUSED
    return PingStatus.KEY_TAKEN if 200 <= status < 300 else PingStatus.TROUBLED  # noqa: PLR2004 - as above


def _is_about_tls(error: BaseException | None) -> bool:
    while error is not None:
        if isinstance(error, ssl.SSLError):
            return True
        error = error.__cause__ or error.__context__
    return False
