"""What the provider answers when nothing goes wrong.

The one rule: if it is told to, its reads are as difficult as the real ones: late, in pages, and with changed text.
"""

from __future__ import annotations

import time
from dataclasses import dataclass
from datetime import datetime, timezone
from html import escape
from typing import Any

from adapters.unipile.sandbox.ledger import Effect, Ledger
from adapters.unipile.sandbox.messages import Outgoing, Read, json_answer

__all__ = ["ReadHabits", "answer_read", "answer_write", "member_id"]


@dataclass(frozen=True, kw_only=True, slots=True)
class ReadHabits:
    """How v1 reads differ from what was written. `visibility_lag` is in seconds; a page holds at most `page_size`."""

    visibility_lag: float = 0.0
    page_size: int = 100
    change_entities: bool = False
    trim_text: bool = False


def member_id(account: str) -> str:
    """The LinkedIn id that the sandbox gives to the member behind an account."""
    return f"ACoAA-{account}"


def answer_write(effect: Effect) -> Outgoing:
    """The success answer of the effect's dialect."""
    is_like = effect.engagement_type == "like"
    if effect.dialect == "v0":
        done: dict[str, Any] = {"success": True, "timestamp": _iso(effect.at)}
        return json_answer(200, done if is_like else {**done, "comment_id": effect.engagement_id})
    if is_like:
        return json_answer(201, {"object": "ReactionAdded"})
    return json_answer(201, {"object": "CommentSent", "comment_id": effect.engagement_id})


def answer_read(read: Read, ledger: Ledger, habits: ReadHabits, cursor: str | None = None) -> Outgoing:
    """The answer to a v1 question. `cursor` replaces the page's own cursor."""
    if read.about == "me":
        return json_answer(200, {"object": "AccountOwnerProfile", "provider_id": member_id(read.account)})
    if read.about == "accounts":
        # The sandbox accepts every key and knows every account, so a list of accounts would have no end.
        return json_answer(200, {"object": "AccountList", "items": [], "cursor": None})
    if read.about == "health":
        source = {"id": f"{read.account}_MESSAGING", "status": "OK"}
        return json_answer(200, {"object": "Account", "id": read.account, "type": "LINKEDIN", "sources": [source]})
    engagement_type = "comment" if read.about == "comments" else "like"
    visible = ledger.on_post(engagement_type, read.post_id, time.time() - habits.visibility_lag)
    size = min(read.limit, habits.page_size)
    page = visible[read.cursor : read.cursor + size]
    more = read.cursor + size < len(visible)
    items = [_comment(effect, habits) if engagement_type == "comment" else _reaction(effect) for effect in page]
    if cursor is None and more:
        cursor = f"after-{read.cursor + size}"
    return json_answer(200, {"object": "List", "items": items, "cursor": cursor})


def _comment(effect: Effect, habits: ReadHabits) -> dict[str, Any]:
    text = effect.text or ""
    if habits.trim_text:
        text = text.strip()
    if habits.change_entities:
        text = escape(text, quote=False)
    return {
        "object": "Comment",
        "id": effect.engagement_id,
        "author": f"Member {effect.account}",
        "author_details": {"id": member_id(effect.account), "is_company": False},
        "date": _iso(int(effect.at)),
        "text": text,
    }


def _reaction(effect: Effect) -> dict[str, Any]:
    return {"object": "PostReaction", "value": "LIKE", "author": {"id": member_id(effect.account)}}


def _iso(at: float) -> str:
    return datetime.fromtimestamp(at, tz=timezone.utc).isoformat(timespec="milliseconds").replace("+00:00", "Z")
