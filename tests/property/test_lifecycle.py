"""However events come, an activity stays on the table's paths."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from engagement_core.model.lifecycle import TRANSITIONS, Event, IllegalEvent, Phase, next_phase

PROOFS = {Event.REFUSE, Event.RELEASE, Event.FIND_ABSENT, Event.REPEAT, Event.REQUEUE}
"""Events that say that the last attempt left nothing behind, or nothing that matters."""


def walk(events: list[Event]) -> list[tuple[Event, Phase]]:
    """The legal events, each with the phase that it led to."""
    phase, path = Phase.SCHEDULED, []
    for event in events:
        try:
            phase = next_phase(phase, event)
        except IllegalEvent:
            continue
        path.append((event, phase))
    return path


@st.composite
def long_paths(draw: st.DrawFn) -> list[Event]:
    """Sequences of legal events, each continued until no event is legal."""
    phase, events = Phase.SCHEDULED, []
    for _ in range(draw(st.integers(0, 40))):
        legal = sorted(event for at, event in TRANSITIONS if at is phase)
        if not legal:
            break
        events.append(draw(st.sampled_from(legal)))
        phase = TRANSITIONS[phase, events[-1]]
    return events


@given(long_paths())
def test_two_sends_have_a_proof_between_them(events: list[Event]) -> None:
    """This is the promise, as far as the table can ensure it."""
    proven = True
    for event, phase in walk(events):
        if event is Event.BEGIN_SENDING:
            assert proven
            proven = False
        elif event in PROOFS:
            proven = True
        assert phase is not Phase.SENDING or event is Event.BEGIN_SENDING


@given(st.lists(st.sampled_from(Event), max_size=40))
def test_nothing_follows_execution(events: list[Event]) -> None:
    """Every event after it is illegal."""
    phases = [phase for _, phase in walk(events)]
    assert Phase.EXECUTED not in phases[:-1]
