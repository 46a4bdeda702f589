"""Why an HTTP call brought no reply.

The one rule: the tree answers a single question, *can the server have acted on it?*

    HttpError
    ├── RequestNotSent      no: not one byte of the request left
    │   ├── TooLateToSend   the deadline passed before the first byte
    │   ├── CannotConnect   DNS, refused, TLS, connect timeout
    │   └── BreakerOpen     the host has failed too often; we did not try
    └── NoAnswer            perhaps: bytes left, and no complete head of a reply came back

Messages are one sentence and never contain a header or a body.
"""

from __future__ import annotations

from datetime import timedelta

__all__ = ["BreakerOpen", "CannotConnect", "HttpError", "NoAnswer", "RequestNotSent", "TooLateToSend"]


class HttpError(Exception):
    """No reply. The subclass says whether the server may have seen the request."""


class RequestNotSent(HttpError):
    """Not one byte of the request left."""


class TooLateToSend(RequestNotSent):
    """The deadline passed before the first byte could be written."""


class CannotConnect(RequestNotSent):
    """No connection to the server could be made."""


class BreakerOpen(RequestNotSent):
    """The host's breaker allows no call for the next `retry_in`."""

    def __init__(self, message: str, retry_in: timedelta) -> None:
        super().__init__(message)
        self.retry_in = retry_in


class NoAnswer(HttpError):
    """The request, or a part of it, may have reached the server."""
