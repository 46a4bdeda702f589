"""Sends one HTTP request, once: no retry, no redirect, no cookie, no proxy or credential from the environment.

The one rule: the caller learns whether the server may have acted. A reply is a reply as soon as its head is there;
what the body does afterwards cannot unmake it.

Requests are handed straight to requests' `HTTPAdapter`: what `Session` adds on top (cookies, redirects, environment) is
exactly what is not wanted here, and two thirds of the CPU time of a call.
"""

from __future__ import annotations

import ssl
import threading
from collections.abc import Mapping
from dataclasses import dataclass, field
from types import TracebackType
from typing import Any

from requests import PreparedRequest, Response
from requests.adapters import DEFAULT_CA_BUNDLE_PATH, HTTPAdapter
from requests.structures import CaseInsensitiveDict
from urllib3.util import create_urllib3_context

from adapters.http.call import Call, calling
from adapters.http.connection import POOLS
from adapters.http.errors import CannotConnect, HttpError, NoAnswer
from engagement_core.ports.clock import Deadline

__all__ = ["HttpReply", "HttpRequest", "HttpSession", "is_header_value"]

_MAX_BODY_BYTES = 1024 * 1024


def is_header_value(value: str) -> bool:
    """Whether `value` can stand in a header as it is: printable ASCII, so that nothing can be smuggled in."""
    return value.isascii() and value.isprintable()


@dataclass(frozen=True, kw_only=True, slots=True)
class HttpRequest:
    """What is to be sent. Headers and body stay out of its repr, because keys and people's words are in them."""

    method: str
    url: str
    headers: Mapping[str, str] = field(default_factory=dict, repr=False)
    body: bytes | None = field(default=None, repr=False)

    def __post_init__(self) -> None:
        for name, value in self.headers.items():
            if not is_header_value(value):
                raise ValueError(f"The value of the header {name} is not printable ASCII.")


@dataclass(frozen=True, kw_only=True, slots=True)
class HttpReply:
    """What came back. `body` is None if it could not be read to its end or is larger than 1 MiB."""

    status: int
    headers: Mapping[str, str]
    body: bytes | None = field(repr=False)


class HttpSession:
    """Keep-alive connections, one set for each thread that calls; usable by any number of threads at once."""

    def __init__(self, *, ca_bundle: str = DEFAULT_CA_BUNDLE_PATH) -> None:
        self._tls = create_urllib3_context()
        self._tls.load_verify_locations(ca_bundle)
        self._this_thread = threading.local()
        self._lock = threading.Lock()
        self._adapters: list[_OnceAdapter] = []

    def send(self, request: HttpRequest, deadline: Deadline) -> HttpReply:
        """Send `request` and wait for the reply until `deadline`.

        Raises:
            RequestNotSent: nothing left; see its subclasses.
            NoAnswer: it may have been received.
        """
        prepared = _prepare(request)
        adapter = self._adapter()
        with calling(deadline) as call:
            call.check()
            try:
                response = adapter.send(prepared, stream=True)
            except HttpError:
                raise
            except Exception as error:
                raise _without_reply(call) from error
            return HttpReply(status=response.status_code, headers=response.headers, body=_body(response))

    def close(self) -> None:
        """Close every idle connection of every thread."""
        with self._lock:
            for adapter in self._adapters:
                adapter.close()

    def __enter__(self) -> HttpSession:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()

    def _adapter(self) -> _OnceAdapter:
        adapter: _OnceAdapter | None = getattr(self._this_thread, "adapter", None)
        if adapter is None:
            adapter = self._this_thread.adapter = _OnceAdapter(self._tls)
            with self._lock:
                self._adapters.append(adapter)
        return adapter


class _OnceAdapter(HTTPAdapter):
    """requests' transport with our connections; its own default is no retries, and it follows no redirect."""

    def __init__(self, tls: ssl.SSLContext) -> None:
        self._tls = tls
        super().__init__(pool_maxsize=1)

    def init_poolmanager(self, *args: Any, **kwargs: Any) -> None:
        super().init_poolmanager(*args, ssl_context=self._tls, **kwargs)
        self.poolmanager.pool_classes_by_scheme = POOLS

    def cert_verify(self, conn: Any, url: Any, verify: Any, cert: Any) -> None:
        """The shared context verifies; requests would load its certificates again for every connection."""


def _prepare(request: HttpRequest) -> PreparedRequest:
    prepared = PreparedRequest()
    prepared.method = request.method
    prepared.url = request.url
    prepared.headers = CaseInsensitiveDict(request.headers)
    prepared.body = request.body
    if request.body is not None:
        prepared.headers["Content-Length"] = str(len(request.body))
    return prepared


def _without_reply(call: Call) -> HttpError:
    if not call.began:
        return CannotConnect("The request could not be sent.")
    if call.deadline.remaining() <= 0:
        return NoAnswer("No answer came before the deadline.")
    return NoAnswer("The connection broke before an answer came.")


def _body(response: Response) -> bytes | None:
    try:
        body: bytes = response.raw.read(_MAX_BODY_BYTES + 1, decode_content=True)
    except Exception:  # noqa: BLE001 - the head has been read: nothing that the body does may raise
        response.close()
        return None
    if len(body) > _MAX_BODY_BYTES:
        response.close()
        return None
    return body
