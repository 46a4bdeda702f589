"""What `engagement explain` says in every place, word by word. Changed on purpose? `python -m golden.explanations`."""

from __future__ import annotations

import pytest

from engagement_core.decisions.explain import explain
from engagement_core.model.controls import BlockScope, ControlKind
from engagement_core.model.errors import TAXONOMY, Cause, ErrorType
from engagement_core.model.lifecycle import Event, Phase
from golden.explanations import FOLDER, POLICY, Place, page, places

PLACES = {place.name: place for place in places()}


@pytest.mark.parametrize("name", PLACES)
def test_it_says_what_it_said(name: str) -> None:
    """Screen and JSON."""
    assert page(PLACES[name]) == (FOLDER / f"{name}.txt").read_text(encoding="utf-8")


def test_no_golden_file_is_left_over() -> None:
    """Each has its place, and no two places one name."""
    assert {file.stem for file in FOLDER.glob("*.txt")} == set(PLACES)
    assert len(PLACES) == len(list(places()))


def test_every_phase_is_explained() -> None:
    """And that it is none of ours."""
    explained = {explain(place.snapshot, place.letter, POLICY).phase for place in PLACES.values()}
    assert explained == {*Phase, None}


def test_every_cause_and_error_type_is_explained() -> None:
    """Each as a dead letter; each cause that an answer can have, when it is heard, too."""
    letters = {place.cause for place in PLACES.values() if place.letter}
    assert letters == set(Cause)
    assert {place.letter.error_type for place in PLACES.values() if place.letter} == set(ErrorType)
    retried = {place.cause for place in PLACES.values() if not place.letter and place.cause}
    assert retried >= {cause for cause, means in TAXONOMY.items() if means.retryable}


def test_every_obstacle_is_explained() -> None:
    """Of every kind, in every scope."""
    seen = {(each.kind, each.scope) for place in PLACES.values() for each in place.snapshot.controls}
    assert seen == {(kind, scope) for kind in ControlKind for scope in BlockScope}


def test_every_event_that_ends_an_attempt_is_shown() -> None:
    """But those of a person that close a letter and leave its attempts alone."""
    shown = {each.event for place in PLACES.values() for each in place.snapshot.attempts}
    assert shown == set(Event) - {Event.REQUEUE, Event.RESOLVE_NOT_EXECUTED}


def test_whoever_must_act_is_told_how() -> None:
    """A dead letter, a hold and a row that is wrong name a next step; what happens by itself has a time."""
    for place in PLACES.values():
        found = explain(place.snapshot, place.letter, POLICY)
        if found.phase is Phase.SCHEDULED:
            assert found.person or found.next_at, place.name
        if place.letter:
            assert found.person == TAXONOMY[_cause(place)].next_step, place.name


def _cause(place: Place) -> Cause:
    assert place.cause is not None
    return place.cause
