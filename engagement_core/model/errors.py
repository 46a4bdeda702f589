"""What can go wrong with an engagement, and what follows from it.

The one rule: a cause decides everything else. An adapter says *what it saw* (a `Cause`); this table says what that
means, in three independent answers, and whether a retry can help:

    error_type   the word that is written to `last_error` (a closed list)
    effect       did the engagement happen?  none: proven not | unknown: not known | applied: proven
    scope        who is affected?            activity | account | provider

Only `effect = none` may ever be retried; `unknown` is reconciled first.

    cause                error_type       effect    scope      retryable
    -- nothing was sent, or the provider said no
    not_sent             network_error    none      provider   yes
    rate_limited         rate_limit       none      account    yes
    account_signed_out   auth_error       none      account    no
    profile_blocked      profile_blocked  none      activity   no
    post_gone            post_not_found   none      activity   no
    rejected             api_error        none      activity   no
    no_session           api_error        none      provider   yes
    -- it may have happened
    already_done         api_error        unknown   activity   no
    no_answer            network_error    unknown   provider   no
    server_error         api_error        unknown   provider   no
    unintelligible       api_error        unknown   activity   no
    worker_lost          outcome_unknown  unknown   activity   no
    outcome_unknown      outcome_unknown  unknown   activity   no
    -- nothing was tried
    invalid_activity     invalid_activity none      activity   no
    too_late             too_late         none      activity   no
    quarantined          quarantined      none      activity   no
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta
from enum import Enum
from types import MappingProxyType
from typing import ClassVar

from engagement_core.model.vocabulary import OpenWord

__all__ = ["TAXONOMY", "Cause", "Effect", "ErrorType", "Failure", "Meaning", "Scope"]


class ErrorType(OpenWord):
    """The closed list of words in `last_error.error_type`."""

    RATE_LIMIT = "rate_limit"
    AUTH_ERROR = "auth_error"
    NETWORK_ERROR = "network_error"
    POST_NOT_FOUND = "post_not_found"
    PROFILE_BLOCKED = "profile_blocked"
    API_ERROR = "api_error"
    OUTCOME_UNKNOWN = "outcome_unknown"
    INVALID_ACTIVITY = "invalid_activity"
    TOO_LATE = "too_late"
    QUARANTINED = "quarantined"


class Effect(OpenWord):
    """What an attempt is known to have done to the post.

    `REPEATABLE` is for a like that no read-back can settle. Whatever the first call did, a second like changes nothing.
    """

    NONE = "none"
    UNKNOWN = "unknown"
    APPLIED = "applied"
    REPEATABLE = "repeatable"


class Scope(str, Enum):
    """Whom a failure affects: the activity alone, its account, or the provider."""

    ACTIVITY = "activity"
    ACCOUNT = "account"
    PROVIDER = "provider"


class Cause(str, Enum):
    """What was seen, in words that do not depend on the provider."""

    NOT_SENT = "not_sent"
    RATE_LIMITED = "rate_limited"
    ACCOUNT_SIGNED_OUT = "account_signed_out"
    PROFILE_BLOCKED = "profile_blocked"
    POST_GONE = "post_gone"
    REJECTED = "rejected"
    NO_SESSION = "no_session"
    ALREADY_DONE = "already_done"
    NO_ANSWER = "no_answer"
    SERVER_ERROR = "server_error"
    UNINTELLIGIBLE = "unintelligible"
    WORKER_LOST = "worker_lost"
    OUTCOME_UNKNOWN = "outcome_unknown"
    INVALID_ACTIVITY = "invalid_activity"
    TOO_LATE = "too_late"
    QUARANTINED = "quarantined"


@dataclass(frozen=True, kw_only=True, slots=True)
class Meaning:
    """A row of the taxonomy; `next_step` tells a person what to do."""

    error_type: ErrorType
    effect: Effect
    scope: Scope
    retryable: bool
    next_step: str


def _means(error_type: ErrorType, effect: Effect, scope: Scope, retryable: bool, next_step: str) -> Meaning:
    return Meaning(error_type=error_type, effect=effect, scope=scope, retryable=retryable, next_step=next_step)


_E, _F, _S = ErrorType, Effect, Scope
_LOOK = "Look at the post, then `engagement dead-letters resolve` it as executed or not-executed."
_FIX = "Correct the row, then `engagement dead-letters requeue` it."

TAXONOMY: Mapping[Cause, Meaning] = MappingProxyType(
    {
        Cause.NOT_SENT: _means(
            _E.NETWORK_ERROR, _F.NONE, _S.PROVIDER, True, "Check the network and the provider's address; then requeue."
        ),
        Cause.RATE_LIMITED: _means(
            _E.RATE_LIMIT, _F.NONE, _S.ACCOUNT, True, "Requeue it once the account's limit has reset."
        ),
        Cause.ACCOUNT_SIGNED_OUT: _means(
            _E.AUTH_ERROR, _F.NONE, _S.ACCOUNT, False, "Reconnect the account at the provider; then requeue."
        ),
        Cause.PROFILE_BLOCKED: _means(
            _E.PROFILE_BLOCKED, _F.NONE, _S.ACTIVITY, False, "The profile may not act on this post. Do not try again."
        ),
        Cause.POST_GONE: _means(
            _E.POST_NOT_FOUND, _F.NONE, _S.ACTIVITY, False, "Check that the post exists and is visible; then requeue."
        ),
        Cause.REJECTED: _means(_E.API_ERROR, _F.NONE, _S.ACTIVITY, False, "Read the provider's reason. " + _FIX),
        Cause.NO_SESSION: _means(
            _E.API_ERROR, _F.NONE, _S.PROVIDER, True, "Requeue it once the provider has recovered."
        ),
        Cause.ALREADY_DONE: _means(_E.API_ERROR, _F.UNKNOWN, _S.ACTIVITY, False, _LOOK),
        Cause.NO_ANSWER: _means(_E.NETWORK_ERROR, _F.UNKNOWN, _S.PROVIDER, False, _LOOK),
        Cause.SERVER_ERROR: _means(_E.API_ERROR, _F.UNKNOWN, _S.PROVIDER, False, _LOOK),
        Cause.UNINTELLIGIBLE: _means(_E.API_ERROR, _F.UNKNOWN, _S.ACTIVITY, False, _LOOK),
        Cause.WORKER_LOST: _means(_E.OUTCOME_UNKNOWN, _F.UNKNOWN, _S.ACTIVITY, False, _LOOK),
        Cause.OUTCOME_UNKNOWN: _means(_E.OUTCOME_UNKNOWN, _F.UNKNOWN, _S.ACTIVITY, False, _LOOK),
        Cause.INVALID_ACTIVITY: _means(_E.INVALID_ACTIVITY, _F.NONE, _S.ACTIVITY, False, _FIX),
        Cause.TOO_LATE: _means(
            _E.TOO_LATE, _F.NONE, _S.ACTIVITY, False, "Move `scheduled_for` if it is still wanted; then requeue."
        ),
        Cause.QUARANTINED: _means(
            _E.QUARANTINED, _F.NONE, _S.ACTIVITY, False, "Find out why workers crash on it; then requeue."
        ),
    }
)


@dataclass(frozen=True, kw_only=True, slots=True)
class Failure:
    """One failure: what was seen, in a sentence for people, and how long the provider asked us to wait.

    `provider_status` and `provider_type` are the provider's own words, kept for the audit log.
    """

    kind: ClassVar[str] = "failure"
    cause: Cause
    message: str
    retry_after: timedelta | None = None
    provider_status: int | None = None
    provider_type: str | None = None

    @property
    def meaning(self) -> Meaning:
        """What follows from it."""
        return TAXONOMY[self.cause]

    @property
    def error_type(self) -> ErrorType:
        """The word for `last_error`."""
        return self.meaning.error_type

    @property
    def effect(self) -> Effect:
        """Whether the engagement may have happened."""
        return self.meaning.effect
