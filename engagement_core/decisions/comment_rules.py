"""The rules for a comment in an account's name, and what is sent when a voice breaks them.

The one rule: a doubt costs the pod its voice, never the comment. A voice's text that may be wrong is dropped, not
repaired, and the original is sent.

A comment is checked and sent in one form: line ends are `\\n`, and white space around it is removed. Its length is
counted in code points of that form, as `len` here and `char_length` in PostgreSQL count. The provider says
"characters" and does not say which. If it counts an emoji twice, it refuses a comment close to the limit: nothing is
lost.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Callable
from dataclasses import dataclass

__all__ = ["MAX_LENGTH", "Chosen", "check_comment", "check_spoken", "choose_text"]

MAX_LENGTH = 1250
"""The longest comment that the provider takes, in characters."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Chosen:
    """The text to send. `problems` says why the voice's text was not used; it is also empty if the voice failed."""

    text: str
    used_voice: bool
    problems: tuple[str, ...] = ()


def check_comment(text: str | None) -> tuple[str, ...]:
    """What is wrong with an original comment; empty if it may be sent. One sentence each; none quotes the comment."""
    tidy = _tidied(text or "")
    # Invisible characters, such as a zero-width space, survive trimming but make no comment.
    if all(unicodedata.category(character) in _BLANK for character in tidy):
        return ("it is empty",)
    problems = []
    if len(tidy) > MAX_LENGTH:
        problems.append(f"it has {len(tidy)} characters; the provider takes {MAX_LENGTH}")
    if "{{" in tidy or "}}" in tidy:
        problems.append("it has double braces, which the provider reads as a mention")
    if unsendable := sorted({character for character in tidy if _is_unsendable(character)}):
        problems.append("it has control characters: " + ", ".join(f"U+{ord(each):04X}" for each in unsendable))
    return tuple(problems)


def check_spoken(original: str, spoken: str) -> tuple[str, ...]:
    """Why the voice's text may not be used; empty if it may. One sentence each; none quotes the text.

    Only what the voice adds is judged. Links, mentions and braces of the original may stay.
    """
    problems = check_comment(spoken)
    if problems:
        return problems  # the length was checked first: a very long answer costs no more than this
    before, after = _tidied(original), _tidied(spoken)
    added = [
        f"it has {what} that the original does not have" for what, found in _FINDERS if found(after) - found(before)
    ]
    if _is_quoted(after) and not _is_quoted(before):
        added.append("it is wrapped in quotation marks")
    if _PREAMBLE.match(after) and not _PREAMBLE.match(before):
        added.append("it talks about the comment instead of being the comment")
    return tuple(added)


def choose_text(original: str, spoken: str | None) -> Chosen:
    """The voice's text if it may be used, else the original. `spoken` is None if the voice failed.

    The original must have passed `check_comment`. Never raises.
    """
    problems = () if spoken is None else check_spoken(original, spoken)
    if spoken is None or problems:
        return Chosen(text=_tidied(original), used_voice=False, problems=problems)
    return Chosen(text=_tidied(spoken), used_voice=True)


def _tidied(text: str) -> str:
    return text.replace("\r\n", "\n").replace("\r", "\n").strip()


_BLANK = frozenset({"Cc", "Cf", "Cs", "Zl", "Zp", "Zs"})


def _is_unsendable(character: str) -> bool:
    # Cs: half of a surrogate pair. JSON can contain it, and UTF-8 cannot encode it.
    return unicodedata.category(character) in {"Cc", "Cs"} and character not in "\n\t"


_QUOTES = frozenset({'""', "''", "``", "\u201c\u201d", "\u2018\u2019", "\u00ab\u00bb", "\u201e\u201c"})


def _is_quoted(text: str) -> bool:
    return text[:1] + text[-1:] in _QUOTES


def _all(pattern: str) -> Callable[[str], set[str]]:
    compiled = re.compile(pattern, re.IGNORECASE)
    return lambda text: {found.casefold().rstrip(".,;:!?)\"'") for found in compiled.findall(text)}


_FINDERS: tuple[tuple[str, Callable[[str], set[str]]], ...] = (
    ("braces", _all(r"[{}]")),
    # Also what a site turns into a link automatically: `example.com`, and `great.Love` after a forgotten space.
    ("a link", _all(r"[a-z][a-z0-9+.-]*://\S+|(?:[\w-]+\.)+[^\W\d_]{2,}")),
    ("a mention", _all(r"[@\uff20]\w[\w.-]*")),
    ("a hashtag", _all(r"[#\uff03]\w+")),
    # The provider would show it literally.
    ("HTML", _all(r"<(?:/?[a-z]|!)[^<>]*>|&(?:[a-z]{2,8}|#\d{1,6});")),
)

# How language models introduce, label or decline their work.
_PREAMBLE = re.compile(
    r"""
    [*_]* (?:
      (?:sure|certainly|absolutely|of\ course|okay|ok|got\ it|happy\ to\ help)\b [\s,.!:-]+
          (?:here(?:['\u2019]s|\ is|\ are|\ you\ go)
          |below|i(?:['\u2019]ve|\ have)\ (?:made|(?:re)?written|rephrased|drafted))\b
    | (?:here['\u2019]s|here\ is|here\ are|below\ is)\b [^.!?\n]{0,80}
          \b(?:comment|version|rewrite|rewording|revision|draft|reply|response|text|option)s?\b
    | (?:\w+\ ){0,2} (?:comment|version|rewrite|revision|draft|reply|response|output) \ ?:
    | as\ an?\ (?:ai|language\ model|assistant)\b
    | (?:i['\u2019]m\ sorry|i\ am\ sorry|sorry|i\ apologi[sz]e)[,.]?\ (?:but\ )?
          i(?:\ can(?:not|['\u2019]t)|\ won['\u2019]t|\ am\ unable|['\u2019]m\ unable)\b
    | i\ (?:can['\u2019]t|cannot)\ (?:help|assist|rewrite|comply|provide)\b
    )
    """,
    re.IGNORECASE | re.VERBOSE,
)
