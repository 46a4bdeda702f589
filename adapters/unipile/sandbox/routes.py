"""Decides which requests the provider understands, and how it refuses the others.

The one rule: nothing happens here. A refused request has no effect, and refusing it needs no fault.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any
from urllib.parse import unquote

from adapters.unipile.sandbox.messages import Incoming, Outgoing, Read, Write, problem

__all__ = ["understand"]

_MAX_TEXT = 1250
_MAX_PAGE = 100

Understood = Write | Read | Outgoing


def understand(request: Incoming) -> Understood:
    """What the request asks for, or the refusal."""
    root, _, rest = request.path.lstrip("/").partition("/")
    if root == "v0":
        return _v0(request, rest.split("/"))
    if root == "api" and rest.startswith("v1/"):
        return _v1(request, rest.removeprefix("v1/").split("/"))
    return problem("v1", 404, "resource_not_found", "There is no such path")


def _v0(request: Incoming, segments: list[str]) -> Understood:
    kind, _, token = request.headers.get("authorization", "").partition(" ")
    if kind != "Bearer" or not token:
        return problem("v0", 401, "invalid_token", "The bearer token is missing")
    match (request.method, *segments):
        case ("POST", "posts", post, "like"):
            return Write(dialect="v0", engagement_type="like", account=token, post_id=unquote(post), text=None)
        case ("POST", "posts", post, "comments"):
            text = _json_object(request).get("text")
            return _text_problem("v0", text) or Write(
                dialect="v0", engagement_type="comment", account=token, post_id=unquote(post), text=text
            )
    return problem("v0", 404, "not_found", "There is no such path")


def _v1(request: Incoming, segments: list[str]) -> Understood:
    if not request.headers.get("x-api-key"):
        return problem("v1", 401, "missing_credentials", "The header X-API-KEY is missing")
    if request.method == "POST":
        return _v1_write(segments, _json_object(request))
    if request.method == "GET":
        return _v1_read(segments, request.query)
    return problem("v1", 404, "resource_not_found", "There is no such path")


def _v1_write(segments: list[str], body: Mapping[str, Any]) -> Understood:
    account, text = body.get("account_id"), body.get("text")
    if not isinstance(account, str) or not account:
        return problem("v1", 400, "invalid_parameters", "account_id is missing, or the body is not JSON")
    match segments:
        case ["posts", "reaction"]:
            post_id = body.get("post_id")
            if not isinstance(post_id, str) or not post_id or body.get("reaction_type") != "like":
                return problem("v1", 400, "invalid_parameters", "post_id or reaction_type is missing")
            return Write(dialect="v1", engagement_type="like", account=account, post_id=post_id, text=None)
        case ["posts", post, "comments"]:
            return _text_problem("v1", text) or Write(
                dialect="v1", engagement_type="comment", account=account, post_id=unquote(post), text=text
            )
    return problem("v1", 404, "resource_not_found", "There is no such path")


def _v1_read(segments: list[str], query: Mapping[str, str]) -> Understood:
    match segments:
        case ["accounts"]:
            return Read(about="accounts", account="")
        case ["accounts", account]:
            return Read(about="health", account=unquote(account))
    account_id = query.get("account_id")
    if not account_id:
        return problem("v1", 400, "invalid_parameters", "account_id is missing")
    match segments:
        case ["users", "me"]:
            return Read(about="me", account=account_id)
        case ["posts", post, "comments" | "reactions" as about]:
            return _page(about, account_id, unquote(post), query)
    return problem("v1", 404, "resource_not_found", "There is no such path")


def _page(about: str, account: str, post_id: str, query: Mapping[str, str]) -> Understood:
    limit, cursor = query.get("limit", "10"), query.get("cursor", "after-0").removeprefix("after-")
    if not limit.isdecimal() or not 1 <= int(limit) <= _MAX_PAGE or not cursor.isdecimal():
        return problem("v1", 400, "invalid_parameters", "limit or cursor is not valid")
    return Read(about=about, account=account, post_id=post_id, cursor=int(cursor), limit=int(limit))


def _text_problem(dialect: str, text: object) -> Outgoing | None:
    if not isinstance(text, str) or not text.strip():
        return problem(dialect, 400, "invalid_parameters", "text is missing or empty, or the body is not JSON")
    if len(text) > _MAX_TEXT:
        return problem(dialect, 400, "too_many_characters", f"text is longer than {_MAX_TEXT} characters")
    return None


def _json_object(request: Incoming) -> Mapping[str, Any]:
    try:
        body = json.loads(request.body or b"{}")
    except (ValueError, RecursionError):
        return {}
    return body if isinstance(body, dict) else {}
