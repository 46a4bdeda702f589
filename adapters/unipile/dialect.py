"""What one generation of the provider's API must be able to do, and the helpers that all generations share.

The one rule: a dialect builds requests and parses answers. It sends nothing and decides nothing.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Protocol
from urllib.parse import quote, urlencode

from adapters.http.session import HttpReply, HttpRequest, is_header_value
from engagement_core.model.activity import Account
from engagement_core.model.provider import Applied, Engagement, Found

__all__ = ["Dialect", "OwnPage", "Reads", "Unsendable", "can_be_sent", "json_request", "path_segment", "query"]


class Unsendable(Exception):
    """No request can be made of this engagement. The message says why, and holds no secret."""


@dataclass(frozen=True, kw_only=True, slots=True)
class OwnPage:
    """One page of a post's comments or reactions, reduced to our own.
    `cursor` leads to the next page, if there is one."""

    own: tuple[Found, ...]
    cursor: str | None


class Reads(Protocol):
    """The questions that can be asked.
    The builders raise `Unsendable`; the parsers return None for what they cannot read."""

    def who_am_i(self, account: Account, api_key: str) -> HttpRequest:
        """Ask for the account's own id at LinkedIn."""
        ...

    def member_id(self, reply: HttpReply) -> str | None:
        """The id in the answer to `who_am_i`."""
        ...

    def page(self, engagement: Engagement, cursor: str | None, api_key: str) -> HttpRequest:
        """Ask for the post's engagements of this type, from `cursor` on."""
        ...

    def own_page(self, engagement: Engagement, member_id: str, reply: HttpReply) -> OwnPage | None:
        """What `member_id` did, from the answer to `page`."""
        ...

    def health(self, account: Account, api_key: str) -> HttpRequest:
        """Ask for the state of the account's connection to LinkedIn."""
        ...

    def health_words(self, reply: HttpReply) -> tuple[str, ...] | None:
        """The provider's words for this state, one for each of the account's sources."""
        ...


class Dialect(Protocol):
    """One generation of the API. Its requests name a path; the gateway puts the base address before it."""

    @property
    def reads(self) -> Reads | None:
        """How to ask the provider what it did; None if it cannot be asked."""
        ...

    def engage(self, engagement: Engagement, api_key: str) -> HttpRequest:
        """The one write.

        Raises:
            Unsendable: the engagement or its account cannot be put into a request.
        """
        ...

    def applied(self, reply: HttpReply) -> Applied:
        """What a 2xx reply says. This may be only that the engagement was done."""
        ...


def can_be_sent(text: str) -> bool:
    """Whether `text` consists of whole characters: half a surrogate pair has no bytes."""
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True


def path_segment(text: str) -> str:
    """`text` as exactly one segment of a path, whatever it contains.

    Raises:
        Unsendable: it is empty, `.` or `..` (servers take those for a step in the path), or has half a character.
    """
    _require_whole(text)
    if text in {"", ".", ".."}:
        raise Unsendable(f"{text!r} cannot be the id of a post or an account.")
    return quote(text, safe="")


def query(fields: Mapping[str, str | int]) -> str:
    """`fields` as the query part of a URL, after the question mark.

    Raises:
        Unsendable: a field has half a character.
    """
    for value in fields.values():
        _require_whole(value)
    return urlencode(fields)


def json_request(
    method: str, path: str, headers: Mapping[str, str], body: Mapping[str, object] | None = None
) -> HttpRequest:
    """A JSON request.

    Raises:
        Unsendable: a header's value is not allowed in a header, or a value of the body has half a character.
    """
    for name, value in headers.items():
        if not is_header_value(value):
            raise Unsendable(f"The credential for the header {name} is not printable ASCII.")
    sent = {"User-Agent": "pod-engagement", "Accept": "application/json", **headers}
    if body is None:
        return HttpRequest(method=method, url=path, headers=sent)
    for part in body.values():
        _require_whole(part)
    sent["Content-Type"] = "application/json"
    return HttpRequest(method=method, url=path, headers=sent, body=json.dumps(body).encode())


def _require_whole(value: object) -> None:
    if isinstance(value, str) and not can_be_sent(value):
        raise Unsendable("An id or the text contains half a character (a lone surrogate), which cannot be sent.")
