"""What each of the provider's answers means.

The one rule: one literal table decides. The provider's own word beats its status; a word or status that nobody knows
falls back to what is safe, which is "it may have happened" wherever the provider did not clearly say no.
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
from adapters.unipile.json_body import loaded
from adapters.unipile.plain import plain
from engagement_core.errors import Cause, Failure

__all__ = ["ANSWERS", "cause_of", "failure_of", "retry_after"]

_ANY = None
_LONGEST_WAIT = timedelta(hours=24)
_MAX_MESSAGE = 300
_MAX_WORD = 80

ANSWERS: Mapping[tuple[int | None, str | None], Cause] = MappingProxyType(
    {
        # (status, the last part of the provider's type); None stands for any. A type comes as errors/…, api/… or
        # provider/… (v1, v2), or bare as `error` (v0).
        (_ANY, "limit_exceeded"): Cause.RATE_LIMITED,
        (_ANY, "rate_limit_exceeded"): Cause.RATE_LIMITED,
        (_ANY, "too_many_requests"): Cause.RATE_LIMITED,
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
        # Only together with 503 are these known to mean that nothing was done.
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
        (409, _ANY): Cause.ALREADY_DONE,
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
    """The three dialects' error bodies in one; each field is taken or left by itself."""

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
    short = None if word is None else word.rsplit("/", 1)[-1].lower()
    for key in ((status, short), (_ANY, short), (status, _ANY), (_ANY, _ANY)):
        if key in ANSWERS:
            return ANSWERS[key]
    raise AssertionError("the table's last row is for any status and any word")


def failure_of(reply: HttpReply, *, now: datetime, secrets: Iterable[str]) -> Failure:
    """The failure that a reply other than 2xx reports. `now` is only used if the reply is not dated."""
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
    """How long the provider asks us to wait: its header (seconds or an HTTP date), else the body's seconds.

    At most 24 hours; whatever cannot be read, or lies in the past, is no request at all.
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
    except (ValueError, TypeError, IndexError, OverflowError):
        return None
    # A date without a zone cannot be compared; HTTP knows only GMT.
    return date if date.tzinfo is not None else None


def _problem_in(reply: HttpReply) -> _Problem:
    body = loaded(_PROBLEM, reply.body)
    sentences = (body.get("title"), body.get("detail"), body.get("message"))
    return _Problem(
        word=body.get("type") or body.get("error"),
        sentence=". ".join(filter(None, sentences)) or None,
        retry_after=body.get("retry_after"),
    )
