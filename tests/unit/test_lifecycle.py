"""The state machine is one literal table, and everything else agrees with it."""

from __future__ import annotations

import re
from dataclasses import fields
from itertools import product

import pytest

from adapters.postgres.inspection.attempt_columns import ATTEMPT_COLUMNS
from adapters.postgres.schema.migrate import schema_sql
from engagement_core.model.activity import PublicStatus
from engagement_core.model.attempt import Attempt
from engagement_core.model.controls import BlockScope, ControlKind
from engagement_core.model.errors import Effect
from engagement_core.model.lifecycle import ENDED, PUBLIC_STATUS, TRANSITIONS, Event, IllegalEvent, Phase, next_phase
from support.builders import an_attempt

UNLISTED = sorted(set(product(Phase, Event)) - set(TRANSITIONS))


@pytest.mark.parametrize(("phase", "event"), sorted(TRANSITIONS))
def test_listed_event_leads_to_the_listed_phase(phase: Phase, event: Event) -> None:
    """The attempt follows the table and remembers the event."""
    after = an_attempt(phase).after(event)
    assert (after.phase, after.event) == (TRANSITIONS[phase, event], event)


@pytest.mark.parametrize(("phase", "event"), UNLISTED)
def test_unlisted_event_raises_and_changes_nothing(phase: Phase, event: Event) -> None:
    """Both are named in the message, in words of the glossary."""
    before, attempt = an_attempt(phase), an_attempt(phase)
    with pytest.raises(IllegalEvent, match=f"that is {phase.value} cannot {event.value}$"):
        attempt.after(event, crashed=True)
    assert attempt == before


def test_every_phase_is_reached_from_scheduled() -> None:
    """A phase that cannot be reached would have no meaning."""
    reached = {Phase.SCHEDULED}
    while found := {TRANSITIONS[pair] for pair in TRANSITIONS if pair[0] in reached} - reached:
        reached |= found
    assert reached == set(Phase)


def test_every_event_has_a_place() -> None:
    """An event that no phase allows could never happen."""
    assert {event for _, event in TRANSITIONS} == set(Event)


def test_only_executed_is_final() -> None:
    """Nothing undoes an engagement that happened; every other phase can be left."""
    assert {phase for phase, _ in TRANSITIONS} == set(Phase) - {Phase.EXECUTED}


def test_late_confirmation_is_refused_only_where_nothing_can_have_been_sent() -> None:
    """Evidence counts in every phase that may follow a send."""
    assert {phase for phase, event in TRANSITIONS if event is Event.CONFIRM} == set(Phase) - {
        Phase.CLAIMED,
        Phase.EXECUTED,
    }


def test_sending_begins_only_with_a_claim() -> None:
    """There is only one way to the provider."""
    assert [pair for pair, to in TRANSITIONS.items() if to is Phase.SENDING] == [(Phase.CLAIMED, Event.BEGIN_SENDING)]
    assert [pair for pair, to in TRANSITIONS.items() if to is Phase.CLAIMED] == [(Phase.SCHEDULED, Event.CLAIM)]


def test_others_see_only_three_words_and_what_is_in_flight_as_scheduled() -> None:
    """No reader of E-03 or E-04 meets a word that it does not know."""
    assert set(PUBLIC_STATUS) == set(Phase)
    assert set(PUBLIC_STATUS.values()) == set(PublicStatus)
    assert {PUBLIC_STATUS[phase] for phase in Phase if phase not in ENDED} == {PublicStatus.SCHEDULED}


def test_unlisted_pair_has_no_next_phase() -> None:
    """`next_phase` refuses it, even without an attempt."""
    with pytest.raises(IllegalEvent):
        next_phase(Phase.EXECUTED, Event.CLAIM)


@pytest.mark.parametrize(
    ("table", "column", "words"),
    [
        ("engagement_attempts", "phase", Phase),
        ("engagement_attempts", "effect", Effect),
        ("engagement_controls", "kind", ControlKind),
        ("engagement_controls", "scope", BlockScope),
    ],
)
def test_the_schema_checks_for_exactly_the_words_of_the_domain(table: str, column: str, words: type[Phase]) -> None:
    """A word that only one of the two knows would fail at the worst moment."""
    body = re.search(rf"CREATE TABLE IF NOT EXISTS {table} \((.*?)\n\);", schema_sql(), re.DOTALL)
    assert body is not None
    check = re.search(rf"CHECK \({column} IN \((.*?)\)\)", body[1])
    assert check is not None
    assert sorted(re.findall(r"'(\w+)'", check[1])) == sorted(word.value for word in words)


def test_the_unique_index_covers_what_may_have_had_an_effect() -> None:
    """The database forbids a second attempt for exactly the effects for which the domain does."""
    index = re.search(r"engagement_attempts_once .*?WHERE effect IN \((.*?)\)", schema_sql(), re.DOTALL)
    assert index is not None
    assert sorted(re.findall(r"'(\w+)'", index[1])) == sorted(
        effect.value for effect in Effect if an_attempt(effect=effect).may_have_had_effect
    )


def test_the_columns_of_an_attempt_are_the_fields_of_an_attempt() -> None:
    """And the schema makes each of them, with its type."""
    assert {column.name for column in ATTEMPT_COLUMNS} == {field.name for field in fields(Attempt)}
    body = re.search(r"CREATE TABLE IF NOT EXISTS engagement_attempts \((.*?)\n\);", schema_sql(), re.DOTALL)
    assert body is not None
    added = re.findall(r"ALTER TABLE engagement_attempts ADD COLUMN IF NOT EXISTS (\w+) +(\w+)", schema_sql())
    made = re.findall(r"^    ([a-z_]+) +(text|integer|timestamptz|jsonb|boolean)\b", body[1], re.MULTILINE)
    assert [*made, *added] == [(column.name, column.sql_type) for column in ATTEMPT_COLUMNS]
