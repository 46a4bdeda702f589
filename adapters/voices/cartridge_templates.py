"""The format of `voice_cartridges.templates`, and its only reader. `docs/reference/voices.md` describes it.

The one rule: a template that cannot be understood makes the whole cartridge fail. The error names the field and quotes
no comment.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from marshmallow import Schema, ValidationError, fields, validate

from engagement_core.ports.voice import VoiceFailed

__all__ = ["PLACEHOLDER", "Templates", "matching_key", "read_templates"]

PLACEHOLDER = re.compile(r"\{(opener|text|closer)\}")


@dataclass(frozen=True, kw_only=True, slots=True)
class Templates:
    """A cartridge's own words. None means "not given"; tone and style then decide."""

    openers: tuple[str, ...] | None
    closers: tuple[str, ...] | None
    comments: tuple[str, ...] | None
    rewrites: Mapping[str, tuple[str, ...]]


def read_templates(stored: Mapping[str, object] | None) -> Templates:
    """The templates of a cartridge; null and `{}` give nothing.

    Raises:
        VoiceFailed: they are malformed; the message names the first malformed field.
    """
    try:
        loaded: dict[str, Any] = _TemplatesSchema().load(stored or {})
    except ValidationError as error:
        raise VoiceFailed(_first_problem(error.messages)) from error
    return Templates(
        openers=_frozen(loaded["openers"]),
        closers=_frozen(loaded["closers"]),
        comments=_frozen(loaded["comments"]),
        rewrites={matching_key(original): tuple(texts) for original, texts in (loaded["rewrites"] or {}).items()},
    )


def matching_key(comment: str) -> str:
    """The form in which two comments are equal if they differ only in case and white space."""
    return " ".join(comment.casefold().split())


def _frozen(phrases: list[str] | None) -> tuple[str, ...] | None:
    return None if phrases is None else tuple(phrases)


def _check_phrase(phrase: str) -> None:
    if not phrase.strip():
        raise ValidationError("Is blank.")
    if "{" in phrase or "}" in phrase:
        raise ValidationError("Has braces; placeholders belong in `comments`.")


def _check_comment_template(template: str) -> None:
    if template.count("{text}") != 1:
        raise ValidationError("Must have {text} exactly once.")
    rest = PLACEHOLDER.sub("", template)
    if "{" in rest or "}" in rest:
        raise ValidationError("Has braces other than {opener}, {text} and {closer}.")


class _TemplatesSchema(Schema):
    openers = fields.List(fields.String(validate=_check_phrase), load_default=None, allow_none=True)
    closers = fields.List(fields.String(validate=_check_phrase), load_default=None, allow_none=True)
    comments = fields.List(fields.String(validate=_check_comment_template), load_default=None, allow_none=True)
    rewrites = fields.Dict(
        keys=fields.String(),
        values=fields.List(fields.String(validate=_check_phrase), validate=validate.Length(min=1)),
        load_default=None,
        allow_none=True,
    )


def _first_problem(messages: object) -> str:
    """Marshmallow's tree of messages as one line: the place of the first leaf and its message."""
    path = "templates"
    while isinstance(messages, Mapping):
        key, messages = next(iter(messages.items()))
        if isinstance(key, int):
            path += f"[{key}]"
        elif path == "templates" and key != "_schema":  # deeper keys are comments' texts
            path += f".{key}"
    text = messages[0] if isinstance(messages, list) else messages
    return f"{path}: {text}"
