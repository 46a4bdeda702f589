"""The whole state machine of an activity, as one literal table.

The one rule: a phase changes only through `next_phase`. An event that the table does not list for a phase is illegal:
it raises `IllegalEvent` and changes nothing.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

from engagement_core.model.activity import PublicStatus
from engagement_core.model.vocabulary import OpenWord

__all__ = ["ENDED", "PUBLIC_STATUS", "TRANSITIONS", "Event", "IllegalEvent", "Phase", "next_phase"]


class Phase(OpenWord):
    """Where an activity is. Other services see only its `PUBLIC_STATUS`."""

    SCHEDULED = "scheduled"
    CLAIMED = "claimed"
    SENDING = "sending"
    UNKNOWN = "unknown"
    EXECUTED = "executed"
    FAILED = "failed"


class Event(OpenWord):
    """What can happen to an activity."""

    CLAIM = "claim"
    RELEASE = "release"
    BEGIN_SENDING = "begin_sending"
    CONFIRM = "confirm"
    REFUSE = "refuse"
    LOSE_TRACK = "lose_track"
    FIND_PRESENT = "find_present"
    FIND_ABSENT = "find_absent"
    REPEAT = "repeat"
    BURY = "bury"
    REQUEUE = "requeue"
    RESOLVE_EXECUTED = "resolve_executed"
    RESOLVE_NOT_EXECUTED = "resolve_not_executed"


class IllegalEvent(ValueError):
    """An event that the lifecycle does not allow in this phase. Nothing was changed."""


TRANSITIONS: Mapping[tuple[Phase, Event], Phase] = MappingProxyType(
    {
        (Phase.SCHEDULED, Event.CLAIM): Phase.CLAIMED,
        (Phase.SCHEDULED, Event.BURY): Phase.FAILED,
        (Phase.SCHEDULED, Event.CONFIRM): Phase.EXECUTED,
        (Phase.CLAIMED, Event.RELEASE): Phase.SCHEDULED,
        (Phase.CLAIMED, Event.BEGIN_SENDING): Phase.SENDING,
        (Phase.CLAIMED, Event.FIND_PRESENT): Phase.EXECUTED,
        (Phase.CLAIMED, Event.BURY): Phase.FAILED,
        (Phase.SENDING, Event.CONFIRM): Phase.EXECUTED,
        (Phase.SENDING, Event.REFUSE): Phase.SCHEDULED,
        (Phase.SENDING, Event.RELEASE): Phase.SCHEDULED,
        (Phase.SENDING, Event.LOSE_TRACK): Phase.UNKNOWN,
        (Phase.SENDING, Event.BURY): Phase.FAILED,
        (Phase.UNKNOWN, Event.CONFIRM): Phase.EXECUTED,
        (Phase.UNKNOWN, Event.REFUSE): Phase.SCHEDULED,
        (Phase.UNKNOWN, Event.RELEASE): Phase.SCHEDULED,
        (Phase.UNKNOWN, Event.FIND_PRESENT): Phase.EXECUTED,
        (Phase.UNKNOWN, Event.FIND_ABSENT): Phase.SCHEDULED,
        (Phase.UNKNOWN, Event.REPEAT): Phase.SCHEDULED,
        (Phase.UNKNOWN, Event.BURY): Phase.FAILED,
        (Phase.FAILED, Event.CONFIRM): Phase.EXECUTED,
        (Phase.FAILED, Event.REQUEUE): Phase.SCHEDULED,
        (Phase.FAILED, Event.RESOLVE_EXECUTED): Phase.EXECUTED,
        (Phase.FAILED, Event.RESOLVE_NOT_EXECUTED): Phase.FAILED,
    }
)
"""`release` leaves `sending` only with proof that nothing was done, and only if this activity is not at fault: the
worker sent no byte, or the provider refused an account that is already held. A `confirm` may come late, even for a dead
letter or for an activity that waits again. It is evidence, and evidence is never refused."""

ENDED = frozenset({Phase.SCHEDULED, Phase.EXECUTED, Phase.FAILED})
"""Phases in which an attempt has ended and no longer owns the activity."""

PUBLIC_STATUS: Mapping[Phase, PublicStatus] = MappingProxyType(
    {
        Phase.SCHEDULED: PublicStatus.SCHEDULED,
        Phase.CLAIMED: PublicStatus.SCHEDULED,
        Phase.SENDING: PublicStatus.SCHEDULED,
        Phase.UNKNOWN: PublicStatus.SCHEDULED,
        Phase.EXECUTED: PublicStatus.EXECUTED,
        Phase.FAILED: PublicStatus.FAILED,
    }
)


def next_phase(phase: Phase, event: Event) -> Phase:
    """The phase after `event`.

    Raises:
        IllegalEvent: the table does not list the event for this phase.
    """
    try:
        return TRANSITIONS[phase, event]
    except KeyError:
        raise IllegalEvent(f"an activity that is {phase.value} cannot {event.value}") from None
