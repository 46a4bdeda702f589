"""What the answers say, in the two dialects (v1 and v2). Nothing here decides anything; it only gives shapes."""

from __future__ import annotations

import json
import random
from dataclasses import dataclass
from typing import Any

from .state import Account, Item, Page, Person, Post, World, iso_date, iso_date_ms
from .wire import Answer

Json = dict[str, Any]

# The account condition -> (what calls on it are answered with, the v1 health word, the v2 health word).
HEALTH = {
    "ok": ("OK", "running"),
    "stopped": ("STOPPED", "paused"),
    "disconnected": ("CREDENTIALS", "disconnected"),
    "expired_credentials": ("CREDENTIALS", "disconnected"),
    "checkpoint": ("PERMISSIONS", "disconnected"),
    "restricted": ("ERROR", "errored"),
    "action_required": ("PERMISSIONS", "errored"),
    "feature_not_subscribed": ("OK", "running"),
}


@dataclass(frozen=True)
class Refusal:
    """An error answer before it is put into a dialect. `family` is the first part of the type in v2."""

    status: int
    word: str
    title: str
    detail: str = ""
    family: str = "provider"


MISSING_KEY = Refusal(401, "missing_credentials", "Missing or wrong API key", family="api")
BAD_PARAMETERS = Refusal(400, "invalid_parameters", "Invalid parameters", family="api")
NO_SUCH_ACCOUNT = Refusal(404, "resource_not_found", "Account not found", "No account has this id.", "api")
NO_SUCH_POST = Refusal(404, "resource_not_found", "Resource not found", "The post is gone or hidden.")
UNSUPPORTED_MEDIA = Refusal(415, "unsupported_media_type", "Unsupported media type", family="api")

ACCOUNT_REFUSALS = {
    "stopped": Refusal(401, "disconnected_account", "Disconnected account", "The account is stopped."),
    "disconnected": Refusal(401, "disconnected_account", "Disconnected account", "Reconnect the account."),
    "expired_credentials": Refusal(401, "expired_credentials", "Expired credentials", "Sign in again."),
    "checkpoint": Refusal(401, "checkpoint_error", "Checkpoint", "LinkedIn asks for a checkpoint."),
    "restricted": Refusal(403, "account_restricted", "Account restricted", "LinkedIn restricts this account."),
    "action_required": Refusal(403, "action_required", "Action required", "The owner must complete a login."),
    "feature_not_subscribed": Refusal(403, "feature_not_subscribed", "Feature not subscribed"),
}
POST_REFUSALS = {
    "gone": NO_SUCH_POST,
    "gone_410": Refusal(410, "resource_not_found", "Gone"),
    "invalid": Refusal(422, "invalid_post", "Invalid post", "The post cannot be acted on."),
}
COMMENTS_DISABLED = Refusal(403, "comments_disabled", "Comments disabled", "The post takes no comments.")


class V1:
    """The shapes of /api/v1."""

    name = "v1"

    def __init__(self, world: World, rng: random.Random) -> None:
        self._world = world
        self._rng = rng

    # -- writes ------------------------------------------------------------------------------------------------

    def reaction_done(self, item: Item) -> Answer:
        """The answer to a reaction that was set: no id in it."""
        return self._json(201, {"object": "ReactionAdded"})

    def comment_done(self, item: Item) -> Answer:
        """The answer to a comment: sometimes without the id, which the page says is optional."""
        body: Json = {"object": "CommentSent"}
        if self._rng.random() < 0.7:
            body["comment_id"] = item.item_id
        return self._json(201, body)

    def error(self, refusal: Refusal) -> Answer:
        """An error body as documented."""
        return self._json(refusal.status, self.error_body(refusal))

    def error_body(self, refusal: Refusal) -> Json:
        """The JSON of an error."""
        body: Json = {"title": refusal.title, "type": f"errors/{refusal.word}", "status": refusal.status}
        if refusal.detail or self._rng.random() < 0.3:
            body["detail"] = refusal.detail or refusal.title
        return body

    # -- reads -------------------------------------------------------------------------------------------------

    def page(self, page: Page, account: Account, name: str) -> Answer:
        """One page of a list; `name` is comments, reactions, own_comments or own_reactions."""
        return self._json(200, self.page_body(page, account, name))

    def page_body(self, page: Page, account: Account, name: str) -> Json:
        """The JSON of a page. The items are under `items`, the cursor under `cursor` (null at the end)."""
        comments = name.endswith("comments")
        return {
            "object": "CommentList" if comments else "PostReactionList",
            "items": [self._comment(item) if comments else self._reaction(item) for item in page.items],
            "cursor": page.cursor or None,
            "total_items": page.total,
            "paging": {"page_count": len(page.items)},
        }

    def _comment(self, item: Item) -> Json:
        return self._more(
            {
                "object": "Comment",
                "id": item.item_id,
                "post_id": item.social_id.rpartition(":")[2],
                "post_urn": item.social_id,
                "date": iso_date(self._world.clock(item.created_at), int(item.item_id[-1])),
                "author": item.author.name,
                "author_details": self._person(item.author),
                "text": item.text,
                "reaction_counter": self._rng.randrange(4),
                "reply_counter": 0,
            }
        )

    def _reaction(self, item: Item) -> Json:
        return self._more(
            {
                "object": "PostReaction",
                "value": item.value,
                "author": self._person(item.author),
                "post_urn": item.social_id,
            }
        )

    def _person(self, person: Person) -> Json:
        return self._more(
            {
                "object": "CommentAuthor",
                "id": person.member_id,
                "type": "COMPANY" if person.is_company else "INDIVIDUAL",
                "is_company": person.is_company,
                "name": person.name,
                "headline": person.headline,
                "profile_url": f"https://www.linkedin.com/in/{person.member_id}",
                "network_distance": self._rng.choice(("DISTANCE_1", "DISTANCE_2", "OUT_OF_NETWORK")),
            }
        )

    def me(self, account: Account) -> Answer:
        """Who am I."""
        first, _, last = account.member.name.partition(" ")
        return self._json(
            200,
            {
                "object": "AccountOwnerProfile",
                "provider": "LINKEDIN",
                "provider_id": account.member.member_id,
                "entity_urn": f"urn:li:fsd_profile:{account.member.member_id}",
                "first_name": first,
                "last_name": last,
                "public_identifier": f"member-{account.member.member_id[-6:].lower()}",
                "premium": False,
            },
        )

    def account(self, account: Account) -> Answer:
        """The health of an account."""
        return self._json(200, self._account(account))

    def accounts(self, accounts: list[Account]) -> Answer:
        """All accounts, on one page."""
        return self._json(200, {"object": "AccountList", "items": [self._account(a) for a in accounts], "cursor": None})

    def _account(self, account: Account) -> Json:
        return self._more(
            {
                "object": "Account",
                "id": account.account_id,
                "type": "LINKEDIN",
                "name": account.member.name,
                "created_at": iso_date(self._world.clock() - 86_400, 0),
                "groups": [],
                "connection_params": {"im": {"id": account.member.member_id, "username": account.member.name}},
                "sources": [{"id": f"{account.account_id}_MESSAGING", "status": HEALTH[account.condition][0]}],
            }
        )

    def post(self, post: Post) -> Answer:
        """A post; `social_id` is the key of "the same post"."""
        return self._json(
            200,
            {
                "object": "Post",
                "provider": "LINKEDIN",
                "social_id": post.social_id,
                "id": post.social_id.rpartition(":")[2],
                "share_url": f"https://www.linkedin.com/feed/update/{post.social_id}",
                "date": "2d",
                "parsed_datetime": iso_date(self._world.clock(post.created_at), 0),
                "text": "We are hiring.",
                "comment_counter": self._world.count(post, "comment"),
                "author": self._person(post.author),
                "reaction_counter": self._world.count(post, "reaction"),
                "is_repost": False,
                "permissions": {"can_react": True, "can_post_comments": post.condition != "comments_disabled"},
            },
        )

    def hosted_link(self) -> Answer:
        """A link with which the account's owner signs in again."""
        token = "".join(self._rng.choices("abcdef0123456789", k=24))
        return self._json(201, {"object": "HostedAuthUrl", "url": f"https://account.unipile.com/{token}"})

    # -- inside ------------------------------------------------------------------------------------------------

    def _json(self, status: int, body: Json) -> Answer:
        return json_answer(status, self._more(body), self._rng)

    def _more(self, body: Json) -> Json:
        """The same with fields nobody knows, at a random place."""
        fields: list[tuple[str, Any]] = list(body.items())
        for _ in range(self._rng.choice((0, 1, 1, 2))):
            fields.insert(self._rng.randint(0, len(fields)), self._rng.choice(_UNKNOWN_FIELDS))
        return dict(fields)


class V2(V1):
    """The shapes of /v2."""

    name = "v2"

    def reaction_done(self, item: Item) -> Answer:
        """The answer to a reaction that was set."""
        return self._json(200, {"object": "PostReactionAdded"})

    def comment_done(self, item: Item) -> Answer:
        """The comment itself, always with its id."""
        return self._json(201, self._comment_of(item, is_sender=True))

    def error_body(self, refusal: Refusal) -> Json:
        """RFC 7807, with the id of the request that support asks for."""
        word = {"missing_credentials": "missing_authorization"}.get(refusal.word, refusal.word)
        return {
            "object": "Error",
            "type": f"{refusal.family}/{word}",
            "status": refusal.status,
            "title": refusal.title,
            "detail": refusal.detail or refusal.title,
            "req_id": f"req_{self._rng.randrange(16**12):012x}",
        }

    def page_body(self, page: Page, account: Account, name: str) -> Json:
        """The JSON of a page. The items are under `data`, the cursor under `next_cursor` (null at the end)."""
        data = []
        for item in page.items:
            is_sender = item.author.member_id == account.member.member_id
            if name.endswith("comments"):
                data.append(self._comment_of(item, is_sender))
            else:
                data.append(
                    self._more(
                        {
                            "object": "PostReaction",
                            "value": item.value,
                            "is_sender": is_sender,
                            "sender": self._person_of(item.author),
                        }
                    )
                )
        return {"object": "List", "data": data, "next_cursor": page.cursor or None}

    def _comment_of(self, item: Item, is_sender: bool) -> Json:
        return self._more(
            {
                "object": "Comment",
                "id": item.item_id,
                "text": item.text,
                "is_sender": is_sender,
                "created_at": iso_date_ms(self._world.clock(item.created_at), truncated=item.item_id[-1] in "02468"),
                "author": self._person_of(item.author),
                "replies_count": 0,
            }
        )

    def _person_of(self, person: Person) -> Json:
        return self._more(
            {
                "id": person.member_id,
                "display_name": person.name,
                "headline": person.headline,
                "type": "organization" if person.is_company else "individual",
            }
        )

    def me(self, account: Account) -> Answer:
        """Who am I (not needed in v2, where items have `is_sender`)."""
        return self._json(200, {"object": "User", "id": account.member.member_id, "display_name": account.member.name})

    def _account(self, account: Account) -> Json:
        return self._more(
            {
                "object": "Account",
                "id": account.account_id,
                "provider": "linkedin",
                "name": account.member.name,
                "status": HEALTH[account.condition][1],
            }
        )

    def accounts(self, accounts: list[Account]) -> Answer:
        """All accounts, on one page."""
        return self._json(200, {"object": "List", "data": [self._account(a) for a in accounts], "next_cursor": None})

    def post(self, post: Post) -> Answer:
        """A post; `id` is the key of "the same post"."""
        return self._json(
            200,
            {
                "object": "Post",
                "id": post.social_id,
                "text": "We are hiring.",
                "author": self._person_of(post.author),
                "created_at": iso_date_ms(self._world.clock(post.created_at), truncated=False),
                "url": f"https://www.linkedin.com/feed/update/{post.social_id}",
            },
        )


_UNKNOWN_FIELDS: tuple[tuple[str, Any], ...] = (
    ("trace", {"span": "7f", "sampled": None}),
    ("beta", True),
    ("x_weight", 0.25),
    ("labels", ["🎈", "a\u2028b", ""]),
    ("warnings", []),
    ("revision", 18_446_744_073_709_551_616),
    ("hint", None),
    ("", "a field without a name"),
    ("toString", "[object Object]"),
    ("deprecated_since", "2031-01-01"),
    ("__proto__", {}),
    ("score", -0.0),
)


def json_answer(status: int, body: object, rng: random.Random) -> Answer:
    """An answer with a JSON body, spaced and escaped in one of several ways."""
    if rng.random() < 0.5:
        text = json.dumps(body, separators=(",", ":"))
    else:
        text = json.dumps(body, ensure_ascii=False, indent=rng.choice((None, 2)))
    try:
        raw = text.encode()
    except UnicodeEncodeError:  # an unpaired surrogate can only be sent as an escape
        raw = json.dumps(body).encode()
    kind = rng.choice(("application/json; charset=utf-8", "application/json", "application/json;charset=UTF-8"))
    return Answer(status, raw, (("X-Request-Id", f"{rng.randrange(16**8):08x}"),), kind)


def route_not_found(method: str, path: str, rng: random.Random) -> Answer:
    """What the web framework says of an address that does not exist: none of the provider's own types."""
    body = {"message": f"Route {method}:{path} not found", "error": "Not Found", "statusCode": 404}
    return json_answer(404, body, rng)
