"""Why an activity is where it is: a sentence for every phase, obstacle and end."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from engagement_core.decisions.explain import explain
from engagement_core.model.activity import Malformed
from engagement_core.model.controls import BlockScope, Control, ControlKind
from engagement_core.model.dead_letter import DeadLetter
from engagement_core.model.errors import TAXONOMY, Cause, Effect
from engagement_core.model.lifecycle import Event, Phase
from support.builders import DAY, NOW, SECOND, a_comment, a_like, a_snapshot, an_account, an_attempt

_PAUSE = Control(kind=ControlKind.PAUSE, scope=BlockScope.POD, scope_id="pod-1", until=None, reason="on holiday")
_COOL = Control(
    kind=ControlKind.COOL_DOWN, scope=BlockScope.ACCOUNT, scope_id="account-1", until=NOW + 60 * SECOND, reason="429"
)
_LOST = an_attempt(Phase.UNKNOWN, error={"message": "No answer came."}, look_at=NOW + 9 * SECOND)


@pytest.mark.parametrize(
    ("shown", "phase", "says", "next_at"),
    [
        ({"activity": a_like(scheduled_for=NOW + DAY)}, Phase.SCHEDULED, "waits for its time", NOW + DAY),
        (
            {"activity": a_like(next_retry_at=NOW + SECOND, failure_count=2)},
            Phase.SCHEDULED,
            "after 2 failed attempts",
            NOW + SECOND,
        ),
        ({}, Phase.SCHEDULED, "waits for a worker", NOW),
        ({"controls": (_PAUSE,)}, Phase.SCHEDULED, "pause on pod pod-1: on holiday", None),
        ({"controls": (_COOL,)}, Phase.SCHEDULED, "cool-down on account account-1", NOW + 60 * SECOND),
        (
            {"account": an_account(status="expired")},
            Phase.SCHEDULED,
            "the status of account account-1 is expired",
            None,
        ),
        ({"activity": replace(a_comment(), comment_text=" ")}, Phase.SCHEDULED, "cannot be executed", NOW),
        ({"account": None}, Phase.SCHEDULED, "has no row in linkedin_accounts", NOW),
        (
            {"activity": Malformed(id="a", status="scheduled", problems=("post_id is missing",))},
            Phase.SCHEDULED,
            "post_id is missing",
            None,
        ),
        ({"attempts": (an_attempt(Phase.CLAIMED),)}, Phase.CLAIMED, "nothing has been sent", NOW + 29 * SECOND),
        ({"attempts": (an_attempt(Phase.SENDING),)}, Phase.SENDING, "may have left already", NOW + 29 * SECOND),
        ({"attempts": (_LOST,)}, Phase.UNKNOWN, "No answer came.", NOW + 9 * SECOND),
        (
            {"attempts": (replace(_LOST, phase=Phase.FAILED, event=Event.BURY),)},
            Phase.SCHEDULED,
            "may have been executed. Its row was set back to scheduled",
            NOW,
        ),
        ({"activity": a_like(status="executed")}, Phase.EXECUTED, "somebody else has set its status", None),
        (
            {"activity": a_like(status="executed"), "attempts": (an_attempt(Phase.EXECUTED),)},
            Phase.EXECUTED,
            "the provider said so",
            None,
        ),
        ({"activity": a_like(status="failed")}, Phase.FAILED, "no open dead letter", None),
        ({"activity": a_like(status="cancelled")}, None, "another service's word", None),
    ],
)
def test_every_place_has_a_reason(shown: dict[str, Any], phase: Phase | None, says: str, next_at: Any) -> None:
    """There is also a time, if something happens automatically."""
    found = explain(replace(a_snapshot(), **shown), None)
    assert (found.phase, found.next_at) == (phase, next_at)
    assert says in found.why
    assert found.next


@pytest.mark.parametrize("cause", list(Cause))
def test_every_dead_letter_says_what_a_person_can_do(cause: Cause) -> None:
    """Its type, its message, its next step."""
    means = TAXONOMY[cause]
    letter = DeadLetter(
        activity_id="activity-1",
        error_type=means.error_type,
        message="It is over.",
        effect=Effect.NONE,
        buried_at=NOW,
        next_step=means.next_step,
    )
    found = explain(a_snapshot(a_like(status="failed")), letter)
    assert found.why == f"It is a dead letter ({means.error_type.value}): It is over."
    assert found.person == means.next_step


def test_what_does_not_exist_is_said_to() -> None:
    """Nothing happens next."""
    assert explain(replace(a_snapshot(), activity=None), None).why == "There is no such activity."
