"""What an attempt says about itself, and what several of one activity add up to."""

from __future__ import annotations

import pytest

from engagement_core.model.attempt import attempts_since_requeue, count_crashes, count_refusals
from engagement_core.model.errors import Effect
from engagement_core.model.lifecycle import Event, Phase
from support.builders import NOW, an_attempt, earlier


@pytest.mark.parametrize("phase", Phase)
def test_an_attempt_is_open_while_it_is_in_flight(phase: Phase) -> None:
    """Claimed, sending and unknown own the activity."""
    assert an_attempt(phase).is_open == (phase in {Phase.CLAIMED, Phase.SENDING, Phase.UNKNOWN})


@pytest.mark.parametrize(
    ("effect", "forbids"),
    [(Effect.NONE, False), (Effect.UNKNOWN, True), (Effect.APPLIED, True), (Effect.REPEATABLE, False)],
)
def test_only_proof_of_no_effect_allows_another_attempt(effect: Effect, forbids: bool) -> None:
    """So does a like, for which a second one changes nothing."""
    assert an_attempt(effect=effect).may_have_had_effect == forbids


@pytest.mark.parametrize(
    ("evidence", "proves"), [(None, False), ({}, False), ({"effect": "none"}, False), ({"effect": "applied"}, True)]
)
def test_only_a_late_yes_proves_an_effect(evidence: dict[str, str] | None, proves: bool) -> None:
    """A late no is kept, but it decides nothing."""
    assert an_attempt(evidence=evidence).proves_effect == proves


@pytest.mark.parametrize(
    ("event", "charged"),
    [
        (Event.REFUSE, 1),
        (Event.FIND_ABSENT, 1),
        (Event.REPEAT, 1),
        (Event.RELEASE, 0),
        (Event.BURY, 0),
        (Event.CLAIM, 0),
    ],
)
def test_only_what_the_provider_could_judge_is_charged(event: Event, charged: int) -> None:
    """A claim that was given back costs nothing."""
    assert count_refusals((earlier(1, event=event),)) == charged


@pytest.mark.parametrize("event", [Event.FIND_ABSENT, Event.REPEAT])
def test_a_crash_while_sending_charges_no_retry(event: Event) -> None:
    """Three dead workers must not use up the attempts that the provider may refuse."""
    assert count_refusals((earlier(1, event=event, crashed=True),)) == 0


def test_a_requeue_starts_both_counts_afresh() -> None:
    """Attempts before the last requeue do not count."""
    attempts = (
        earlier(1, requeued_at=NOW),
        earlier(2, crashed=True),
        earlier(3, event=Event.BURY, requeued_at=NOW),
        earlier(4),
        earlier(5, event=Event.RELEASE, crashed=True),
    )
    assert attempts_since_requeue(attempts) == attempts[3:]
    assert (count_refusals(attempts), count_crashes(attempts)) == (1, 1)


def test_without_a_requeue_all_attempts_count() -> None:
    """No attempt is left out."""
    attempts = (earlier(1), earlier(2), earlier(3, crashed=True, event=Event.RELEASE))
    assert attempts_since_requeue(attempts) == attempts
    assert (count_refusals(attempts), count_crashes(attempts)) == (2, 1)
