"""Decides which addresses a voice may have.

The one rule: the same as for every address that gets a key (`adapters.http.base_url`), but a path may follow.
"""

from __future__ import annotations

from urllib.parse import urlsplit

from adapters.http.base_url import checked_base_url

__all__ = ["checked_voice_url"]


def checked_voice_url(url: str, *, takes_query: bool) -> str:
    """`url` if it may be used: scheme, host, port, path and, if `takes_query`, a query.

    Raises:
        ValueError: the address is not https (nor http to a loopback host), or has other parts. The message is one
            sentence and does not repeat the address, which may contain a password.
    """
    given = url.strip()
    if not given.isascii() or not given.isprintable() or " " in given:
        raise ValueError("must be printable ASCII without blanks; write anything else percent-encoded")
    scheme, netloc, path, query, fragment = urlsplit(given)
    base = checked_base_url(f"{scheme}://{netloc}")
    if fragment or (query and not takes_query):
        raise ValueError("must end with its path" if not takes_query else "must not have a fragment")
    return base + path + (f"?{query}" if query else "")
