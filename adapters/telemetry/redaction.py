"""Finds what must not be printed: by the name of its field, by its value, or by its shape.

The one rule: when in doubt, three asterisks. If a line shows too little, the database has the rest. A key that was
printed must be changed.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping, MutableMapping
from functools import lru_cache
from typing import Any
from urllib.parse import quote, unquote

__all__ = ["Redactor", "secrets_in_url"]

_MASK = "***"
_SECRET_KEYS = (
    "token",
    "api_key",
    "apikey",
    "authorization",
    "password",
    "secret",
    "webhook_url",
    "database_url",
    "dsn",
)
_TEXT_KEYS = ("text", "comment_text", "comment_generated")
_SHORTEST = 4
"""A shorter value is not masked, because every other word could contain it. (In a URL it is masked by its shape.)"""

# A text without any of these has none of the shapes below. So most texts need only one quick check.
_TELLTALE = re.compile(r"[=@]|[\"']:|bearer|basic", re.IGNORECASE)
_WORD = re.compile(r"[^\s\"'<>]+")
_SHAPES = (
    (re.compile(r"\b(bearer|basic) +[\w.~+/=-]+", re.IGNORECASE), r"\1 ***"),
    (
        re.compile(
            r"((?:password|passwd|api[_-]?key|token|secret|authorization)[\"']?(?:=|[\"']:) *)"
            r"(\"[^\"]*\"|'[^']*'|[^\s,;&\"'}]+)",
            re.IGNORECASE,
        ),
        r"\1***",
    ),
)
_PASSWORD_OPTION = re.compile(r"password\s*=\s*('(?:[^'\\]|\\.)*'|[^\s&]+)", re.IGNORECASE)
_USER_INFO = re.compile(r"^[^:/]+://(.*)@", re.DOTALL)
_ENCODED = re.compile(r"%[0-9A-F]{2}")
_PIECES = re.compile(r"[/@:#?]")


class Redactor:
    """Masks secrets in a structlog event. It is the last processor before the renderer."""

    def __init__(self, secrets: Iterable[str] = ()) -> None:
        """`secrets` are searched in every text, in all the ways in which they may be quoted."""
        forms = {form for secret in secrets for form in _forms(secret)}
        # The longest first: if one secret contains another, no part of it may stay visible.
        known = sorted((form for form in forms if len(form) >= _SHORTEST), key=len, reverse=True)
        self._known = re.compile("|".join(map(re.escape, known))) if known else None

    def __call__(self, _: Any, method: str, event: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
        """A structlog processor; `method` is the level's name."""
        for key, value in event.items():
            is_hidden = _names_a_secret(key) or (key in _TEXT_KEYS and method != "debug")
            event[key] = _MASK if is_hidden else self._clean(value)
        return event

    def text(self, text: str) -> str:
        """`text` without secrets."""
        if self._known is not None:
            text = self._known.sub(_MASK, text)
        if not _TELLTALE.search(text):
            return text
        if "://" in text:
            text = _WORD.sub(_without_user, text)
        for shape, masked in _SHAPES:
            text = shape.sub(masked, text)
        return text

    def _clean(self, value: Any) -> Any:
        if value is None or isinstance(value, (bool, int, float)):
            return value
        if isinstance(value, Mapping):
            return {str(key): _MASK if _names_a_secret(str(key)) else self._clean(each) for key, each in value.items()}
        if isinstance(value, (list, tuple, set, frozenset)):
            return [self._clean(each) for each in value]
        return self.text(str(value))


def secrets_in_url(url: str, *, whole: bool = False) -> tuple[str, ...]:
    """The parts of an address that must not be printed: its password, even if the address is malformed.

    Args:
        url: an address, a libpq connection string, or a text that somebody took for one.
        whole: the whole address is as secret as a password.
    """
    found = [url] if whole else []
    found += [option.strip("'") for option in _PASSWORD_OPTION.findall(url)]
    user_info = _USER_INFO.match(url)
    if user_info is not None:
        password = user_info[1].partition(":")[2]
        # A parser that fails at such a character quotes the text before or after it.
        found += [password, *_PIECES.split(password)]
    if whole:
        # An HTTP library would print it from the path on.
        found.append(url.partition("://")[2].partition("/")[2])
    return tuple(filter(None, found))


def _forms(secret: str) -> tuple[str, ...]:
    """The value in all its forms: unchanged, as in a URL (there is more than one way), and as Python and JSON quote
    it."""
    encoded = (quote(secret), quote(secret, safe=""))
    in_lower_case = (_ENCODED.sub(lambda found: found[0].lower(), form) for form in encoded)
    return (secret, unquote(secret), *encoded, *in_lower_case, repr(secret)[1:-1], json.dumps(secret)[1:-1])


def _without_user(word: re.Match[str]) -> str:
    """An address without user and password.
    It cuts up to the last `@`, because a password may hold `/`, `:` and `@` itself."""
    scheme, mark, rest = word[0].partition("://")
    return f"{scheme}://***{rest[rest.rindex('@') :]}" if mark and "@" in rest else word[0]


@lru_cache(maxsize=512)
def _names_a_secret(key: str) -> bool:
    return any(word in key.lower() for word in _SECRET_KEYS)
