"""One table says what every failure means; its docstring, its enum and its rules agree."""

from __future__ import annotations

import re

import pytest

from engagement_core.model import errors
from engagement_core.model.errors import TAXONOMY, Cause, Effect, ErrorType, Failure, Scope


def test_the_tree_in_the_docstring_is_the_table() -> None:
    """A reader of the docstring must see the real table."""
    rows = re.findall(r"^    (\w+) +(\w+) +(\w+) +(\w+) +(yes|no)$", errors.__doc__ or "", re.MULTILINE)
    assert rows == [
        (
            cause.value,
            means.error_type.value,
            means.effect.value,
            means.scope.value,
            "yes" if means.retryable else "no",
        )
        for cause, means in TAXONOMY.items()
    ]


def test_every_cause_has_a_meaning() -> None:
    """In the order in which they are declared."""
    assert list(TAXONOMY) == list(Cause)


def test_every_error_type_has_a_cause() -> None:
    """The closed list of the contract, no more and no less."""
    assert {means.error_type for means in TAXONOMY.values()} == set(ErrorType)


@pytest.mark.parametrize("cause", [cause for cause, means in TAXONOMY.items() if means.retryable])
def test_only_what_left_nothing_behind_is_retryable(cause: Cause) -> None:
    """A retry of anything else could post twice."""
    assert TAXONOMY[cause].effect is Effect.NONE


def test_no_cause_claims_success() -> None:
    """A failure is never evidence of an effect."""
    assert {means.effect for means in TAXONOMY.values()} == {Effect.NONE, Effect.UNKNOWN}


@pytest.mark.parametrize("cause", Cause)
def test_every_next_step_is_a_sentence_for_a_person(cause: Cause) -> None:
    """Alerts and dead letters show it."""
    step = TAXONOMY[cause].next_step
    assert step[0].isupper()
    assert step.endswith(".")


@pytest.mark.parametrize("cause", [cause for cause, means in TAXONOMY.items() if means.effect is Effect.UNKNOWN])
def test_unknown_outcomes_ask_for_a_look_and_never_for_a_requeue(cause: Cause) -> None:
    """Nobody should be told to requeue what may have happened."""
    assert "resolve" in TAXONOMY[cause].next_step
    assert "requeue" not in TAXONOMY[cause].next_step


@pytest.mark.parametrize(
    ("cause", "error_type", "effect", "scope"),
    [
        (Cause.NOT_SENT, ErrorType.NETWORK_ERROR, Effect.NONE, Scope.PROVIDER),
        (Cause.RATE_LIMITED, ErrorType.RATE_LIMIT, Effect.NONE, Scope.ACCOUNT),
        (Cause.ACCOUNT_SIGNED_OUT, ErrorType.AUTH_ERROR, Effect.NONE, Scope.ACCOUNT),
        (Cause.PROFILE_BLOCKED, ErrorType.PROFILE_BLOCKED, Effect.NONE, Scope.ACTIVITY),
        (Cause.POST_GONE, ErrorType.POST_NOT_FOUND, Effect.NONE, Scope.ACTIVITY),
        (Cause.NO_ANSWER, ErrorType.NETWORK_ERROR, Effect.UNKNOWN, Scope.PROVIDER),
        (Cause.SERVER_ERROR, ErrorType.API_ERROR, Effect.UNKNOWN, Scope.PROVIDER),
    ],
)
def test_failure_means_what_its_cause_means(cause: Cause, error_type: ErrorType, effect: Effect, scope: Scope) -> None:
    """The rows on which the promise and the spec's table rest."""
    failure = Failure(cause=cause, message="It failed.")
    assert (failure.error_type, failure.effect, failure.meaning.scope) == (error_type, effect, scope)
