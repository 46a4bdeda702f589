"""Says what each of the provider's answers means.

The one rule: one literal table decides. The provider's own word counts more than its status. An unknown word or status
falls back to what is safe: "it may have happened", unless the provider clearly said no.

A 2xx is a yes unless its body explicitly says no: a JSON object whose `success` is the boolean `false` (not 0, null or
a text), or whose `object` is `Error`. Such a no means what its word means. If its word is not in the table, the outcome
is unknown. Any other `object`, expected or not, leaves the yes a yes.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from email.utils import parsedate_to_datetime
from types import MappingProxyType

from marshmallow import EXCLUDE, Schema, fields

from adapters.http.session import HttpReply
from adapters.unipile.json_body import json_object, loaded
from adapters.unipile.plain import plain
from engagement_core.model.errors import Cause, Failure

__all__ = ["ANSWERS", "cause_of", "failure_of", "retry_after", "says_no"]

_ANY = None
_2XX, _4XX = "2xx", "4xx"
_LONGEST_WAIT = timedelta(hours=24)
_MAX_MESSAGE = 300
_MAX_WORD = 80

ANSWERS: Mapping[tuple[int | str | None, str | None], Cause] = MappingProxyType(
    {
        # (status or its class, the last part of the provider's type); None matches any. A type comes as errors/…, api/…
        # or provider/… (v1, v2), or without a prefix as `error` (v0).
        (_ANY, "limit_exceeded"): Cause.RATE_LIMITED,
        (_ANY, "rate_limit_exceeded"): Cause.RATE_LIMITED,
        (_ANY, "too_many_requests"): Cause.RATE_LIMITED,
        # The specification's own words. Together with a 5xx they prove nothing.
        (_2XX, "rate_limit"): Cause.RATE_LIMITED,
        (_4XX, "rate_limit"): Cause.RATE_LIMITED,
        (_2XX, "auth_error"): Cause.ACCOUNT_SIGNED_OUT,
        (_4XX, "auth_error"): Cause.ACCOUNT_SIGNED_OUT,
        (_2XX, "profile_blocked"): Cause.PROFILE_BLOCKED,
        (_4XX, "profile_blocked"): Cause.PROFILE_BLOCKED,
        (_2XX, "post_not_found"): Cause.POST_GONE,
        (_4XX, "post_not_found"): Cause.POST_GONE,
        (_ANY, "expired_credentials"): Cause.ACCOUNT_SIGNED_OUT,
        (_ANY, "disconnected_account"): Cause.ACCOUNT_SIGNED_OUT,
        (_ANY, "checkpoint_error"): Cause.ACCOUNT_SIGNED_OUT,
        (_ANY, "invalid_authorization"): Cause.ACCOUNT_SIGNED_OUT,
        (_ANY, "account_restricted"): Cause.PROFILE_BLOCKED,
        (_ANY, "action_required"): Cause.PROFILE_BLOCKED,
        (_ANY, "blocked_recipient"): Cause.PROFILE_BLOCKED,
        (_ANY, "insufficient_permissions"): Cause.PROFILE_BLOCKED,
        (_ANY, "invalid_post"): Cause.POST_GONE,
        (_ANY, "resource_not_found"): Cause.POST_GONE,
        (_ANY, "invalid_resource_identifier"): Cause.POST_GONE,
        (_ANY, "action_already_performed"): Cause.ALREADY_DONE,
        (_ANY, "already_exists"): Cause.ALREADY_DONE,
        (_ANY, "conflict"): Cause.ALREADY_DONE,
        # "Busy" does not say with what: it may be this same request, sent before.
        (_ANY, "account_busy"): Cause.UNINTELLIGIBLE,
        # Only together with 503 do these mean for certain that nothing was done.
        (503, "no_client_session"): Cause.NO_SESSION,
        (503, "no_channel"): Cause.NO_SESSION,
        (503, "no_handler"): Cause.NO_SESSION,
        (_ANY, "network_down"): Cause.SERVER_ERROR,
        (_ANY, "proxy_timeout"): Cause.SERVER_ERROR,
        (_ANY, "timeout"): Cause.SERVER_ERROR,
        (_ANY, "server_error"): Cause.SERVER_ERROR,
        (400, _ANY): Cause.REJECTED,
        (401, _ANY): Cause.ACCOUNT_SIGNED_OUT,
        (403, _ANY): Cause.REJECTED,
        (404, _ANY): Cause.POST_GONE,
        # Without a word, the conflict may be with anything.
        (409, _ANY): Cause.UNINTELLIGIBLE,
        (410, _ANY): Cause.POST_GONE,
        (415, _ANY): Cause.REJECTED,
        (422, _ANY): Cause.REJECTED,
        (429, _ANY): Cause.RATE_LIMITED,
        (500, _ANY): Cause.SERVER_ERROR,
        (501, _ANY): Cause.REJECTED,
        (502, _ANY): Cause.SERVER_ERROR,
        (503, _ANY): Cause.SERVER_ERROR,
        (504, _ANY): Cause.SERVER_ERROR,
        (_ANY, _ANY): Cause.UNINTELLIGIBLE,
    }
)


class _ProblemSchema(Schema):
    """The error bodies of the three dialects in one. Each field is taken or ignored by itself."""

    class Meta:
        unknown = EXCLUDE

    type = fields.String(allow_none=True)
    error = fields.String(allow_none=True)
    title = fields.String(allow_none=True)
    detail = fields.String(allow_none=True)
    message = fields.String(allow_none=True)
    retry_after = fields.Raw(allow_none=True)


_PROBLEM = _ProblemSchema()


@dataclass(frozen=True, kw_only=True, slots=True)
class _Problem:
    word: str | None
    sentence: str | None
    retry_after: object


def cause_of(status: int, word: str | None) -> Cause:
    """The table's answer for a status and the provider's type or error word."""
    cause = None if word is None else _by_word(status, word)
    return cause or ANSWERS.get((status, _ANY)) or ANSWERS[_ANY, _ANY]


def says_no(body: bytes | None) -> bool:
    """Whether the body of a 2xx explicitly says that nothing was done."""
    told = json_object(body)
    return told.get("success") is False or told.get("object") == "Error"


def failure_of(reply: HttpReply, *, now: datetime, secrets: Iterable[str]) -> Failure:
    """The failure that a reply reports: any status but 2xx, or a 2xx that says no.
    `now` is used if the reply has no date."""
    problem = _problem_in(reply)
    hidden = tuple(secrets)
    word = None if problem.word is None else plain(problem.word, limit=_MAX_WORD, secrets=hidden) or None
    said = ": ".join(filter(None, (word, problem.sentence)))
    return Failure(
        cause=cause_of(reply.status, problem.word),
        message=plain(f"The provider answered {reply.status}: {said or 'nothing'}", limit=_MAX_MESSAGE, secrets=hidden),
        retry_after=retry_after(reply.headers, problem.retry_after, now),
        provider_status=reply.status,
        provider_type=word,
    )


def retry_after(headers: Mapping[str, str], in_body: object, now: datetime) -> timedelta | None:
    """How long the provider asks us to wait: from its header (seconds or an HTTP date), else the body's seconds.

    At most 24 hours. A value that cannot be read, or that lies in the past, counts as no request to wait.
    """
    header = headers.get("Retry-After")
    wait = None
    if header is not None:
        wait = _seconds(header)
        if wait is None:
            wait = _until(header, _http_date(headers.get("Date")) or now)
    if wait is None:
        wait = _seconds(in_body)
    return wait


def _by_word(status: int, word: str) -> Cause | None:
    short = word.rsplit("/", 1)[-1].lower()
    for key in ((status, short), (f"{status // 100}xx", short), (_ANY, short)):
        if key in ANSWERS:
            return ANSWERS[key]
    return None


def _seconds(value: object) -> timedelta | None:
    if isinstance(value, bool) or not isinstance(value, (int, float, str)):
        return None
    try:
        seconds = float(value)
    except (ValueError, OverflowError):
        return None
    if not math.isfinite(seconds) or seconds < 0:
        return None
    return timedelta(seconds=min(seconds, _LONGEST_WAIT.total_seconds()))


def _until(date: str, answered_at: datetime) -> timedelta | None:
    at = _http_date(date)
    if at is None or at < answered_at:
        return None
    return min(at - answered_at, _LONGEST_WAIT)


def _http_date(value: str | None) -> datetime | None:
    if value is None:
        return None
    try:
        date = parsedate_to_datetime(value)
    except Exception:  # noqa: BLE001 - for a bad date, each release of the standard library raises other errors
        return None
    # A date without a zone cannot be compared. HTTP knows only GMT.
    return date if date.tzinfo is not None else None


def _problem_in(reply: HttpReply) -> _Problem:
    body = loaded(_PROBLEM, reply.body)
    sentences = (body.get("title"), body.get("detail"), body.get("message"))
    words = [word for word in (body.get("type"), body.get("error")) if word]
    # If both are given, one may be meant for people.
    known = (word for word in words if _by_word(reply.status, word))
    return _Problem(
        word=next(known, None) or next(iter(words), None),
        sentence=". ".join(filter(None, sentences)) or None,
        retry_after=body.get("retry_after"),
    )
