"""The provider itself: listens, understands the two dialects, decides about mischief, and answers."""

from __future__ import annotations

import json
import random
import re
import socket
import threading
import time
from collections.abc import Collection, Iterable
from dataclasses import dataclass, replace
from email import message_from_bytes, policy
from types import TracebackType
from typing import Any, Literal

from .answers import (
    ACCOUNT_REFUSALS,
    BAD_PARAMETERS,
    COMMENTS_DISABLED,
    MISSING_KEY,
    NO_SUCH_ACCOUNT,
    NO_SUCH_POST,
    POST_REFUSALS,
    UNSUPPORTED_MEDIA,
    V1,
    V2,
    Refusal,
    json_answer,
    route_not_found,
)
from .mischief import KIND_NAMES, NO_CHANGE, READ_KINDS, WRITE_KINDS, Deck, Kind, ReadChange
from .state import Account, Call, Effect, ItemKind, Listing, Person, Post, Walk, World
from .wire import PLAIN, Answer, BadRequest, Gone, Request, Style, Wire, http_date

_V1_REACTIONS = {
    "like": "LIKE",
    "celebrate": "PRAISE",
    "support": "APPRECIATION",
    "love": "EMPATHY",
    "insightful": "INTEREST",
    "funny": "ENTERTAINMENT",
}
_LONGEST_COMMENT = 1250
_V2_CACHE_SECONDS = 3600.0


class _Refused(Exception):
    """The request is refused for a reason of its own (no mischief)."""

    def __init__(self, refusal: Refusal, detail: str = "") -> None:
        super().__init__(refusal.word)
        self.refusal = replace(refusal, detail=detail) if detail else refusal


class _NoRoute(Exception):
    """There is nothing at this address."""


@dataclass(frozen=True)
class _Write:
    """A write that is valid and may be applied."""

    account: Account
    post: Post
    kind: ItemKind
    author: Person
    text: str = ""
    value: str = "LIKE"
    parent: str = ""


@dataclass(frozen=True)
class _Read:
    """A read that is valid.

    `what`: me, account, accounts, post, link, comments, reactions, own_comments, own_reactions.
    """

    what: str
    account: Account | None = None
    post: Post | None = None
    walk: Walk | None = None
    limit: int = 1
    goes_on: bool = False


class SecondProvider:
    """A simulated Unipile on 127.0.0.1, to be used as a context manager.

    `mischief` is the share (0 to 1) of writes that go wrong in some way, and of reads unless `read_mischief` says
    otherwise. `kinds` limits the mischief to some names of KIND_NAMES, `without` leaves some out. See the
    package's docstring for the rest.
    """

    def __init__(
        self,
        *,
        seed: int = 0,
        mischief: float = 0.0,
        read_mischief: float | None = None,
        visibility_lag: float = 0.5,
        page_size: int = 3,
        clock_offset: float = 0.0,
        api_key: str | None = "second-key",
        accounts: Iterable[str] | None = None,
        strict_ids: bool = True,
        hang_seconds: float = 3.0,
        kinds: Collection[str] | None = None,
        without: Collection[str] = (),
        shift_may_hide: bool = False,
    ) -> None:
        unknown = (set(kinds or ()) | set(without)) - set(KIND_NAMES)
        if unknown:
            raise ValueError(f"unknown kinds of mischief: {sorted(unknown)}")
        if not 0.0 <= mischief <= 1.0 or not 0.0 <= (read_mischief or 0.0) <= 1.0:
            raise ValueError("mischief is a share between 0 and 1")
        self.api_key = api_key
        self._share = {"write": mischief, "read": mischief if read_mischief is None else read_mischief}
        self._seed = seed
        self._page_size = max(1, page_size)
        self._clock_offset = clock_offset
        self._hang_seconds = hang_seconds
        self._calm = False
        self._world = World(
            seed=seed,
            visibility_lag=visibility_lag,
            clock_offset=clock_offset,
            accounts=None if accounts is None else tuple(accounts),
            strict_ids=strict_ids,
            shift_may_hide=shift_may_hide,
        )
        wanted = set(KIND_NAMES if kinds is None else kinds) - set(without)
        self._dice_lock = threading.Lock()
        self._dice = {"write": random.Random(f"writes {seed}"), "read": random.Random(f"reads {seed}")}
        self._decks = {
            "write": Deck(tuple(kind for kind in WRITE_KINDS if kind.name in wanted), self._dice["write"]),
            "read": Deck(tuple(kind for kind in READ_KINDS if kind.name in wanted), self._dice["read"]),
        }
        self._served = 0
        self._cache: dict[tuple[str, str], tuple[float, Answer]] = {}
        self._stop = threading.Event()
        self._listener: socket.socket | None = None
        self._port = 0
        self._acceptor: threading.Thread | None = None
        self._open_lock = threading.Lock()
        self._open: dict[threading.Thread, Wire] = {}
        self._faults: list[BaseException] = []

    # -- what tests use ----------------------------------------------------------------------------------------

    @property
    def url(self) -> str:
        """Where the provider listens, without a path."""
        return f"http://127.0.0.1:{self._port}"

    def effects(self) -> tuple[Effect, ...]:
        """The truth: one entry for each like call and each comment that was applied, in order."""
        return self._world.effects()

    def calls(self) -> tuple[Call, ...]:
        """Every request and what happened to it, for diagnosis."""
        return self._world.calls()

    def calm(self) -> None:
        """From now on no mischief, and strangers stay as they are. (What already hangs goes on hanging.)"""
        self._calm = True

    def set_account(self, account_id: str, condition: str = "ok") -> None:
        """Put an account into one of ACCOUNT_CONDITIONS (made if it is new)."""
        self._world.set_account(account_id, condition)

    def set_post(self, post_id: str, condition: str = "ok", aliases: Iterable[str] = ()) -> None:
        """Put a post into one of POST_CONDITIONS and name other ids of it; any string may be made a post's id."""
        self._world.set_post(post_id, condition, tuple(aliases))

    def member_id(self, account_id: str) -> str:
        """The member id by which the comments and reactions of an account are known."""
        account = self._world.account(account_id)
        if account is None:
            raise KeyError(account_id)
        return account.member.member_id

    def __enter__(self) -> SecondProvider:
        if self._stop.is_set() or self._listener is not None:
            raise RuntimeError("a SecondProvider serves one block only")
        self._listener = socket.create_server(("127.0.0.1", 0), backlog=256)
        self._listener.settimeout(0.2)
        self._port = self._listener.getsockname()[1]
        self._acceptor = threading.Thread(target=self._accept, name="second-provider-accept", daemon=True)
        self._acceptor.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> Literal[False]:
        self._stop.set()
        if self._acceptor is not None:
            self._acceptor.join()
        if self._listener is not None:
            self._listener.close()
        with self._open_lock:
            still_open = list(self._open.items())
        for _, wire in still_open:
            wire.wake()
        for thread, _ in still_open:
            thread.join(10.0)
            if thread.is_alive():
                self._faults.append(RuntimeError(f"{thread.name} does not end"))
        if self._faults and kind is None:
            raise RuntimeError(f"the provider itself failed {len(self._faults)} times") from self._faults[0]
        return False

    # -- connections -------------------------------------------------------------------------------------------

    def _accept(self) -> None:
        assert self._listener is not None
        while not self._stop.is_set():
            try:
                sock, _ = self._listener.accept()
            except (TimeoutError, ConnectionError):
                continue
            except OSError:
                if self._stop.wait(0.02):  # out of descriptors, perhaps: try again
                    return
                continue
            try:
                wire = Wire(sock, self._stop, random.Random(f"wire {self._seed} {self._served}"), self._clock_offset)
            except OSError:  # vanished already
                sock.close()
                continue
            thread = threading.Thread(target=self._serve, args=(wire,), name="second-provider", daemon=True)
            with self._open_lock:
                self._open[thread] = wire
            thread.start()

    def _serve(self, wire: Wire) -> None:
        hastily = False
        try:
            while wire.open and not self._stop.is_set():
                try:
                    request = wire.read_request()
                except BadRequest as error:
                    answer = json_answer(
                        error.status, {"message": error.why, "statusCode": error.status}, random.Random(0)
                    )
                    wire.send(answer, Request("GET", "/", "HTTP/1.1", (), b""), Style(close=True))
                    break
                _Exchange(self, wire, request).run()
        except Gone:
            hastily = not wire.open  # cut on purpose
        except Exception as error:  # a mistake of the provider's own: told at the end of the block
            hastily = True
            self._faults.append(error)
        finally:
            wire.close(hastily=hastily or self._stop.is_set())
            with self._open_lock:
                self._open.pop(threading.current_thread(), None)

    # -- decisions ---------------------------------------------------------------------------------------------

    def _new_random(self) -> random.Random:
        with self._dice_lock:
            self._served += 1
            return random.Random(f"request {self._seed} {self._served}")

    def _choose(self, target: str, possible: set[str]) -> Kind | None:
        """The mischief for this request, if any. `possible` are the needs that this request meets."""
        with self._dice_lock:
            if self._calm or self._dice[target].random() >= self._share[target]:
                return None
            return self._decks[target].deal(lambda kind: not kind.needs or kind.needs in possible)


class _Exchange:
    """One request and its answer. This is the `Scene` that the kinds of mischief play in."""

    def __init__(self, provider: SecondProvider, wire: Wire, request: Request) -> None:
        self._provider = provider
        self._world = provider._world
        self._wire = wire
        self._request = request
        self._at = time.time()
        self.rng = provider._new_random()
        self.is_v2 = request.segments[:1] == ("v2",)
        self.is_comment = False
        self._dialect: V1 = V2(self._world, self.rng) if self.is_v2 else V1(self._world, self.rng)
        self._account_id = ""
        self._write: _Write | None = None
        self._read: _Read | None = None
        self._applied = False

    def run(self) -> None:
        """Understand, decide, answer."""
        try:
            understood = self._understand()
        except _NoRoute:
            self._note("no_route: 404")
            self.send(self.route_not_found())
            return
        except _Refused as refused:
            self._note(f"refused: {refused.refusal.status} {refused.refusal.word}")
            self.send(self._dialect.error(refused.refusal))
            return
        if isinstance(understood, _Write):
            self._run_write(understood)
        else:
            self._run_read(understood)

    def _run_write(self, write: _Write) -> None:
        self._write = write
        self.is_comment = write.kind == "comment"
        repeated = self._world.already_there(write.post, write.author, write.kind, write.text, write.value)
        kind = self._provider._choose("write", {"repeated"} if repeated else set())
        if not self._provider._calm:
            self._world.stir(write.post, write.text)
        if kind is None:
            self._note(f"ok: {write.kind} applied")
            self.send(self.apply())
            return
        self._note(f"{kind.name}: {write.kind} {'applied' if kind.applies else 'not applied'}")
        try:
            kind.play(self)
        finally:
            if self._applied != kind.applies:
                raise AssertionError(f"{kind.name} applied: {self._applied}")

    def _run_read(self, read: _Read) -> None:
        self._read = read
        needs = set()
        if read.walk is not None:
            needs = {"list", "cursor"} if read.goes_on else {"list"}
            if read.post is not None and not self._provider._calm:
                self._world.stir(read.post)
        kind = self._provider._choose("read", needs)
        if kind is not None:
            self._note(f"{kind.name}: {read.what}")
            kind.play(self)
            return
        key = (self._account_id, self._request.target)
        cached = self._provider._cache.get(key) if self.is_v2 and self._may_be_cached() else None
        if cached is not None and time.monotonic() - cached[0] < _V2_CACHE_SECONDS:
            self._note(f"cached: {read.what}, as of {time.monotonic() - cached[0]:.2f} s ago")
            self.send(cached[1].with_headers(("X-Cache", "HIT")))
            return
        answer = self.read()
        if self.is_v2 and answer.status == 200:
            self._provider._cache[key] = (time.monotonic(), answer)
        self._note(f"ok: {read.what}")
        self.send(answer)

    # -- the Scene ---------------------------------------------------------------------------------------------

    def now(self) -> float:
        """The provider's own clock."""
        return self._world.clock()

    def apply(self) -> Answer:
        """Apply the write; the answer that an honest provider would give."""
        write = self._write
        if write is None or self._applied:
            raise AssertionError("nothing to apply")
        self._applied = True
        if write.kind == "comment":
            item = self._world.apply_comment(write.account, write.post, write.text, write.author, write.parent)
            return self._dialect.comment_done(item)
        return self._dialect.reaction_done(
            self._world.apply_reaction(write.account, write.post, write.value, write.author)
        )

    def refuse(self, refusal: Refusal) -> Answer:
        """An error answer in the request's dialect."""
        return self._dialect.error(refusal)

    def route_not_found(self) -> Answer:
        """The web framework's 404."""
        return route_not_found(self._request.method, self._request.path, self.rng)

    def send(self, answer: Answer, style: Style = PLAIN) -> None:
        """Put an answer on the wire."""
        self._wire.send(answer, self._request, style)

    def interim(self, status: int, *fields: tuple[str, str]) -> None:
        """Send an interim answer (never to HTTP/1.0)."""
        if self._request.version == "HTTP/1.1":
            self._wire.interim(status, *fields)

    def hang(self) -> None:
        """Say nothing for a while."""
        self._wire.hang(self._provider._hang_seconds * self.rng.uniform(0.6, 1.0))

    def cut(self) -> None:
        """End the connection with a reset or an ordinary end."""
        self._wire.cut(hard=self.rng.random() < 0.5)

    def http_date(self, seconds_from_now: float, form: int) -> str:
        """A moment by the provider's clock as an HTTP date."""
        return http_date(self._world.clock() + seconds_from_now, form)

    def read(self, change: ReadChange = NO_CHANGE) -> Answer:
        """The answer to a read, with changes (see ReadChange)."""
        read = self._read
        if read is None:
            raise AssertionError("nothing to read")
        dialect = self._dialect
        if read.what == "accounts":
            known = (self._world.account(account_id) for account_id in self._world.account_ids())
            return dialect.accounts([account for account in known if account is not None])
        if read.what == "link":
            return dialect.hosted_link()
        if read.account is None:
            raise AssertionError("a read without an account")
        if read.what == "me":
            return dialect.me(read.account)
        if read.what == "account":
            return dialect.account(read.account)
        if read.what == "post" and read.post is not None:
            return dialect.post(read.post)
        if read.walk is None:
            raise AssertionError(f"a read without a walk: {read.what}")
        size = min(read.limit, self._provider._page_size)
        tail_cursor = not self._provider._calm and self.rng.random() < 0.15
        if change.page_size is not None:
            size = min(size, change.page_size)
        page = self._world.page(read.walk, size, tail_cursor=tail_cursor)
        body = dialect.page_body(page, read.account, read.what)
        items: list[dict[str, Any]] = body["data" if self.is_v2 else "items"]
        strangers = [shown for shown, item in zip(items, page.items, strict=True) if not item.own]
        if change.odd_items:
            for shown in strangers:
                _make_odd(shown, self.rng)
        if change.surrogate_text:
            (self.rng.choice(strangers) if strangers else body)["excerpt"] = "half of an emoji: \ud83d"
            if strangers and "text" in strangers[0]:
                strangers[0]["text"] += "\udc00"
        if change.surrogate_cursor:
            body["next_cursor" if self.is_v2 else "cursor"] = "AAE\ud800" + "=="
        listing = read.walk.listing
        if change.shift == "delete":
            self._world.strangers_leave_the_top(listing.social_id, listing.kind)
        elif change.shift == "add":
            self._world.strangers_come_to_the_top(listing.social_id, listing.kind)
        return json_answer(200, body, self.rng)

    # -- understanding -----------------------------------------------------------------------------------------

    def _understand(self) -> _Write | _Read:
        """What the request asks for. Raises _NoRoute or _Refused."""
        match (self._request.method, *self._request.segments):
            case (method, "api", "v1", *rest):
                return self._understand_v1(method, tuple(rest))
            case (method, "v2", *rest):
                return self._understand_v2(method, tuple(rest))
            case _:
                raise _NoRoute

    def _understand_v1(self, method: str, rest: tuple[str, ...]) -> _Write | _Read:
        query = self._request.query
        account_id = query.get("account_id", "")
        match (method, *rest):
            case ("POST", "posts", "reaction"):
                body = self._body()
                account = self._account(_text(body, "account_id"))
                word = _text(body, "reaction_type", "like")
                if word not in _V1_REACTIONS:
                    raise _Refused(BAD_PARAMETERS, f"No reaction is called {word!r}.")
                post = self._post(_text(body, "post_id"))
                return _Write(
                    account, post, "reaction", self._author(account, body, "as_organization"), value=_V1_REACTIONS[word]
                )
            case ("POST", "posts", post_id, "comments"):
                body = self._body(multipart=True)
                account = self._account(_text(body, "account_id"))
                return self._comment(account, post_id, body, "as_organization", _text(body, "comment_id", ""))
            case ("GET", "posts", post_id, ("comments" | "reactions") as what):
                account = self._account(account_id)
                parent = query.get("comment_id", "") if what == "comments" else ""
                return self._list(what, account, self._post(post_id), parent)
            case ("GET", "posts", post_id):
                account = self._account(account_id)
                return _Read("post", account, self._post(post_id))
            case ("GET", "users", "me"):
                return _Read("me", self._account(account_id))
            case ("GET", "users", member_id, ("comments" | "reactions") as what):
                return self._list(f"own_{what}", self._account(account_id), None, "", member_id)
            case ("GET", "accounts"):
                self._check_key()
                return _Read("accounts")
            case ("GET", "accounts", named):
                return _Read("account", self._account(named, must_act=False))
            case ("POST", "hosted", "accounts", "link"):
                self._body()
                return _Read("link")
            case _:
                raise _NoRoute

    def _understand_v2(self, method: str, rest: tuple[str, ...]) -> _Write | _Read:
        match (method, *rest):
            case ("GET", "accounts"):
                self._check_key()
                return _Read("accounts")
            case ("GET", "accounts", named):
                return _Read("account", self._account(named, must_act=False))
            case ("POST", account_id, "posts", post_id, "reactions"):
                self._account_id = account_id
                body = self._body()
                account = self._account(account_id)
                word = _text(body, "reaction").removeprefix("linkedin_")
                if word not in _V1_REACTIONS or not _text(body, "reaction").startswith("linkedin_"):
                    raise _Refused(BAD_PARAMETERS, "Not a reaction.")
                return _Write(
                    account,
                    self._post(post_id),
                    "reaction",
                    self._author(account, body, "react_as"),
                    value=_V1_REACTIONS[word],
                )
            case ("POST", account_id, "posts", post_id, "comments", *parents) if len(parents) <= 1:
                self._account_id = account_id
                body = self._body()
                return self._comment(self._account(account_id), post_id, body, "comment_as", "".join(parents))
            case ("GET", account_id, "posts", post_id, ("comments" | "reactions") as what):
                return self._list(what, self._account(account_id), self._post(post_id), "")
            case ("GET", account_id, "posts", post_id, "comments", parent, "replies"):
                return self._list("comments", self._account(account_id), self._post(post_id), parent)
            case ("GET", account_id, "posts", post_id):
                return _Read("post", self._account(account_id), self._post(post_id))
            case ("GET", account_id, "users", "me"):
                return _Read("me", self._account(account_id))
            case _:
                raise _NoRoute

    def _check_key(self) -> None:
        given = self._request.header("X-API-KEY")
        if not given or (self._provider.api_key is not None and given != self._provider.api_key):
            raise _Refused(MISSING_KEY)

    def _body(self, *, multipart: bool = False) -> dict[str, Any]:
        self._check_key()
        raw = self._request.body
        media = self._request.header("Content-Type")
        essence = media.split(";")[0].strip().lower()
        if essence == "multipart/form-data" and multipart:
            return _form(media, raw)
        if essence != "application/json":
            raise _Refused(UNSUPPORTED_MEDIA, "Send application/json.")
        try:
            body = json.loads(raw.decode("utf-8"))
            json.dumps(body, ensure_ascii=False).encode("utf-8")  # an unpaired surrogate is no text
        except (ValueError, RecursionError):
            raise _Refused(BAD_PARAMETERS, "Not JSON.") from None
        if not isinstance(body, dict):
            raise _Refused(BAD_PARAMETERS, "Not a JSON object.")
        return body

    def _account(self, account_id: str, *, must_act: bool = True) -> Account:
        self._account_id = account_id
        self._check_key()
        if not account_id:
            raise _Refused(BAD_PARAMETERS, "account_id is missing.")
        account = self._world.account(account_id)
        if account is None:
            raise _Refused(NO_SUCH_ACCOUNT)
        if must_act and account.condition in ACCOUNT_REFUSALS:
            raise _Refused(ACCOUNT_REFUSALS[account.condition])
        return account

    def _post(self, post_id: str) -> Post:
        post = self._world.post(post_id)
        if post is None:
            raise _Refused(replace(NO_SUCH_POST, status=422, word="invalid_resource_identifier"))
        if post.condition in POST_REFUSALS:
            raise _Refused(POST_REFUSALS[post.condition])
        return post

    def _author(self, account: Account, body: dict[str, Any], field_name: str) -> Person:
        company = _text(body, field_name, "")
        return Person(company, "A company page", "", is_company=True) if company else account.member

    def _comment(self, account: Account, post_id: str, body: dict[str, Any], as_field: str, parent: str) -> _Write:
        text = _text(body, "text")
        if not text.strip() or len(text) > _LONGEST_COMMENT:
            raise _Refused(BAD_PARAMETERS, f"A comment has 1 to {_LONGEST_COMMENT} characters.")
        if not self.is_v2 and re.search(r"\{\{\d+\}\}", text) and not body.get("mentions"):
            raise _Refused(BAD_PARAMETERS, "The text refers to a mention that is not given.")
        post = self._post(post_id)
        if post.condition == "comments_disabled":
            raise _Refused(COMMENTS_DISABLED)
        if parent and not self._world.has_comment(post, parent):
            raise _Refused(replace(NO_SUCH_POST, detail="No such comment."))
        return _Write(account, post, "comment", self._author(account, body, as_field), text=text, parent=parent)

    def _list(self, what: str, account: Account, post: Post | None, parent: str, member_id: str = "") -> _Read:
        query = self._request.query
        limit = query.get("limit", "100")
        if not limit.isascii() or not limit.isdigit() or not 1 <= int(limit) <= 100:
            raise _Refused(BAD_PARAMETERS, "limit must be between 1 and 100.")
        order = query.get("sort_by", "")
        if order not in ("", "MOST_RECENT", "MOST_RELEVANT"):
            raise _Refused(BAD_PARAMETERS, "sort_by must be MOST_RECENT or MOST_RELEVANT.")
        by_relevance = order == "MOST_RELEVANT" or (not order and not self.is_v2 and what == "comments")
        kind: ItemKind = "comment" if what.endswith("comments") else "reaction"
        listing = Listing(kind, post.social_id if post else "", member_id, parent, not by_relevance)
        cursor = query.get("cursor")
        if cursor is None:
            return _Read(what, account, post, self._world.start_walk(listing), int(limit))
        walk = self._world.find_walk(cursor, listing)
        if walk is None and not order:
            walk = self._world.find_walk(cursor, replace(listing, most_recent_first=by_relevance))
        if walk is None:
            raise _Refused(BAD_PARAMETERS, "Invalid cursor.")
        return _Read(what, account, post, walk, int(limit), goes_on=True)

    # -- small things ------------------------------------------------------------------------------------------

    def _may_be_cached(self) -> bool:
        wish = self._request.header("Cache-Control").lower() + self._request.header("Pragma").lower()
        return "no-cache" not in wish and "no-store" not in wish

    def _note(self, what: str) -> None:
        request = self._request
        _, mark, query = request.target.partition("?")
        what += f" {mark}{query}" if mark else ""
        self._world.note(Call(request.method, request.path, self._account_id, self._at, what))


def _text(body: dict[str, Any], name: str, default: str | None = None) -> str:
    """A text field of a body; refused if it is missing without a default or not a text."""
    value = body.get(name, default)
    if value is None and default is not None:
        return default
    if not isinstance(value, str) or (not value and default is None):
        raise _Refused(BAD_PARAMETERS, f"{name} is missing or not a text.")
    return value


def _form(media: str, raw: bytes) -> dict[str, Any]:
    """The text fields of a multipart/form-data body."""
    message = message_from_bytes(b"Content-Type: " + media.encode("latin-1") + b"\r\n\r\n" + raw, policy=policy.HTTP)
    fields: dict[str, Any] = {}
    if not message.is_multipart():
        raise _Refused(BAD_PARAMETERS, "Not multipart/form-data.")
    for part in message.iter_parts():
        name = part.get_param("name", header="Content-Disposition")
        payload = part.get_payload(decode=True)
        if isinstance(name, str) and isinstance(payload, bytes):
            fields[name] = payload.decode("utf-8", "replace")
    return fields


def _make_odd(shown: dict[str, Any], rng: random.Random) -> None:
    """Take something away from a stranger's item, or turn it into something else."""
    person = next((name for name in ("author_details", "sender", "author") if isinstance(shown.get(name), dict)), "")
    change = rng.randrange(6)
    if change == 0 and person:
        shown[person] = None
    elif change == 1 and person:
        shown.pop(person)
    elif change == 2 and person:
        shown[person]["id"] = rng.choice((None, 12, ""))
    elif change == 3 and "text" in shown:
        shown["text"] = rng.choice((None, 7, ["a"]))
    elif change == 4:
        shown["id"] = rng.choice((None, 123456789012345678901, ""))
    else:
        for name in ("date", "created_at", "value"):
            if name in shown:
                shown[name] = rng.choice((None, "", "yesterday", 0))
