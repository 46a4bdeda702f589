"""What the provider knows: accounts, posts, comments, reactions, and the truth about what was applied.

Nothing here knows about HTTP. Every public method of `World` takes its lock; the objects it hands out are read only
by convention. Times inside are true epoch seconds; `World.clock` adds the provider's own error for what is shown.
"""

from __future__ import annotations

import base64
import hashlib
import html
import random
import re
import threading
import time
import zlib
from collections import OrderedDict
from dataclasses import dataclass, field, replace
from datetime import datetime, timezone
from typing import Literal

EffectKind = Literal["like", "comment"]
ItemKind = Literal["comment", "reaction"]

ACCOUNT_CONDITIONS = (
    "ok",
    "missing",
    "stopped",
    "disconnected",
    "expired_credentials",
    "checkpoint",
    "restricted",
    "action_required",
    "feature_not_subscribed",
)
POST_CONDITIONS = ("ok", "gone", "gone_410", "invalid", "comments_disabled")

_URN = re.compile(r"urn:li:(activity|share|ugcPost):\d{1,25}\Z")
_ACCOUNT_ID = re.compile(r"[A-Za-z0-9_\-]{1,128}\Z")
_MOST_STRANGERS = 12  # per post and kind, so that a walk through the pages stays short
_MOST_CURSORS = 20_000


@dataclass(frozen=True)
class Effect:
    """One like call or one comment that was applied. `post_id` is the post's social id, `text` is as it was sent."""

    post_id: str
    account_id: str
    kind: EffectKind
    text: str
    applied_at: float


@dataclass(frozen=True)
class Call:
    """One request as the provider saw it.

    `path` is as sent, without the query. `what_happened` begins with the name of the mischief, or ok, refused, cached,
    no_route, and a colon; the query, if any, is at its end.
    """

    method: str
    path: str
    account_id: str
    at: float
    what_happened: str


@dataclass(frozen=True)
class Person:
    """A LinkedIn member or a company page, as the answers show them."""

    member_id: str
    name: str
    headline: str
    is_company: bool = False


@dataclass
class Account:
    """A connected account. Its `member.member_id` is what authors are known by; `account_id` never shows there."""

    account_id: str
    member: Person
    condition: str = "ok"


@dataclass(frozen=True)
class Item:
    """A comment or a reaction lying on a post. `text` is what the reads show, not what was sent."""

    item_id: str
    kind: ItemKind
    social_id: str
    author: Person
    created_at: float
    visible_at: float
    own: bool
    text: str = ""
    value: str = "LIKE"
    parent: str = ""
    slow_visible_at: float = 0.0  # for the list "comments of this member", which may lag more


@dataclass
class Post:
    """A post and everything that lies on it."""

    social_id: str
    author: Person
    created_at: float
    condition: str = "ok"
    items: list[Item] = field(default_factory=list)


@dataclass(frozen=True)
class Listing:
    """What is being listed: a kind of item on one post (or the replies below one comment), or of one member."""

    kind: ItemKind
    social_id: str = ""
    member_id: str = ""
    parent: str = ""
    most_recent_first: bool = True


@dataclass(frozen=True)
class Walk:
    """How far a reader has come through a listing; a cursor stands for one of these."""

    listing: Listing
    started_at: float
    offset: int = 0
    shown: frozenset[str] = frozenset()


@dataclass(frozen=True)
class Page:
    """One page of a listing; `cursor` is '' at the end."""

    items: tuple[Item, ...]
    cursor: str
    total: int


_NAMES = ("Anna Becker", "Jonas Weiß", "Léa Martin", "Mei 陈", "Omar Haddad", "Priya N.", "Sam O'Neil", "Zoë de Vries")
_HEADLINES = ("Founder & CEO", "Engineer <systems>", "Sales | Growth 🚀", "Student", 'Recruiter at "Acme"', "")
_WORDS = (
    "Great post!",
    "Congrats 🎉",
    "Thanks for sharing",
    "So true & well said",
    "Interesting, I would add one thing…",
    "<3",
    "👏👏👏",
    "I disagree: the numbers say otherwise.",
    "Following",
    "This.",
    "Could you share the source?",
)
_REACTIONS = ("LIKE", "LIKE", "LIKE", "PRAISE", "EMPATHY", "INTEREST", "APPRECIATION", "ENTERTAINMENT")


class World:
    """The state of the simulated provider, safe for threads."""

    def __init__(
        self,
        *,
        seed: int,
        visibility_lag: float,
        clock_offset: float,
        accounts: tuple[str, ...] | None,
        strict_ids: bool,
        shift_may_hide: bool,
    ) -> None:
        self._lock = threading.RLock()
        self._seed = seed
        self._random = random.Random(f"world {seed}")
        self._visibility_lag = max(0.0, visibility_lag)
        self._clock_offset = clock_offset
        self._only_known_accounts = accounts is not None
        self._strict_ids = strict_ids
        self._shift_may_hide = shift_may_hide
        self._accounts: dict[str, Account] = {}
        self._posts: dict[str, Post] = {}
        self._aliases: dict[str, str] = {}
        self._walks: OrderedDict[str, Walk] = OrderedDict()
        self._effects: list[Effect] = []
        self._calls: list[Call] = []
        self._next_id = 7_000_000_000_000_000_000 + self._random.randrange(10**15)
        for account_id in accounts or ():
            self._accounts[account_id] = self._new_account(account_id)

    # -- the truth ---------------------------------------------------------------------------------------------

    def effects(self) -> tuple[Effect, ...]:
        """Everything that was applied, in order."""
        with self._lock:
            return tuple(self._effects)

    def calls(self) -> tuple[Call, ...]:
        """Every request that was understood as one, in order of the decision about it."""
        with self._lock:
            return tuple(self._calls)

    def note(self, call: Call) -> None:
        """Write one call into the diary."""
        with self._lock:
            self._calls.append(call)

    def clock(self, at: float | None = None) -> float:
        """The provider's own idea of a moment (now, if none is given)."""
        return (time.time() if at is None else at) + self._clock_offset

    # -- accounts and posts ------------------------------------------------------------------------------------

    def account(self, account_id: str) -> Account | None:
        """The account with this id; made on first mention unless the accounts were listed at the start."""
        with self._lock:
            found = self._accounts.get(account_id)
            if found is None and not self._only_known_accounts and _ACCOUNT_ID.match(account_id):
                found = self._accounts[account_id] = self._new_account(account_id)
            if found is None or found.condition == "missing":
                return None
            return found

    def set_account(self, account_id: str, condition: str) -> None:
        """Put an account (made if it is new) into one of ACCOUNT_CONDITIONS."""
        if condition not in ACCOUNT_CONDITIONS:
            raise ValueError(f"unknown account condition {condition!r}, expected one of {ACCOUNT_CONDITIONS}")
        with self._lock:
            if account_id not in self._accounts:
                self._accounts[account_id] = self._new_account(account_id)
            self._accounts[account_id].condition = condition

    def account_ids(self) -> tuple[str, ...]:
        """The ids of the accounts known so far."""
        with self._lock:
            return tuple(name for name, account in self._accounts.items() if account.condition != "missing")

    def post(self, post_id: str) -> Post | None:
        """The post with this id (its social id or an alias); made on first mention if the id looks like a real one."""
        with self._lock:
            social_id = self._aliases.get(post_id, "")
            if not social_id:
                social_id = f"urn:li:activity:{post_id}" if post_id.isascii() and post_id.isdigit() else post_id
                if social_id not in self._posts and self._strict_ids and not _URN.match(social_id):
                    return None
                if not social_id.strip():
                    return None
                self._aliases[post_id] = social_id
            if social_id not in self._posts:
                self._posts[social_id] = self._new_post(social_id)
            return self._posts[social_id]

    def set_post(self, post_id: str, condition: str, aliases: tuple[str, ...]) -> None:
        """Put a post (made if it is new) into one of POST_CONDITIONS, and name more ids of it."""
        if condition not in POST_CONDITIONS:
            raise ValueError(f"unknown post condition {condition!r}, expected one of {POST_CONDITIONS}")
        with self._lock:
            social_id = self._aliases.get(post_id, post_id)
            if social_id not in self._posts:
                self._posts[social_id] = self._new_post(social_id)
            self._posts[social_id].condition = condition
            for alias in (post_id, *aliases):
                self._aliases[alias] = social_id

    # -- writes ------------------------------------------------------------------------------------------------

    def apply_comment(self, account: Account, post: Post, text: str, author: Person, parent: str) -> Item:
        """Lay a comment on the post. Comments are never merged: the same words twice are two comments."""
        with self._lock:
            now = time.time()
            lag = self._random.uniform(0.0, self._visibility_lag)
            item = Item(
                item_id=self._new_item_id(),
                kind="comment",
                social_id=post.social_id,
                author=author,
                created_at=now,
                visible_at=now + lag,
                own=True,
                text=self._as_shown(text),
                parent=parent,
                slow_visible_at=now + lag + self._random.uniform(0.0, 4 * self._visibility_lag),
            )
            post.items.append(item)
            self._effects.append(Effect(post.social_id, account.account_id, "comment", text, now))
            return item

    def apply_reaction(self, account: Account, post: Post, value: str, author: Person) -> Item:
        """Set a reaction. Setting it again changes nothing on the post, but it is an effect of its own."""
        with self._lock:
            now = time.time()
            found = self._reaction_of(post, author.member_id)
            if found is None:
                lag = self._random.uniform(0.0, self._visibility_lag)
                item = Item(
                    item_id=self._new_item_id(),
                    kind="reaction",
                    social_id=post.social_id,
                    author=author,
                    created_at=now,
                    visible_at=now + lag,
                    own=True,
                    value=value,
                    slow_visible_at=now + lag + self._random.uniform(0.0, 4 * self._visibility_lag),
                )
                post.items.append(item)
            else:
                item = replace(found, value=value)
                post.items[post.items.index(found)] = item
            if value == "LIKE":
                self._effects.append(Effect(post.social_id, account.account_id, "like", "", now))
            return item

    def already_there(self, post: Post, author: Person, kind: ItemKind, text: str, value: str) -> bool:
        """Whether this author's very same comment or reaction lies on the post already."""
        with self._lock:
            if kind == "reaction":
                found = self._reaction_of(post, author.member_id)
                return found is not None and found.value == value
            return any(
                e.post_id == post.social_id and e.kind == "comment" and e.text == text for e in self._effects
            ) and any(
                item.own
                and item.author.member_id == author.member_id
                and item.kind == "comment"
                and _bare(item.text) == _bare(text)
                for item in post.items
            )

    # -- strangers ---------------------------------------------------------------------------------------------

    def stir(self, post: Post, words: str = "") -> None:
        """Let strangers come and go. With `words`, one of them may say the very same thing (or like, without)."""
        with self._lock:
            dice = self._random.random()
            if words and dice < 0.35:
                self._stranger_comes(post, "comment", words)
            elif dice < 0.10:
                self._stranger_comes(post, "comment", self._random.choice(_WORDS))
            elif dice < 0.20:
                self._stranger_comes(post, "reaction", "")
            elif dice < 0.26:
                self._strangers_go(post, "comment", 1)
            elif dice < 0.32:
                self._strangers_go(post, "reaction", 1)

    def strangers_leave_the_top(self, social_id: str, kind: ItemKind) -> None:
        """Delete the newest strangers' items, so that an offset in a list points further down than it did."""
        with self._lock:
            post = self._posts.get(social_id)
            if post is not None:
                self._strangers_go(post, kind, self._random.randint(1, 3))

    def strangers_come_to_the_top(self, social_id: str, kind: ItemKind) -> None:
        """Add new strangers' items, so that the next page repeats some of the last one."""
        with self._lock:
            post = self._posts.get(social_id)
            if post is not None:
                for _ in range(self._random.randint(1, 3)):
                    self._stranger_comes(post, kind, self._random.choice(_WORDS))

    # -- reads -------------------------------------------------------------------------------------------------

    def start_walk(self, listing: Listing) -> Walk:
        """Begin to read a listing from its top."""
        return Walk(listing, time.time())

    def find_walk(self, cursor: str, listing: Listing) -> Walk | None:
        """What a cursor stands for; None if it is not one of ours or belongs to another listing."""
        with self._lock:
            walk = self._walks.get(cursor)
            return walk if walk is not None and walk.listing == listing else None

    def page(self, walk: Walk, count: int, *, tail_cursor: bool = False) -> Page:
        """The next `count` items. Pages are cut by offset, so strangers who come and go shift them.

        What was visible when the walk began and was applied through the provider is never skipped by such a shift
        (unless the world was made with `shift_may_hide`): the page then begins further up and repeats other items.
        """
        with self._lock:
            now = time.time()
            everything = self._gather(walk.listing, now)
            start = min(walk.offset, len(everything))
            if not self._shift_may_hide:
                for index, item in enumerate(everything[:start]):
                    if item.own and item.visible_at <= walk.started_at and item.item_id not in walk.shown:
                        start = index
                        break
            items = tuple(everything[start : start + count])
            after = start + len(items)
            cursor = ""
            if after < len(everything) or (tail_cursor and items):
                cursor = self._new_cursor()
                shown = walk.shown.union(item.item_id for item in items)
                self._walks[cursor] = replace(walk, offset=after, shown=shown)
                while len(self._walks) > _MOST_CURSORS:
                    self._walks.popitem(last=False)
            return Page(items, cursor, len(everything))

    def count(self, post: Post, kind: ItemKind) -> int:
        """How many items of a kind the reads show on a post now."""
        with self._lock:
            now = time.time()
            return sum(1 for item in post.items if item.kind == kind and item.visible_at <= now)

    def has_comment(self, post: Post, comment_id: str) -> bool:
        """Whether a comment with this id lies on the post."""
        with self._lock:
            return any(item.kind == "comment" and item.item_id == comment_id for item in post.items)

    # -- inside ------------------------------------------------------------------------------------------------

    def _gather(self, listing: Listing, now: float) -> list[Item]:
        if listing.member_id:
            items = [
                item
                for post in self._posts.values()
                for item in post.items
                if item.author.member_id == listing.member_id and item.slow_visible_at <= now
            ]
        else:
            items = [
                item
                for item in self._posts[listing.social_id].items
                if item.visible_at <= now and item.parent == listing.parent
            ]
        items = [item for item in items if item.kind == listing.kind]
        if listing.most_recent_first:
            items.sort(key=lambda item: (-item.created_at, item.item_id))
        else:
            items.sort(key=lambda item: (zlib.crc32(item.item_id.encode()), item.item_id))
        return items

    def _reaction_of(self, post: Post, member_id: str) -> Item | None:
        for item in post.items:
            if item.kind == "reaction" and item.author.member_id == member_id:
                return item
        return None

    def _stranger_comes(self, post: Post, kind: ItemKind, words: str) -> None:
        there = [item for item in post.items if item.kind == kind and not item.own]
        if len(there) >= _MOST_STRANGERS:
            post.items.remove(self._random.choice(there))
        post.items.append(self._strangers_item(post, kind, words, time.time()))

    def _strangers_go(self, post: Post, kind: ItemKind, how_many: int) -> None:
        there = [item for item in post.items if item.kind == kind and not item.own]
        there.sort(key=lambda item: -item.created_at)
        for item in there[:how_many]:
            post.items.remove(item)

    def _strangers_item(self, post: Post, kind: ItemKind, words: str, at: float) -> Item:
        value = self._random.choice(_REACTIONS) if kind == "reaction" else "LIKE"
        return Item(
            self._new_item_id(),
            kind,
            post.social_id,
            self._stranger(),
            at,
            at,
            own=False,
            text=self._as_shown(words),
            value=value,
            slow_visible_at=at,
        )

    def _stranger(self) -> Person:
        names = list(_NAMES)
        if self._accounts:  # a namesake of one of our accounts: the display name proves nothing
            names.append(self._random.choice(list(self._accounts.values())).member.name)
        return Person(
            _member_id(self._random.randbytes(24)),
            self._random.choice(names),
            self._random.choice(_HEADLINES),
            is_company=self._random.random() < 0.1,
        )

    def _new_account(self, account_id: str) -> Account:
        digest = hashlib.sha256(f"{self._seed}/{account_id}".encode("utf-8", "surrogatepass")).digest()
        name = f"{_NAMES[digest[0] % len(_NAMES)].split()[0]} Member{digest[1]}"
        return Account(account_id, Person(_member_id(digest[:24]), name, _HEADLINES[digest[2] % len(_HEADLINES)]))

    def _new_post(self, social_id: str) -> Post:
        now = time.time()
        post = Post(social_id, self._stranger(), now - self._random.uniform(86_400, 864_000))
        for kind, most in (("comment", 7), ("reaction", 7)):
            for _ in range(self._random.randint(0, most)):
                # Some are old, some are as fresh as if they had been written while our request was on its way.
                age = self._random.choice((0.0, self._random.uniform(1, 60), self._random.uniform(60, 86_400)))
                item_kind: ItemKind = "comment" if kind == "comment" else "reaction"
                words = self._random.choice(_WORDS) if kind == "comment" else ""
                post.items.append(self._strangers_item(post, item_kind, words, now - age))
        return post

    def _new_item_id(self) -> str:
        self._next_id += self._random.randint(1, 999)
        return str(self._next_id)

    def _new_cursor(self) -> str:
        """Opaque, and with characters that must be percent-encoded in a query string."""
        return base64.b64encode(self._random.randbytes(self._random.choice((16, 22, 31)))).decode() + "+/="

    def _as_shown(self, text: str) -> str:
        """What the reads make of a text: always without outer blanks, often with other changes."""
        shown = text.strip().replace("\r\n", "\n").replace("\r", "\n")
        if self._random.random() < 0.6:
            shown = re.sub(r"[ \t\u00a0]+", " ", shown)
            shown = re.sub(r" ?\n ?", "\n", shown)
            shown = re.sub(r"\n{3,}", "\n\n", shown)
        if self._random.random() < 0.4:
            shown = html.escape(shown, quote=self._random.random() < 0.5)
        return shown


def iso_date(at: float, style: int) -> str:
    """A moment, truncated to the second, in one of the ways ISO 8601 allows."""
    whole = datetime.fromtimestamp(int(at // 1), timezone.utc)
    stamp = whole.strftime("%Y-%m-%dT%H:%M:%S")
    return stamp + (".000Z", "Z", "+00:00")[style % 3]


def iso_date_ms(at: float, truncated: bool) -> str:
    """A moment with milliseconds and a Z (v2); `truncated` ones have .000."""
    if truncated:
        return iso_date(at, 0)
    thousandths = int(at * 1000 // 1)
    return iso_date(at, 1)[:-1] + f".{thousandths % 1000:03d}Z"


def _member_id(raw: bytes) -> str:
    return "ACoAA" + base64.urlsafe_b64encode(raw).decode().rstrip("=")


def _bare(text: str) -> str:
    return "".join(html.unescape(text).split())
