"""The port `LinkedIn`, filled by Unipile.

The one rule: one `engage` sends at most one request, and its answer says no more than what is proven. If anything
fails between the first byte and a clear answer, the outcome is unknown.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from datetime import datetime, timedelta, timezone
from functools import partial
from types import MappingProxyType
from typing import TypeVar

from adapters.http.base_url import checked_base_url
from adapters.http.breaker import Admission, HostBreaker
from adapters.http.errors import BreakerOpen, HttpError, NoAnswer, RequestNotSent, TooLateToSend
from adapters.http.session import HttpReply, HttpRequest, HttpSession, is_header_value
from adapters.unipile.answers import failure_of, says_no
from adapters.unipile.dialect import Dialect, Reads, Unsendable
from adapters.unipile.v0 import V0
from adapters.unipile.v1 import V1
from engagement_core.model.activity import Account, EngagementType
from engagement_core.model.errors import Cause, Failure
from engagement_core.model.provider import (
    AccountHealth,
    Answer,
    Applied,
    Engagement,
    Found,
    NoReadBack,
    NotSent,
    ReadBack,
    Seen,
)
from engagement_core.ports.clock import Deadline
from engagement_core.ports.linkedin import AccountProbe, LinkedIn

__all__ = ["DIALECTS", "AccountHealth", "UnipileGateway"]

DIALECTS: Mapping[str, Dialect] = MappingProxyType({"v0": V0(), "v1": V1()})
"""The dialects by their names in `UNIPILE_API_VERSION`."""

_MAX_PAGES = 50
_SHORTEST_QUOTE = 12

_DONE = Applied(engagement_id=None, created_at=None)

_T = TypeVar("_T")


def _utc_now() -> datetime:
    return datetime.now(timezone.utc)


class UnipileGateway(LinkedIn, AccountProbe):
    """Engages, reads back and asks for an account's health. Safe to use from many threads.

    Its results never hold the key.

    `breaker` guards `engage` only: a read-back is how we learn that the host works again. `now` dates a `Retry-After`
    in a reply that has no date of its own.
    """

    def __init__(
        self,
        *,
        base_url: str,
        dialect: Dialect,
        api_key: str,
        session: HttpSession,
        breaker: HostBreaker,
        now: Callable[[], datetime] = _utc_now,
    ) -> None:
        """Raise `ValueError` for an address or a key that must not or cannot be used.
        The message does not hold the value."""
        if not api_key or not is_header_value(api_key):
            raise ValueError("The API key must be printable ASCII and not empty.")
        self._base_url = checked_base_url(base_url)
        self._dialect = dialect
        self._api_key = api_key
        self._session = session
        self._breaker = breaker
        self._now = now

    def engage(self, engagement: Engagement, deadline: Deadline) -> Answer:
        """See `LinkedIn`."""
        try:
            request = self._dialect.engage(engagement, self._api_key)
            admission = self._breaker.admit()
        except BreakerOpen as error:
            return NotSent(reason=str(error), retry_in=error.retry_in)
        except Unsendable as error:
            return _failure_without_reply(error)
        except Exception as error:  # noqa: BLE001 - the port raises nothing; not one byte was sent
            return _defect(Cause.NOT_SENT, error)
        reply = self._send_admitted(request, deadline, admission)
        return reply if isinstance(reply, Failure) else self._answer(engagement, reply)

    def read_back(self, engagement: Engagement, deadline: Deadline) -> ReadBack:
        """See `LinkedIn`."""
        reads = self._dialect.reads
        if reads is None:
            return NoReadBack()
        try:
            return self._read_all(reads, engagement, deadline)
        except (Unsendable, HttpError) as error:
            return _failure_without_reply(error)
        except Exception as error:  # noqa: BLE001 - the port raises nothing; what cannot be understood proves nothing
            return _defect(Cause.UNINTELLIGIBLE, error)

    @property
    def breaker_state(self) -> str:
        """`closed`, `open` or `half-open`."""
        return self._breaker.state

    def available_in(self) -> timedelta:
        """See `LinkedIn`."""
        return self._breaker.available_in()

    def health(self, account: Account, deadline: Deadline) -> AccountHealth | NoReadBack | Failure:
        """See `AccountProbe`."""
        reads = self._dialect.reads
        if reads is None:
            return NoReadBack()
        try:
            words = self._ask(reads.health(account, self._api_key), reads.health_words, account, deadline)
        except (Unsendable, HttpError) as error:
            return _failure_without_reply(error)
        except Exception as error:  # noqa: BLE001 - as above
            return _defect(Cause.UNINTELLIGIBLE, error)
        return words if isinstance(words, Failure) else AccountHealth(words=words)

    def _read_all(self, reads: Reads, engagement: Engagement, deadline: Deadline) -> Seen | Failure:
        account = engagement.account
        # Ask again each time: if the account was reconnected as another person, it must not look as if it had done
        # nothing.
        member_id = self._ask(reads.who_am_i(account, self._api_key), reads.member_id, account, deadline)
        if isinstance(member_id, Failure):
            return member_id
        parse = partial(reads.own_page, engagement, member_id)
        own: list[Found] = []
        cursor: str | None = None
        for _ in range(_MAX_PAGES):
            page = self._ask(reads.page(engagement, cursor, self._api_key), parse, account, deadline)
            if isinstance(page, Failure):
                return page
            own += page.own
            cursor = page.cursor
            if cursor is None:
                return Seen(own=tuple(own))
        return Failure(cause=Cause.UNINTELLIGIBLE, message=f"The read-back did not end within {_MAX_PAGES} pages.")

    def _ask(
        self, request: HttpRequest, parse: Callable[[HttpReply], _T | None], account: Account, deadline: Deadline
    ) -> _T | Failure:
        reply = self._send(request, deadline)
        if not _is_success(reply) or says_no(reply.body):
            return self._failure(reply, account)
        answer = parse(reply)
        if answer is None:
            return Failure(
                cause=Cause.UNINTELLIGIBLE,
                message=f"The provider answered {reply.status} with a body that cannot be understood.",
                provider_status=reply.status,
            )
        return answer

    def _answer(self, engagement: Engagement, reply: HttpReply) -> Answer:
        """What the reply says. Once the head of a 2xx has arrived, only a no in its body cancels the yes."""
        try:
            if _is_success(reply) and not says_no(reply.body):
                return self._dialect.applied(reply)
            failure = self._failure(reply, engagement.account, *_quotable(engagement))
        except Exception as error:  # noqa: BLE001 - a defect of ours while reading must not lose the provider's answer
            return _DONE if _is_success(reply) else _defect(Cause.UNINTELLIGIBLE, error, reply.status)
        is_like = engagement.engagement_type is EngagementType.LIKE
        return _DONE if failure.cause is Cause.ALREADY_DONE and is_like else failure

    def _send_admitted(self, request: HttpRequest, deadline: Deadline, admission: Admission) -> HttpReply | Failure:
        reply: HttpReply | None = None
        try:
            with admission:
                reply = self._send_counted(request, deadline, admission)
        except HttpError as error:
            return _failure_without_reply(error)
        except Exception as error:  # noqa: BLE001 - the port raises nothing; nobody can tell how much was sent
            return reply or _defect(Cause.NO_ANSWER, error)
        return reply

    def _send_counted(self, request: HttpRequest, deadline: Deadline, admission: Admission) -> HttpReply:
        try:
            reply = self._send(request, deadline)
        except TooLateToSend:
            raise
        except HttpError:
            admission.failed()
            raise
        if reply.status >= 500:  # noqa: PLR2004 - HTTP's own boundary
            admission.failed()
        else:
            admission.succeeded()
        return reply

    def _send(self, request: HttpRequest, deadline: Deadline) -> HttpReply:
        return self._session.send(replace(request, url=self._base_url + request.url), deadline)

    def _failure(self, reply: HttpReply, account: Account, *quotable: str) -> Failure:
        return failure_of(reply, now=self._now(), secrets=(self._api_key, account.access_token or "", *quotable))


def _quotable(engagement: Engagement) -> tuple[str, ...]:
    """Texts that the provider may repeat in its refusal and that must not appear in a log.
    A word or two is not masked, because any sentence may contain it."""
    text = engagement.text or ""
    return (text, text.strip()) if len(text) >= _SHORTEST_QUOTE else ()


def _is_success(reply: HttpReply) -> bool:
    return 200 <= reply.status < 300  # noqa: PLR2004 - HTTP's own boundaries


def _failure_without_reply(error: Unsendable | HttpError) -> Failure:
    if isinstance(error, NoAnswer):
        return Failure(cause=Cause.NO_ANSWER, message=str(error))
    if isinstance(error, RequestNotSent):
        return Failure(cause=Cause.NOT_SENT, message=str(error))
    return Failure(cause=Cause.INVALID_ACTIVITY, message=str(error))


def _defect(cause: Cause, error: Exception, status: int | None = None) -> Failure:
    """A defect. The error's own text stays out of the message, because it may hold a secret."""
    message = f"This program has a defect: it failed to make the call, or to read its answer ({type(error).__name__})."
    return Failure(cause=cause, message=message, provider_status=status)
