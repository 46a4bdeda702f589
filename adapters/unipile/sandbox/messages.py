"""What the sandbox receives, what it understands of it, and what it answers.

The one rule: values only. Other modules act on them.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

__all__ = ["Incoming", "Outgoing", "Read", "Write", "json_answer", "problem"]

Headers = Mapping[str, str]


@dataclass(frozen=True, kw_only=True, slots=True)
class Incoming:
    """One HTTP request.
    Header names are in lower case; `received_at` is when its first line arrived (epoch seconds)."""

    method: str
    path: str
    query: Mapping[str, str]
    headers: Headers
    body: bytes
    received_at: float


@dataclass(frozen=True, kw_only=True, slots=True)
class Outgoing:
    """One HTTP reply."""

    status: int
    body: bytes
    headers: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True, kw_only=True, slots=True)
class Write:
    """A well-formed request to engage. In v0 the `account` is the bearer token, because v0 has no other name for it."""

    dialect: str
    engagement_type: str
    account: str
    post_id: str
    text: str | None


@dataclass(frozen=True, kw_only=True, slots=True)
class Read:
    """A well-formed question (v1): `about` is `comments`, `reactions`, `me`, `accounts` or `health`."""

    about: str
    account: str
    post_id: str = ""
    cursor: int = 0
    limit: int = 10
    dialect: str = "v1"


def json_answer(status: int, body: Any, headers: tuple[tuple[str, str], ...] = ()) -> Outgoing:
    """A reply with a JSON body."""
    return Outgoing(
        status=status, body=json.dumps(body).encode(), headers=(("Content-Type", "application/json"), *headers)
    )


def problem(dialect: str, status: int, word: str, detail: str) -> Outgoing:
    """A refusal, in the dialect's own words."""
    if dialect == "v0":
        return json_answer(status, {"error": word, "message": detail})
    return json_answer(status, {"title": detail, "type": f"errors/{word}", "status": status, "detail": detail})
