"""Everything that can go wrong, each kind with a name.

A kind of write mischief either applies the write or does not, and says so in `applies`. The rule for all of them: no
documented clean refusal (401, 403, 404, 410, 422, 429, 503 of the provider's own types, a 2xx that says no) is ever
sent for a write that was applied. A kind of read mischief never makes a clean, complete list that hides what is there.
"""

from __future__ import annotations

import gzip
import json
import random
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Protocol

from .answers import Refusal, json_answer
from .wire import PLAIN, Answer, Style


class Scene(Protocol):
    """One request that is about to be answered, as the kinds below see it."""

    rng: random.Random
    is_v2: bool
    is_comment: bool

    def now(self) -> float:
        """The provider's own clock."""

    def apply(self) -> Answer:
        """Apply the write; the answer that an honest provider would give. At most once."""

    def refuse(self, refusal: Refusal) -> Answer:
        """An error answer in the request's dialect."""

    def read(self, change: ReadChange = ...) -> Answer:
        """The answer to a read, with changes."""

    def route_not_found(self) -> Answer:
        """The web framework's 404."""

    def send(self, answer: Answer, style: Style = PLAIN) -> None:
        """Put an answer on the wire."""

    def interim(self, status: int, *fields: tuple[str, str]) -> None:
        """Send an interim answer."""

    def hang(self) -> None:
        """Say nothing for a while."""

    def cut(self) -> None:
        """End the connection, one way or another."""

    def http_date(self, seconds_from_now: float, form: int) -> str:
        """A moment by the provider's clock as an HTTP date."""


@dataclass(frozen=True)
class ReadChange:
    """Changes to one page of a list. Only strangers' items are ever changed, and no item of ours is left out."""

    page_size: int | None = None
    shift: str = ""  # 'delete' or 'add': what strangers do after this page was made
    surrogate_cursor: bool = False
    surrogate_text: bool = False
    odd_items: bool = False


NO_CHANGE = ReadChange()


@dataclass(frozen=True)
class Kind:
    """A kind of mischief. `needs` names what the request must be for it: '', 'list', 'cursor' or 'repeated'."""

    name: str
    applies: bool
    needs: str
    about: str
    play: Callable[[Scene], None] = field(repr=False)


_WRITE: list[Kind] = []
_READ: list[Kind] = []
_Play = Callable[[Scene], None]


def _write(applies: bool, needs: str = "") -> Callable[[_Play], _Play]:
    def add(play: _Play) -> _Play:
        _WRITE.append(Kind(play.__name__, applies, needs, (play.__doc__ or "").split("\n")[0], play))
        return play

    return add


def _read(needs: str = "") -> Callable[[_Play], _Play]:
    def add(play: _Play) -> _Play:
        _READ.append(Kind(play.__name__, False, needs, (play.__doc__ or "").split("\n")[0], play))
        return play

    return add


class Deck:
    """Deals kinds in random order, each one once before any comes again, so that all are reached soon."""

    def __init__(self, kinds: tuple[Kind, ...], rng: random.Random) -> None:
        self._kinds = kinds
        self._rng = rng
        self._left: list[Kind] = []

    def deal(self, possible: Callable[[Kind], bool]) -> Kind | None:
        """The next kind that is possible now; those passed over stay in the deck."""
        if not any(possible(kind) for kind in self._left):
            fresh = [kind for kind in self._kinds if kind not in self._left]
            self._rng.shuffle(fresh)
            self._left.extend(fresh)
        for index, kind in enumerate(self._left):
            if possible(kind):
                return self._left.pop(index)
        return None


# -- writes: applied, and the answer gets lost ---------------------------------------------------------------------


@_write(applies=True)
def apply_then_cut(scene: Scene) -> None:
    """Applied; the connection ends without an answer."""
    scene.apply()
    scene.cut()


@_write(applies=True)
def apply_then_cut_in_head(scene: Scene) -> None:
    """Applied; the connection ends in the middle of the answer's head."""
    scene.send(scene.apply(), Style(head_only_up_to=scene.rng.uniform(0.02, 0.95)))
    scene.cut()


@_write(applies=True)
def apply_then_hang_then_answer(scene: Scene) -> None:
    """Applied; the right answer comes after seconds."""
    answer = scene.apply()
    scene.hang()
    scene.send(answer)


@_write(applies=True)
def apply_then_hang_then_cut(scene: Scene) -> None:
    """Applied; seconds later the connection ends without an answer."""
    scene.apply()
    scene.hang()
    scene.cut()


@_write(applies=True)
def apply_then_500(scene: Scene) -> None:
    """Applied; answered with 500."""
    scene.apply()
    _server_error(scene, 500)


@_write(applies=True)
def apply_then_502(scene: Scene) -> None:
    """Applied; answered with 502."""
    scene.apply()
    _server_error(scene, 502)


@_write(applies=True)
def apply_then_503(scene: Scene) -> None:
    """Applied; answered with a 503 that has none of the provider's own types for it."""
    scene.apply()
    _server_error(scene, 503)


@_write(applies=True)
def apply_then_504(scene: Scene) -> None:
    """Applied; answered with 504."""
    scene.apply()
    _server_error(scene, 504)


@_write(applies=True)
def apply_then_409(scene: Scene) -> None:
    """Applied; answered with a bare 409 (or account_busy)."""
    scene.apply()
    _conflict(scene)


@_write(applies=True)
def interim_then_cut(scene: Scene) -> None:
    """Applied; interim answers, then the connection ends."""
    scene.apply()
    for _ in range(scene.rng.randint(1, 3)):
        scene.interim(scene.rng.choice((100, 102, 103)))
    scene.cut()


# -- writes: applied, and the answer is right but comes in a strange way --------------------------------------------


@_write(applies=True)
def interim_100(scene: Scene) -> None:
    """Applied; 100 Continue (not asked for), then the right answer."""
    _after_interim(scene, (100,))


@_write(applies=True)
def interim_102(scene: Scene) -> None:
    """Applied; 102 Processing, then the right answer."""
    _after_interim(scene, (102,))


@_write(applies=True)
def interim_103(scene: Scene) -> None:
    """Applied; 103 Early Hints, then the right answer."""
    _after_interim(scene, (103,))


@_write(applies=True)
def interim_several(scene: Scene) -> None:
    """Applied; several interim answers, then the right answer."""
    _after_interim(scene, tuple(scene.rng.choices((100, 102, 103, 102, 199), k=scene.rng.randint(2, 6))))


@_write(applies=True)
def chunked_answer(scene: Scene) -> None:
    """Applied; the right answer, chunked (with chunk extensions and trailers)."""
    scene.send(scene.apply(), Style(chunked=True))


@_write(applies=True)
def small_packets(scene: Scene) -> None:
    """Applied; the right answer in very many small packets."""
    scene.send(scene.apply(), Style(small_packets=True, chunked=scene.rng.random() < 0.3))


@_write(applies=True)
def odd_head(scene: Scene) -> None:
    """Applied; the right answer with odd header case, spacing, order and reason phrase."""
    scene.send(scene.apply(), Style(odd_head=True))


@_write(applies=True)
def connection_close(scene: Scene) -> None:
    """Applied; the right answer with Connection: close (perhaps without a length)."""
    scene.send(scene.apply(), Style(close=True, until_close=scene.rng.random() < 0.4))


@_write(applies=True)
def split_head(scene: Scene) -> None:
    """Applied; the right answer, its head in two packets with a pause between."""
    scene.send(scene.apply(), Style(split_head=True))


@_write(applies=True)
def extra_bytes(scene: Scene) -> None:
    """Applied; the right answer, and in the same packet bytes that belong to nothing (perhaps a forged answer)."""
    scene.send(scene.apply(), Style(extra=_extra(scene)))


# -- writes: applied, and the body of the 2xx cannot be read -----------------------------------------------------------


@_write(applies=True)
def body_empty(scene: Scene) -> None:
    """Applied; a 2xx with an empty body."""
    answer = scene.apply()
    scene.send(Answer(scene.rng.choice((answer.status, 200, 202, 204)), b"", answer.headers, answer.content_type))


@_write(applies=True)
def body_cut(scene: Scene) -> None:
    """Applied; a 2xx whose body is shorter than promised."""
    answer = scene.apply()
    chunked = scene.rng.random() < 0.4
    scene.send(answer, Style(missing=scene.rng.randint(1, len(answer.body)), chunked=chunked))
    scene.cut()


@_write(applies=True)
def body_undecodable(scene: Scene) -> None:
    """Applied; a 2xx whose Content-Encoding or charset lies."""
    answer = scene.apply()
    body, extra = scene.rng.choice(
        (
            (answer.body, (("Content-Encoding", "gzip"),)),
            (gzip.compress(answer.body)[:-9], (("Content-Encoding", "gzip"),)),
            (answer.body, (("Content-Encoding", "br"),)),
            (answer.body, (("Content-Encoding", "deflate"),)),
            (answer.body, (("Content-Encoding", "x-none-such"),)),
            (b"\xff\xfe\x00" + answer.body + b"\xc3\x28", ()),
            (answer.body.replace(b'"object"', b'"obj\xe9ct"'), ()),
        )
    )
    scene.send(Answer(answer.status, body, answer.headers + extra, answer.content_type))


@_write(applies=True)
def body_garbage(scene: Scene) -> None:
    """Applied; a 2xx whose body is not JSON, or JSON of a wrong shape."""
    answer = scene.apply()
    scene.send(Answer(answer.status, _garbage(scene), answer.headers, answer.content_type))


@_write(applies=True)
def body_deep(scene: Scene) -> None:
    """Applied; a 2xx whose body is nested 2,000 levels deep."""
    answer = scene.apply()
    scene.send(Answer(answer.status, _deep(scene), answer.headers, answer.content_type))


# -- writes: not applied, and nobody can tell ----------------------------------------------------------------------


@_write(applies=False)
def cut_before_applying(scene: Scene) -> None:
    """Not applied; the connection ends without an answer."""
    scene.cut()


@_write(applies=False)
def hang_then_cut(scene: Scene) -> None:
    """Not applied; seconds later the connection ends without an answer."""
    scene.hang()
    scene.cut()


@_write(applies=False)
def hang_then_error(scene: Scene) -> None:
    """Not applied; seconds later a 500, 502 or 504."""
    scene.hang()
    _server_error(scene, scene.rng.choice((500, 502, 504)))


@_write(applies=False)
def not_applied_500(scene: Scene) -> None:
    """Not applied; answered with 500 (as v1 also does when over a limit)."""
    _server_error(scene, 500)


@_write(applies=False)
def not_applied_503(scene: Scene) -> None:
    """Not applied; answered with a 503 that has none of the provider's own types for it."""
    _server_error(scene, 503)


@_write(applies=False)
def not_applied_409(scene: Scene) -> None:
    """Not applied; answered with a bare 409 (or account_busy)."""
    _conflict(scene)


# -- writes: not applied, and the answer proves it -----------------------------------------------------------------


@_write(applies=False)
def no_client_session_503(scene: Scene) -> None:
    """Not applied; 503 no_client_session, no_channel or no_handler."""
    word = scene.rng.choice(("no_client_session", "no_channel", "no_handler"))
    scene.send(scene.refuse(Refusal(503, word, "No client session", "The provider had no session to act with.")))


@_write(applies=False)
def limit_seconds(scene: Scene) -> None:
    """Not applied; 429 with Retry-After in seconds."""
    scene.send(_limit(scene).with_headers(("Retry-After", str(scene.rng.randint(1, 3)))))


@_write(applies=False)
def limit_http_date(scene: Scene) -> None:
    """Not applied; 429 with Retry-After as an HTTP date by the provider's clock (three legal forms)."""
    date = scene.http_date(scene.rng.randint(2, 4), scene.rng.choice((0, 0, 1, 2)))
    scene.send(_limit(scene).with_headers(("Retry-After", date)))


@_write(applies=False)
def limit_without_header(scene: Scene) -> None:
    """Not applied; 429 without Retry-After."""
    scene.send(_limit(scene))


@_write(applies=False)
def limit_in_body(scene: Scene) -> None:
    """Not applied; 429 with `retry_after` in the body."""
    body: dict[str, object] = {"error": "rate_limit_exceeded", "retry_after": scene.rng.randint(1, 3)}
    if scene.rng.random() < 0.5:
        body.update(type="api/too_many_requests" if scene.is_v2 else "errors/too_many_requests", status=429)
    scene.send(json_answer(429, body, scene.rng))


@_write(applies=False)
def limit_odd_header(scene: Scene) -> None:
    """Not applied; 429 with a Retry-After that makes no sense, or two of them, or a date in the past."""
    odd = scene.rng.choice(("", "soon", "-5", "1.5", "1, 2", "0", "NaN", "9" * 400, scene.http_date(-86_400, 0)))
    answer = _limit(scene).with_headers(("Retry-After", odd))
    scene.send(answer.with_headers(("retry-after", "2")) if scene.rng.random() < 0.2 else answer)


@_write(applies=False)
def limit_html(scene: Scene) -> None:
    """Not applied; a 429 of the web server in front, with an HTML body."""
    body = b"<html><head><title>429 Too Many Requests</title></head><body>nginx</body></html>"
    scene.send(Answer(429, body, (), "text/html"))


@_write(applies=False)
def limit_exceeded_422(scene: Scene) -> None:
    """Not applied; limit_exceeded with a status that is not 429."""
    scene.send(scene.refuse(Refusal(422, "limit_exceeded", "Limit exceeded", "Daily limit reached.")))


@_write(applies=False)
def limit_after_interim(scene: Scene) -> None:
    """Not applied; interim answers, then a 429."""
    for _ in range(scene.rng.randint(1, 3)):
        scene.interim(scene.rng.choice((100, 102, 103)))
    scene.send(_limit(scene).with_headers(("Retry-After", "2")))


@_write(applies=False)
def says_no_success_false(scene: Scene) -> None:
    """Not applied; a 2xx with success: false and an error word."""
    word = scene.rng.choice(("rate_limit_exceeded", "rate_limit", "post_not_found", "profile_blocked", "try_again"))
    body: dict[str, object] = {"success": False, "error": word}
    if word == "rate_limit_exceeded":
        body["retry_after"] = scene.rng.randint(1, 3)
    scene.send(json_answer(scene.rng.choice((200, 201)), body, scene.rng))


@_write(applies=False)
def says_no_object_error(scene: Scene) -> None:
    """Not applied; a 2xx whose object is Error."""
    prefix = "provider" if scene.is_v2 else "errors"
    word = scene.rng.choice(("too_many_requests", "invalid_post", "insufficient_permissions", "no_client_session"))
    body = {
        "object": "Error",
        "type": f"{prefix}/{word}",
        "title": "Refused",
        "detail": "Nothing was done.",
        "status": scene.rng.choice((422, 403, 429)),
    }
    scene.send(json_answer(scene.rng.choice((200, 201)), body, scene.rng))


@_write(applies=False)
def refused_403(scene: Scene) -> None:
    """Not applied; 403 insufficient_permissions or blocked_recipient: this action is not allowed."""
    scene.send(scene.refuse(Refusal(403, scene.rng.choice(("insufficient_permissions", "blocked_recipient")), "No")))


@_write(applies=False)
def refused_404(scene: Scene) -> None:
    """Not applied; 404 resource_not_found although the post is there."""
    scene.send(scene.refuse(Refusal(404, "resource_not_found", "Resource not found")))


@_write(applies=False)
def refused_404_untyped(scene: Scene) -> None:
    """Not applied; a 404 of the web framework, without one of the provider's own types."""
    scene.send(scene.route_not_found())


@_write(applies=False)
def refused_422(scene: Scene) -> None:
    """Not applied; a false 422 invalid_post (or the like) on a live post."""
    word = scene.rng.choice(("invalid_post", "resource_not_found", "invalid_resource_identifier"))
    scene.send(scene.refuse(Refusal(422, word, "Unprocessable")))


@_write(applies=False, needs="repeated")
def already_performed(scene: Scene) -> None:
    """Not applied again; 422 action_already_performed and the like, only when it truly lies there already."""
    if scene.is_v2:
        refusal = scene.rng.choice(
            (Refusal(422, "already_exists", "Already exists", family="api"), Refusal(422, "conflict", "Conflict"))
        )
    else:
        refusal = Refusal(422, "action_already_performed", "Action already performed")
    scene.send(scene.refuse(refusal))


# -- reads -----------------------------------------------------------------------------------------------------------


@_read()
def read_error(scene: Scene) -> None:
    """A 500, 502, 503 or 504."""
    _server_error(scene, scene.rng.choice((500, 502, 503, 504)))


@_read()
def read_limit(scene: Scene) -> None:
    """A 429."""
    answer = _limit(scene)
    scene.send(answer.with_headers(("Retry-After", "1")) if scene.rng.random() < 0.7 else answer)


@_read()
def read_cut(scene: Scene) -> None:
    """The connection ends: before the answer, in its head, or in its body."""
    where = scene.rng.choice(("before", "head", "body"))
    if where == "head":
        scene.send(scene.read(), Style(head_only_up_to=scene.rng.uniform(0.02, 0.95)))
    elif where == "body":
        answer = scene.read()
        scene.send(answer, Style(missing=scene.rng.randint(1, len(answer.body)), chunked=scene.rng.random() < 0.4))
    scene.cut()


@_read()
def read_hang_then_answer(scene: Scene) -> None:
    """The right answer comes after seconds (and is as old as the request)."""
    answer = scene.read()
    scene.hang()
    scene.send(answer)


@_read()
def read_hang_then_cut(scene: Scene) -> None:
    """Seconds later the connection ends without an answer."""
    scene.hang()
    scene.cut()


@_read()
def read_garbage(scene: Scene) -> None:
    """A 200 that is not JSON, or JSON of a wrong shape, empty, nested deeply, or with a lying encoding."""
    body = scene.rng.choice(
        (
            _garbage(scene),
            b"",
            _deep(scene),
            b'{"object":"CommentList","items":null}',
            b'{"object":"List","data":"none"}',
        )
    )
    headers = (("Content-Encoding", "gzip"),) if scene.rng.random() < 0.2 else ()
    scene.send(Answer(200, body, headers))


@_read()
def read_says_no(scene: Scene) -> None:
    """A 200 whose body says that it failed."""
    body = scene.rng.choice(
        (
            {"object": "Error", "type": "errors/provider_unreachable", "title": "Provider unreachable", "status": 500},
            {"success": False, "error": "server_error"},
        )
    )
    scene.send(json_answer(200, body, scene.rng))


@_read()
def read_strange_way(scene: Scene) -> None:
    """The right answer: chunked, in small packets, with an odd or split head, or closing the connection."""
    style = scene.rng.choice(
        (
            Style(chunked=True),
            Style(small_packets=True),
            Style(odd_head=True),
            Style(close=True),
            Style(split_head=True),
            Style(odd_head=True, chunked=True, small_packets=True),
        )
    )
    scene.send(scene.read(), style)


@_read()
def read_interim(scene: Scene) -> None:
    """Interim answers before the right one."""
    for _ in range(scene.rng.randint(1, 4)):
        scene.interim(scene.rng.choice((100, 102, 103)))
    scene.send(scene.read())


@_read()
def read_extra_bytes(scene: Scene) -> None:
    """The right answer followed by bytes that belong to nothing."""
    scene.send(scene.read(), Style(extra=_extra(scene)))


@_read(needs="list")
def read_surrogate_cursor(scene: Scene) -> None:
    r"""The cursor contains an unpaired surrogate escape ("\ud800"): it leads nowhere."""
    scene.send(scene.read(ReadChange(surrogate_cursor=True)))


@_read(needs="list")
def read_surrogate_text(scene: Scene) -> None:
    """An unpaired surrogate escape in a stranger's item or a field nobody knows; otherwise right."""
    scene.send(scene.read(ReadChange(surrogate_text=True)))


@_read(needs="list")
def read_odd_items(scene: Scene) -> None:
    """Strangers' items with missing authors, null texts, numbers for ids, no date; otherwise right."""
    scene.send(scene.read(ReadChange(odd_items=True)))


@_read(needs="list")
def read_shift(scene: Scene) -> None:
    """Right, but strangers' newest items are deleted before the next page."""
    scene.send(scene.read(ReadChange(shift="delete")))


@_read(needs="list")
def read_overlap(scene: Scene) -> None:
    """Right, but strangers add items at the top before the next page, which repeats some."""
    scene.send(scene.read(ReadChange(shift="add")))


@_read(needs="list")
def read_short_page(scene: Scene) -> None:
    """A page with one item, or with none and a cursor."""
    scene.send(scene.read(ReadChange(page_size=scene.rng.choice((0, 1)))))


@_read(needs="cursor")
def read_cursor_refused(scene: Scene) -> None:
    """A good cursor is refused as expired."""
    scene.send(scene.refuse(Refusal(400, "invalid_parameters", "Invalid cursor", "The cursor has expired.", "api")))


WRITE_KINDS: tuple[Kind, ...] = tuple(_WRITE)
READ_KINDS: tuple[Kind, ...] = tuple(_READ)
KIND_NAMES: tuple[str, ...] = tuple(kind.name for kind in (*WRITE_KINDS, *READ_KINDS))


# -- pieces ----------------------------------------------------------------------------------------------------------


def _after_interim(scene: Scene, statuses: tuple[int, ...]) -> None:
    answer = scene.apply()
    for status in statuses:
        fields = (("Link", "</style.css>; rel=preload"),) if status == 103 else ()
        scene.interim(status, *fields)
    scene.send(answer)


def _server_error(scene: Scene, status: int) -> None:
    """An answer that leaves open whether anything was done: typed, of the web server in front, or empty."""
    words = ("network_down", "proxy_timeout", "unexpected_error", "service_unavailable")
    if scene.is_v2:
        words = ("server_error", "timeout", "network_down", "proxy_timeout")
    form = scene.rng.random()
    if form < 0.5:
        answer = scene.refuse(Refusal(status, scene.rng.choice(words), "Something went wrong"))
    elif form < 0.8:
        answer = Answer(status, f"<html><body><h1>{status}</h1><hr>nginx</body></html>".encode(), (), "text/html")
    else:
        answer = Answer(status, b"")
    if status == 503 and scene.rng.random() < 0.4:
        answer = answer.with_headers(("Retry-After", "1"))
    scene.send(answer, Style(close=scene.rng.random() < 0.3))


def _conflict(scene: Scene) -> None:
    form = scene.rng.random()
    if form < 0.4:
        scene.send(Answer(409, b""))
    elif form < 0.7:
        scene.send(json_answer(409, {"message": "Conflict", "statusCode": 409}, scene.rng))
    else:
        scene.send(scene.refuse(Refusal(409, "account_busy", "Account busy")))


def _limit(scene: Scene) -> Answer:
    family = scene.rng.choice(("api", "provider"))
    answer = scene.refuse(Refusal(429, "too_many_requests", "Too many requests", "Slow down.", family))
    if scene.is_v2 or scene.rng.random() < 0.3:
        answer = answer.with_headers(
            ("X-RateLimit-Limit", "100"),
            ("x-ratelimit-remaining", "0"),
            ("x-ratelimit-reset", str(int(scene.now()) + 2)),
        )
    return answer


def _extra(scene: Scene) -> bytes:
    """Bytes after the end of an answer. A forged answer is never a refusal; nothing sent after it is ever applied."""
    word = "CommentSent" if scene.is_comment else "ReactionAdded"
    body = json.dumps({"object": word, "comment_id": "1"}).encode()
    forged = (
        b"HTTP/1.1 201 Created\r\nContent-Type: application/json\r\nContent-Length: "
        + str(len(body)).encode()
        + b"\r\n\r\n"
        + body
    )
    return scene.rng.choice((b"\r\n", b"\r\n\r\n0\r\n\r\n", b"\x00\xffnonsense", b"HTTP/1.1 ", forged, forged))


def _garbage(scene: Scene) -> bytes:
    return scene.rng.choice(
        (
            b"OK",
            b"undefined",
            b"<!doctype html><html><body>Created</body></html>",
            b"{",
            b'{"object":"CommentSe',
            b"[]",
            b"null",
            b"true",
            b"12",
            b'"ok"',
            b"{}",
            b"NaN",
            b'{"object":NaN}',
            b'{"object":["CommentSent"]}',
            b'{"object":"CommentSent","comment_id":' + b"9" * 6_000 + b"}",
            b'{"comment_id":{"a":1},"object":7}',
            b"\x00\x01\x02\x03",
            b"\x1f\x8b\x08\x00broken",
            b'{"object":"\\ud800","comment_id":"\\udfff"}',
            b"\xef\xbb\xbf{}",
            b'{"object":"CommentSent","comment_id":1e999}',
            b" " * 70_000,
            scene.rng.randbytes(300),
        )
    )


def _deep(scene: Scene) -> bytes:
    levels = 2_000
    if scene.rng.random() < 0.5:
        inner = "[" * levels + "]" * levels
    else:
        inner = '{"a":' * levels + "1" + "}" * levels
    if scene.rng.random() < 0.3:
        return inner.encode()
    return ('{"object":"CommentSent","nested":' + inner + "}").encode()


__all__ = ["KIND_NAMES", "NO_CHANGE", "READ_KINDS", "WRITE_KINDS", "Deck", "Kind", "ReadChange", "Scene"]
