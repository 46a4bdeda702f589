"""Records what can still be recorded when the database refuses to change an activity's row.

The one rule: only our own tables are written, so that what is known survives the process and a person learns of it.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import TypeVar

from engagement_core.decisions.bury import account_effects
from engagement_core.model.answer_record import AnswerRecord, as_record
from engagement_core.model.attempt import Attempt
from engagement_core.model.decision import Decision, MarkExecuted, MarkFailed, MarkScheduled, RaiseAlert, SaveAttempt
from engagement_core.model.errors import Failure
from engagement_core.model.incident import IncidentKind
from engagement_core.model.provider import Answer
from engagement_core.model.snapshot import Snapshot
from engagement_core.ports.activities import ActivityStore, StoreRefused

__all__ = ["change_or_apart", "keep_answer", "refusal_alerts"]

T = TypeVar("T")


def change_or_apart(store: ActivityStore, activity_id: str, decide: Callable[[Snapshot], Decision[T]]) -> T:
    """Change an activity. If the database refuses, try again without the writes to the activity's own row.

    Raises:
        StoreUnavailable: the database failed or could not be reached, or refused that too.
    """
    try:
        return store.change(activity_id, decide)
    except StoreRefused:
        return store.change(activity_id, _apart(decide))


def _apart(decide: Callable[[Snapshot], Decision[T]]) -> Callable[[Snapshot], Decision[T]]:

    def decide_apart(snapshot: Snapshot) -> Decision[T]:
        decision = decide(snapshot)
        ours = (each for each in decision.writes if not isinstance(each, MarkScheduled | MarkExecuted | MarkFailed))
        return Decision(decision.result, tuple(ours))

    return decide_apart


def keep_answer(
    snapshot: Snapshot, *, attempt: Attempt, answer: Answer, refused: StoreRefused, stops: bool
) -> Decision[None]:
    """Keep the answer with the attempt, as evidence, and alert people why it is not recorded in full.

    Args:
        snapshot: what the store shows.
        attempt: as it was when it was sent.
        answer: what came back.
        refused: what the database said.
        stops: whether sending is stopped for that reason.
    """
    mine = next((each for each in snapshot.attempts if each.token == attempt.token), None)
    alerts = refusal_alerts(attempt.activity_id, refused, stops=stops)
    if mine is None or mine.evidence is not None or not mine.is_open:
        return Decision(None, alerts)
    kept = replace(mine, evidence=as_record(answer), error=mine.error or _not_recorded(refused))
    # What the provider said about the account is valid at once, whatever becomes of the row.
    of_account = account_effects(snapshot, mine.account_id, answer) if isinstance(answer, Failure) else ()
    return Decision(None, (SaveAttempt(kept), *of_account, *alerts))


def refusal_alerts(activity_id: str, refused: StoreRefused, *, stops: bool = False) -> tuple[RaiseAlert, ...]:
    """One incident for each kind of refusal, and a separate one while sending is stopped."""
    kind = IncidentKind.DATABASE_REFUSES
    row = _alert(
        kind.about(refused.code),
        activity_id,
        f"The database refuses to record the outcome of activity {activity_id}: {refused}. The outcome is kept, and"
        " recording it is tried again every 10 s.",
    )
    if not stops:
        return (row,)
    what = f"Sending is stopped: the database refuses to record one outcome after another: {refused}."
    return (row, _alert(kind.value, activity_id, f"{what} Sending continues once one of them is recorded."))


def _alert(incident: str, activity_id: str, what: str) -> RaiseAlert:
    next_step = "Look at the triggers, rules and constraints of pod_activities; `engagement doctor` lists them."
    return RaiseAlert(
        incident=incident,
        kind=IncidentKind.DATABASE_REFUSES.value,
        message=f"{what} Next: {next_step}",
        activity_id=activity_id,
        next_step=next_step,
    )


def _not_recorded(refused: StoreRefused) -> AnswerRecord:
    return {"message": f"Its outcome is known, but the database refuses to record it: {refused}."}
