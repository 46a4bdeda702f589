"""Sends one HTTP request once: no retry, no redirect, no cookie, no proxy or credential from the environment.

The one rule: the caller learns whether the server may have acted. A reply counts as soon as its head has arrived.
Nothing in the body cancels it afterwards.

Requests go directly to the `HTTPAdapter` of requests. What `Session` adds (cookies, redirects, environment) is exactly
what we do not want, and takes two thirds of a call's CPU time.
"""

from __future__ import annotations

import re
import ssl
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from types import TracebackType
from typing import Any, cast

from requests import PreparedRequest, Response
from requests.adapters import DEFAULT_CA_BUNDLE_PATH, HTTPAdapter
from requests.structures import CaseInsensitiveDict
from urllib3.util import create_urllib3_context

from adapters.http.call import Call, CurrentExchange, calling
from adapters.http.connection import POOLS
from adapters.http.errors import CannotConnect, HttpError, NoAnswer
from adapters.http.exchange import Exchange
from adapters.http.head import Head
from engagement_core.ports.clock import Deadline

__all__ = ["HttpReply", "HttpRequest", "HttpSession", "is_header_value"]

_ADDRESS = re.compile(r"(https?://[^/?#]+)(.*)", re.DOTALL)
_MAX_IDLE_CONNECTIONS = 256
"""The limit of idle connections to one host. A worker has one per thread; this only prevents endless growth."""


def is_header_value(value: str) -> bool:
    """Whether `value` can stand in a header unchanged: printable ASCII, so that nothing can be smuggled in."""
    return value.isascii() and value.isprintable()


@dataclass(frozen=True, kw_only=True, slots=True)
class HttpRequest:
    """The request to send. Its repr shows neither headers nor body, because they hold keys and people's words."""

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
    """The reply. `body` is None if it could not be read to its end, is larger than 1 MiB, or cannot be decoded."""

    status: int
    headers: Mapping[str, str]
    body: bytes | None = field(repr=False)


class HttpSession:
    """Keep-alive connections for any number of threads at once.
    At most as many are idle as were ever in use at once."""

    def __init__(self, *, ca_bundle: str = DEFAULT_CA_BUNDLE_PATH) -> None:
        tls = create_urllib3_context()
        tls.load_verify_locations(ca_bundle)
        self._adapter = _OnceAdapter(tls)

    def send(self, request: HttpRequest, deadline: Deadline) -> HttpReply:
        """Send `request` and wait for the reply until `deadline`.

        Raises:
            RequestNotSent: nothing was sent; see its subclasses.
            NoAnswer: the server may have received the request.
        """
        with calling(deadline) as call:
            call.check()
            response: Exchange | None = None
            problem: Exception | None = None
            try:
                response = cast("Exchange", self._adapter.send(_prepare(request), stream=True).raw)
            except HttpError:
                raise
            except Exception as error:  # noqa: BLE001 - judged below: once the head has arrived, the answer counts
                problem = error
            exchange = call.exchange
            if exchange is None or exchange.head is None:
                raise _without_reply(call) from problem
            return _reply(exchange, exchange.head, response)

    def close(self) -> None:
        """Close every idle connection."""
        self._adapter.close()

    def __enter__(self) -> HttpSession:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()


class _OnceAdapter(HTTPAdapter):
    """requests' transport with our connections. By default it makes no retries and follows no redirect.

    What requests would look up again for every request (proxies, certificates, the parts of the address) is known
    once the first request to a host was sent.
    """

    def __init__(self, tls: ssl.SSLContext) -> None:
        self._tls = tls
        self._pools: dict[str, Any] = {}
        super().__init__(pool_maxsize=_MAX_IDLE_CONNECTIONS)

    def init_poolmanager(self, *args: Any, **kwargs: Any) -> None:
        super().init_poolmanager(*args, ssl_context=self._tls, **kwargs)
        self.poolmanager.pool_classes_by_scheme = POOLS

    def get_connection_with_tls_context(self, request: Any, *_args: Any, **_options: Any) -> Any:
        """The pool of the request's host, without a proxy."""
        return self.get_connection(request.url)

    def get_connection(self, url: Any, proxies: Any = None) -> Any:  # noqa: ARG002 - requests before 2.32 calls it
        """The same, by the address."""
        base, _ = _split(url)
        pool = self._pools.get(base)
        if pool is None:
            pool = self._pools[base] = self.poolmanager.connection_from_url(base)
        return pool

    def request_url(self, request: Any, proxies: Any) -> str:  # noqa: ARG002 - requests' signature
        """The target of the request line."""
        return _split(request.url)[1]

    def build_response(self, req: Any, resp: Any) -> Response:  # noqa: ARG002 - requests' signature
        """Adds nothing to the reply: requests would read cookies, encodings and links out of the head."""
        response = Response()
        response.raw = resp
        return response

    def cert_verify(self, conn: Any, url: Any, verify: Any, cert: Any) -> None:
        """The shared context verifies certificates; requests would load its own again for every connection."""

    def close(self) -> None:
        """Close every idle connection."""
        self._pools.clear()
        super().close()


def _split(url: str) -> tuple[str, str]:
    """Scheme and host, and the target of the request line."""
    found = _ADDRESS.match(url)
    if found is None:
        raise ValueError("The address has no scheme or no host.")
    target = found[2].partition("#")[0]
    return found[1], target if target.startswith("/") else f"/{target}"


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


def _reply(exchange: CurrentExchange, head: Head, response: Exchange | None) -> HttpReply:
    """The whole answer. Its connection then waits for the next call, or is closed."""
    body = exchange.read_to_end()
    if response is not None:
        # A problem with the connection is no reason to lose the answer.
        with suppress(Exception):
            response.release_connection()
    return HttpReply(status=head.status, headers=_headers(head), body=body)


def _headers(head: Head) -> Mapping[str, str]:
    headers: CaseInsensitiveDict[str] = CaseInsensitiveDict()
    for name, value in head.fields:
        headers[name] = f"{headers[name]}, {value}" if name in headers else value
    return headers
