"""The provider's real API: `/api/v1`, an API key, and reads that show what was done.

The one rule: a read that cannot be understood in full counts as not understood, because the caller may conclude from it
that an engagement is absent.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from marshmallow import EXCLUDE, Schema, fields

from adapters.http.session import HttpReply, HttpRequest
from adapters.unipile.dialect import (
    Dialect,
    OwnPage,
    Reads,
    Unsendable,
    can_be_sent,
    json_request,
    path_segment,
    query,
)
from adapters.unipile.fields import exact_instant_or_none, provider_id
from adapters.unipile.json_body import loaded, strictly_loaded
from adapters.unipile.plain import plain
from engagement_core.model.activity import Account, EngagementType
from engagement_core.model.provider import Applied, Engagement, Found

__all__ = ["V1"]

_ROOT = "/api/v1"
_PAGE_SIZE = 100


class _Lenient(Schema):
    class Meta:
        unknown = EXCLUDE


class _SentSchema(_Lenient):
    comment_id = fields.Function(deserialize=provider_id)


class _MeSchema(_Lenient):
    provider_id = fields.Function(deserialize=provider_id, required=True)


class _MemberSchema(_Lenient):
    id = fields.Function(deserialize=provider_id, required=True)


class _CommentSchema(_Lenient):
    id = fields.Function(deserialize=provider_id, required=True)
    author = fields.Nested(_MemberSchema, data_key="author_details", required=True)
    text = fields.String(load_default=None, allow_none=True)
    # May be something like "2d", or have no zone. Then there is no time to compare.
    date = fields.Function(deserialize=exact_instant_or_none, load_default=None, allow_none=True)


class _ReactionSchema(_Lenient):
    value = fields.String(required=True)
    author = fields.Nested(_MemberSchema, required=True)


class _PageSchema(_Lenient):
    # A cursor that cannot be sent back leads to no next page.
    cursor = fields.String(load_default=None, allow_none=True, validate=can_be_sent)


class _CommentsSchema(_PageSchema):
    items = fields.List(fields.Nested(_CommentSchema), required=True)


class _ReactionsSchema(_PageSchema):
    items = fields.List(fields.Nested(_ReactionSchema), required=True)


class _SourceSchema(_Lenient):
    status = fields.String(required=True)


class _HealthSchema(_Lenient):
    sources = fields.List(fields.Nested(_SourceSchema), required=True)


_SENT, _ME, _COMMENTS, _REACTIONS, _HEALTH = (
    _SentSchema(),
    _MeSchema(),
    _CommentsSchema(),
    _ReactionsSchema(),
    _HealthSchema(),
)


class V1(Dialect):
    """`POST /api/v1/posts/reaction` and `…/posts/{post_id}/comments`, in the name of `provider_account_id`."""

    @property
    def reads(self) -> Reads | None:
        """v1 can be asked."""
        return _V1Reads()

    def engage(self, engagement: Engagement, api_key: str) -> HttpRequest:
        """See `Dialect`. Double braces are refused: the provider would turn them into mentions."""
        account_id = _account_id(engagement.account)
        if engagement.engagement_type is EngagementType.LIKE:
            path_segment(engagement.post_id)
            body = {"account_id": account_id, "post_id": engagement.post_id, "reaction_type": "like"}
            return json_request("POST", f"{_ROOT}/posts/reaction", _headers(api_key), body)
        text = engagement.text or ""
        if "{{" in text or "}}" in text:
            raise Unsendable("The comment contains double braces, which the provider takes for a mention.")
        path = f"{_ROOT}/posts/{path_segment(engagement.post_id)}/comments"
        return json_request("POST", path, _headers(api_key), {"account_id": account_id, "text": text})

    def applied(self, reply: HttpReply) -> Applied:
        """See `Dialect`. v1 gives no time, and no id for a like."""
        return Applied(engagement_id=loaded(_SENT, reply.body).get("comment_id"), created_at=None)


class _V1Reads(Reads):
    def who_am_i(self, account: Account, api_key: str) -> HttpRequest:
        asked = query({"account_id": _account_id(account)})
        return json_request("GET", f"{_ROOT}/users/me?{asked}", _headers(api_key))

    def member_id(self, reply: HttpReply) -> str | None:
        me = strictly_loaded(_ME, reply.body)
        return None if me is None else str(me["provider_id"])

    def page(self, engagement: Engagement, cursor: str | None, api_key: str) -> HttpRequest:
        asked: dict[str, str | int] = {"account_id": _account_id(engagement.account), "limit": _PAGE_SIZE}
        if cursor is not None:
            asked["cursor"] = cursor
        listing = "reactions"
        if engagement.engagement_type is EngagementType.COMMENT:
            listing, asked["sort_by"] = "comments", "MOST_RECENT"
        path = f"{_ROOT}/posts/{path_segment(engagement.post_id)}/{listing}"
        return json_request("GET", f"{path}?{query(asked)}", _headers(api_key))

    def own_page(self, engagement: Engagement, member_id: str, reply: HttpReply) -> OwnPage | None:
        is_comment = engagement.engagement_type is EngagementType.COMMENT
        page = strictly_loaded(_COMMENTS if is_comment else _REACTIONS, reply.body)
        if page is None:
            return None
        own = [item for item in page["items"] if item["author"]["id"] == member_id]
        found = _comments(own) if is_comment else _likes(own)
        return OwnPage(own=found, cursor=page["cursor"] or None)

    def health(self, account: Account, api_key: str) -> HttpRequest:
        return json_request("GET", f"{_ROOT}/accounts/{path_segment(_account_id(account))}", _headers(api_key))

    def health_words(self, reply: HttpReply) -> tuple[str, ...] | None:
        health = strictly_loaded(_HEALTH, reply.body)
        return None if health is None else tuple(plain(source["status"], limit=40) for source in health["sources"])


def _comments(items: Sequence[Mapping[str, Any]]) -> tuple[Found, ...]:
    return tuple(Found(engagement_id=item["id"], text=item["text"], created_at=item["date"]) for item in items)


def _likes(items: Sequence[Mapping[str, Any]]) -> tuple[Found, ...]:
    likes = [item for item in items if item["value"].upper() == "LIKE"]
    return tuple(Found(engagement_id=None, text=None, created_at=None) for _ in likes)


def _account_id(account: Account) -> str:
    if not account.provider_account_id:
        raise Unsendable("The account has no provider account id (linkedin_accounts.unipile_account_id).")
    return account.provider_account_id


def _headers(api_key: str) -> Mapping[str, str]:
    return {"X-API-KEY": api_key}
