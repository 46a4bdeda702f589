"""Decides which base addresses we may talk to.

The one rule: a key or token never travels unencrypted, except within this machine.
"""

from __future__ import annotations

import ipaddress
from urllib.parse import SplitResult, urlsplit

__all__ = ["checked_base_url"]


def checked_base_url(url: str) -> str:
    """`url` as `scheme://host[:port]`, without a trailing slash.

    Raises:
        ValueError: the address is not https (nor http to a loopback host), or has more than scheme, host and port. The
            message is one sentence and does not repeat the address, which may contain a password.
    """
    parts = _split(url.strip())
    if parts is None or parts.scheme not in {"http", "https"} or not _has_good_host(parts):
        raise ValueError("must be an address such as https://host:port")
    if parts.username is not None or parts.path.strip("/") or parts.query or parts.fragment:
        raise ValueError("must consist of scheme, host and port alone")
    if parts.scheme == "http" and not _is_loopback(parts.hostname or ""):
        raise ValueError("must be https: only a loopback host may be reached without encryption")
    return f"{parts.scheme}://{parts.netloc}"


def _split(url: str) -> SplitResult | None:
    try:
        return urlsplit(url)
    except ValueError:
        return None


def _has_good_host(parts: SplitResult) -> bool:
    try:
        port = parts.port
    except ValueError:
        return False
    printable = parts.netloc.isascii() and parts.netloc.isprintable() and " " not in parts.netloc
    return bool(parts.hostname) and printable and port != 0


def _is_loopback(host: str) -> bool:
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False
