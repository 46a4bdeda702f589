"""Finds Redis from a URL, and turns its errors into ours.

The one rule: it takes only the address, the credentials and TLS from the URL. No message repeats the URL, because it
may hold a password.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any
from urllib.parse import urlsplit

from redis.connection import parse_url
from redis.exceptions import RedisError

from engagement_core.ports.queue import QueueUnavailable

__all__ = ["RedisEndpoint"]

_PLACE = ("connection_class", "host", "port", "path", "db")
_CREDENTIALS = ("username", "password", "client_name")
_TLS = ("ssl_cert_reqs", "ssl_ca_certs", "ssl_ca_path", "ssl_certfile", "ssl_keyfile", "ssl_check_hostname")
_NO_URL = (
    "REDIS_URL is not a Redis URL: redis://[user:password@]host:port/db, rediss://... or unix:///path; "
    "special characters in the password must be percent-encoded"
)


class RedisEndpoint:
    """One Redis: its address for people, and the options for a connection to it."""

    def __init__(self, url: str) -> None:
        """Takes `redis://`, `rediss://` and `unix://`; does not connect.

        Raises:
            QueueUnavailable: the URL is not usable. The message does not repeat the URL, which may hold a password.
        """
        options = _parsed(url)
        if options is None:
            # Not chained to the parser's error, which quotes the text that it took for a port: maybe a part of the
            # password.
            raise QueueUnavailable(_NO_URL)
        self.address = options.get("path") or f"{options.get('host', 'localhost')}:{options.get('port', 6379)}"
        self.options = {name: options[name] for name in (*_PLACE, *_CREDENTIALS, *_TLS) if name in options}

    @contextmanager
    def errors(self) -> Iterator[None]:
        """Turn every error of Redis, or of the way to it, into `QueueUnavailable`."""
        try:
            yield
        except (RedisError, OSError, UnicodeError, asyncio.TimeoutError) as error:
            raise QueueUnavailable(f"Redis at {self.address}: {type(error).__name__}: {error}") from error


def _parsed(url: str) -> dict[str, Any] | None:
    """The options of the URL, or None if it is no Redis URL.
    A raw `/` or `#` in a password ends the host too early and leaves an `@` behind."""
    try:
        after_host = urlsplit(url)._replace(scheme="", netloc="").geturl()
        if "@" in after_host and not url.startswith("unix://"):
            return None
        options: dict[str, Any] = parse_url(url)  # type: ignore[no-untyped-call]
    except ValueError:
        return None
    return options
