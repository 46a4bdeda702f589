"""Tells the sandbox which faults to produce; docs/reference/sandbox.md documents the format.

The one rule: a fault file is refused unless every field of it is understood. A test whose faults do not happen proves
nothing.
"""

from __future__ import annotations

import json
import random
import threading
from collections.abc import Mapping
from dataclasses import dataclass, replace
from enum import Enum
from pathlib import Path
from typing import Any

from marshmallow import RAISE, Schema, ValidationError, fields, validate

from adapters.unipile.sandbox.messages import Outgoing, Read, Write, json_answer, problem
from adapters.unipile.sandbox.provider import ReadHabits

__all__ = ["Ending", "Fault", "FaultPlan", "read_faults"]


class Ending(Enum):
    """How the exchange ends, after everything else has happened."""

    ANSWER = "answer"
    CUT = "cut"
    DROP = "drop"
    HANG = "hang"
    DRIP = "drip"


@dataclass(frozen=True, kw_only=True, slots=True)
class Fault:
    """What happens to one request. `reply` None means the provider's own answer; delays are in seconds.

    `interim` is sent before the answer and `extra` after it. `cursor` replaces the page's own cursor.
    """

    applies: bool = True
    ending: Ending = Ending.ANSWER
    reply: Outgoing | None = None
    delay: float = 0.0
    hang_for: float = 3600.0
    bytes_per_second: float = 1.0
    drip_from: str = "head"
    interim: tuple[Outgoing, ...] = ()
    extra: Outgoing | None = None
    extra_delay: float = 0.0
    cursor: str | None = None


@dataclass(kw_only=True)
class _Rule:
    match: Mapping[str, Any]
    action: str
    options: Mapping[str, Any]
    dice: random.Random
    matched: int = 0
    fired: int = 0

    def fires(self, wanted: Write | Read) -> bool:
        """Whether the rule applies to this request; counts the request."""
        if not _matches(self.match, wanted):
            return False
        self.matched += 1
        if self.matched != self.match.get("nth", self.matched):
            return False
        if "times" in self.match and self.fired >= self.match["times"]:
            return False
        if self.dice.random() >= self.match.get("probability", 1.0):
            return False
        self.fired += 1
        return True


class FaultPlan:
    """The rules in force, and how reads behave. Safe to use from many threads."""

    def __init__(self, document: object = None) -> None:
        """Take a parsed fault document.
        Raises `ValueError` for a wrong one; the message names the rule and the field."""
        self._lock = threading.Lock()
        document = [] if document is None else document
        settings = _checked(_DocumentSchema(), document if isinstance(document, dict) else {"rules": document}, "")
        self._rules = [_rule(raw, index) for index, raw in enumerate(settings.pop("rules", []))]
        self.habits = ReadHabits(**settings)

    def fault_for(self, wanted: Write | Read) -> Fault:
        """What happens to this request.
        The first rule that fires decides; faults that only add to the answer add up."""
        added = Fault()
        with self._lock:
            for rule in self._rules:
                if not rule.fires(wanted):
                    continue
                if rule.action not in _ADD:
                    return _fault(rule, wanted, added)
                added = _with(added, rule)
        return added


def read_faults(path: Path) -> object:
    """The fault document in a JSON file, checked.

    Raises:
        ValueError: the file cannot be read, or is not a fault document; the message says where.
    """
    try:
        document: object = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise ValueError(f"{path}: {error}") from error
    FaultPlan(document)
    return document


class _Strict(Schema):
    class Meta:
        unknown = RAISE


class _DocumentSchema(_Strict):
    rules = fields.List(fields.Dict())
    visibility_lag = fields.Float(validate=validate.Range(min=0))
    page_size = fields.Integer(validate=validate.Range(min=1, max=100))
    change_entities = fields.Boolean()
    trim_text = fields.Boolean()


class _MatchSchema(_Strict):
    request = fields.String(validate=validate.OneOf(["engage", "read", "any"]))
    engagement_type = fields.String(validate=validate.OneOf(["like", "comment"]))
    account = fields.String()
    post_id = fields.String()
    nth = fields.Integer(strict=True, validate=validate.Range(min=1))
    times = fields.Integer(strict=True, validate=validate.Range(min=1))
    probability = fields.Float(validate=validate.Range(min=0, max=1))
    seed = fields.Integer(strict=True)


class _RuleSchema(_Strict):
    match = fields.Nested(_MatchSchema, load_default=dict)
    action = fields.String(required=True)


class _LatencySchema(_RuleSchema):
    ms = fields.Float(required=True, validate=validate.Range(min=0))


class _StatusSchema(_RuleSchema):
    status = fields.Integer(required=True, strict=True, validate=validate.Range(min=200, max=599))
    body = fields.Raw()
    headers = fields.Dict(keys=fields.String(), values=fields.String())
    retry_after = fields.Float(validate=validate.Range(min=0))


class _RateLimitSchema(_RuleSchema):
    retry_after = fields.Float(required=True, validate=validate.Range(min=0))


class _HangSchema(_RuleSchema):
    seconds = fields.Float(validate=validate.Range(min=0))


class _DripSchema(_RuleSchema):
    bytes_per_second = fields.Float(required=True, validate=validate.Range(min=0, min_inclusive=False))
    part = fields.String(validate=validate.OneOf(["head", "body"]))


class _InterimSchema(_RuleSchema):
    statuses = fields.List(
        fields.Integer(strict=True, validate=validate.Range(min=100, max=199)),
        load_default=[103],
        validate=validate.Length(min=1),
    )
    headers = fields.Dict(keys=fields.String(), values=fields.String())


class _ExtraSchema(_RuleSchema):
    status = fields.Integer(load_default=201, strict=True, validate=validate.Range(min=200, max=599))
    body = fields.Raw(load_default=dict)
    ms = fields.Float(load_default=0, validate=validate.Range(min=0))


class _DenySchema(_RuleSchema):
    word = fields.String()
    retry_after = fields.Float(validate=validate.Range(min=0))


class _GarbageSchema(_RuleSchema):
    kind = fields.String(load_default="text", validate=validate.OneOf(["text", "coding", "nested", "cut"]))
    depth = fields.Integer(load_default=990, strict=True, validate=validate.Range(min=1, max=500_000))


_ACTIONS: Mapping[str, type[Schema]] = {
    "latency": _LatencySchema,
    "status": _StatusSchema,
    "apply_then_status": _StatusSchema,
    "rate_limit": _RateLimitSchema,
    "drop_before": _RuleSchema,
    "apply_then_drop": _RuleSchema,
    "hang": _HangSchema,
    "apply_then_hang": _HangSchema,
    "drip": _DripSchema,
    "apply_then_drip": _DripSchema,
    "garbage_body": _GarbageSchema,
    "deny": _DenySchema,
    "apply_then_deny": _DenySchema,
    "interim": _InterimSchema,
    "extra_answer": _ExtraSchema,
    "bad_cursor": _RuleSchema,
}
_ADD = frozenset({"latency", "interim", "extra_answer", "bad_cursor"})
"""These faults add to the answer. The next rules decide what the answer is."""


def _rule(raw: Mapping[str, Any], index: int) -> _Rule:
    action = raw.get("action")
    schema = _ACTIONS.get(action) if isinstance(action, str) else None
    if schema is None:
        raise ValueError(f"rule {index}: action: must be one of {', '.join(_ACTIONS)}")
    options = _checked(schema(), raw, f"rule {index}: ")
    match = options.pop("match")
    dice = random.Random(f"{match.get('seed', 0)}/{index}")  # noqa: S311 - repeatable on purpose
    return _Rule(match=match, action=options.pop("action"), options=options, dice=dice)


def _checked(schema: Schema, raw: object, where: str) -> dict[str, Any]:
    try:
        checked: dict[str, Any] = schema.load(raw)  # type: ignore[arg-type]
    except ValidationError as error:
        raise ValueError(where + _first_problem(error.messages)) from error
    return checked


def _first_problem(messages: Any) -> str:
    path = []
    while isinstance(messages, dict):
        name, messages = next(iter(messages.items()))
        path.append(str(name))
    return f"{'.'.join(path)}: {messages[0]}"


def _matches(match: Mapping[str, Any], wanted: Write | Read) -> bool:
    asked_for = match.get("request", "engage")
    if asked_for != "any" and (asked_for == "engage") != isinstance(wanted, Write):
        return False
    if "engagement_type" in match and match["engagement_type"] != _engagement_type(wanted):
        return False
    if match.get("account", wanted.account) != wanted.account:
        return False
    pattern = match.get("post_id")
    if pattern is None:
        return True
    prefix: str = pattern[:-1]
    return wanted.post_id.startswith(prefix) if pattern.endswith("*") else bool(wanted.post_id == pattern)


def _engagement_type(wanted: Write | Read) -> str | None:
    if isinstance(wanted, Write):
        return wanted.engagement_type
    return {"comments": "comment", "reactions": "like"}.get(wanted.about)


_HALF_A_CHARACTER = "after-\ud800"
_WITHOUT_BODY = {204, 304}
_ENDINGS = {"drop_before": Ending.DROP, "drop": Ending.DROP, "hang": Ending.HANG, "drip": Ending.DRIP}


def _with(fault: Fault, rule: _Rule) -> Fault:
    options = rule.options
    if rule.action == "latency":
        return replace(fault, delay=fault.delay + options["ms"] / 1000)
    if rule.action == "interim":
        headers = tuple(options.get("headers", {}).items())
        interim = (Outgoing(status=status, body=b"", headers=headers) for status in options["statuses"])
        return replace(fault, interim=(*fault.interim, *interim))
    if rule.action == "extra_answer":
        extra = json_answer(options["status"], options["body"])
        return replace(fault, extra=extra, extra_delay=options["ms"] / 1000)
    return replace(fault, cursor=_HALF_A_CHARACTER)


def _fault(rule: _Rule, wanted: Write | Read, added: Fault) -> Fault:
    options, kind = rule.options, rule.action.removeprefix("apply_then_")
    return replace(
        added,
        applies=rule.action.startswith("apply_then_") or kind == "garbage_body",
        ending=Ending.CUT if options.get("kind") == "cut" else _ENDINGS.get(kind, Ending.ANSWER),
        reply=_reply(rule, kind, wanted),
        hang_for=options.get("seconds", 3600.0),
        bytes_per_second=options.get("bytes_per_second", 1.0),
        drip_from=options.get("part", "head"),
    )


def _reply(rule: _Rule, kind: str, wanted: Write | Read) -> Outgoing | None:
    options = rule.options
    if kind == "garbage_body":
        return _garbage(options["kind"], options["depth"])
    if kind == "rate_limit":
        return _limited(wanted.dialect, options["retry_after"])
    if kind == "status":
        return _told(options, wanted)
    if kind == "deny":
        return _denied(wanted.dialect, options)
    if rule.action == "drip":
        return problem(wanted.dialect, 500, "unexpected_error", "Nothing was done")
    return None


def _garbage(kind: str, depth: int) -> Outgoing:
    json_type = ("Content-Type", "application/json")
    if kind == "coding":
        return Outgoing(status=201, body=b'{"object": "X"}', headers=(json_type, ("Content-Encoding", "gzip")))
    body = {"nested": b"[" * depth + b"]" * depth, "cut": b'{"object": "Comment'}.get(kind, b"\xff\xfe<html>")
    return Outgoing(status=201, body=body, headers=(json_type,))


def _denied(dialect: str, options: Mapping[str, Any]) -> Outgoing:
    word = options.get("word")
    told: dict[str, Any] = {"success": False} if dialect == "v0" else {"object": "Error"}
    if word is not None:
        told |= {"error": word} if dialect == "v0" else {"type": f"errors/{word}"}
    if "retry_after" in options:
        told["retry_after"] = options["retry_after"]
    return json_answer(200, told)


def _limited(dialect: str, seconds: float) -> Outgoing:
    header = (("Retry-After", f"{seconds:g}"),)
    if dialect == "v0":
        return json_answer(429, {"error": "rate_limit_exceeded", "retry_after": seconds}, header)
    body = {"title": "Too many requests", "type": "errors/limit_exceeded", "status": 429}
    return json_answer(429, body, header)


def _told(options: Mapping[str, Any], wanted: Write | Read) -> Outgoing:
    headers = tuple(options.get("headers", {}).items())
    if "retry_after" in options:
        headers += (("Retry-After", f"{options['retry_after']:g}"),)
    if options["status"] in _WITHOUT_BODY:
        return Outgoing(status=options["status"], body=b"", headers=headers)
    if "body" in options:
        return json_answer(options["status"], options["body"], headers)
    usual = problem(wanted.dialect, options["status"], "unexpected_error", "As the sandbox was told")
    return Outgoing(status=usual.status, body=usual.body, headers=(*usual.headers, *headers))
