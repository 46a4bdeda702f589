"""The API as the specification describes it: `/v0`, a bearer token, no way to ask what was done.

The one rule: method, path, headers and body are exactly those of the specification.
"""

from __future__ import annotations

from marshmallow import EXCLUDE, Schema, fields

from adapters.http.session import HttpReply, HttpRequest
from adapters.unipile.dialect import Dialect, Reads, json_request, path_segment
from adapters.unipile.fields import instant, provider_id
from adapters.unipile.json_body import loaded
from engagement_core.model.activity import EngagementType
from engagement_core.model.provider import Applied, Engagement

__all__ = ["V0"]


class _DoneSchema(Schema):
    class Meta:
        unknown = EXCLUDE

    # The specification's examples say `comment_id` and `timestamp`; its tables say `engagement_id` and `created_at`.
    comment_id = fields.Function(deserialize=provider_id)
    engagement_id = fields.Function(deserialize=provider_id)
    timestamp = fields.Function(deserialize=instant)
    created_at = fields.Function(deserialize=instant)


_DONE = _DoneSchema()


class V0(Dialect):
    """`POST /v0/posts/{post_id}/like` and `…/comments`; the bearer token is the account's, else the API key."""

    @property
    def reads(self) -> Reads | None:
        """The specification has no reads."""
        return None

    def engage(self, engagement: Engagement, api_key: str) -> HttpRequest:
        """See `Dialect`."""
        token = engagement.account.access_token or api_key
        headers = {"Authorization": f"Bearer {token}"}
        post = f"/v0/posts/{path_segment(engagement.post_id)}"
        if engagement.engagement_type is EngagementType.LIKE:
            return json_request("POST", f"{post}/like", headers)
        return json_request("POST", f"{post}/comments", headers, {"text": engagement.text})

    def applied(self, reply: HttpReply) -> Applied:
        """See `Dialect`."""
        done = loaded(_DONE, reply.body)
        return Applied(
            engagement_id=done.get("comment_id") or done.get("engagement_id"),
            created_at=done.get("timestamp") or done.get("created_at"),
        )
