"""Use case: take over attempts that nobody works on any more.

The one rule: it finds, it never sends. What it finds goes through the same lifecycle as every other attempt.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from functools import partial

from engagement_core.decisions.orphans import _LEFT, decide_orphan
from engagement_core.model.decision import AddDeadLetter, Decision
from engagement_core.model.lifecycle import Phase
from engagement_core.model.orphan import Orphan
from engagement_core.model.outcome import Buried
from engagement_core.model.signal import Signal
from engagement_core.model.snapshot import Snapshot
from engagement_core.ports.activities import ActivityStore, StoreUnavailable
from engagement_core.ports.telemetry import Telemetry
from engagement_core.use_cases.event_fields import emit_defect, emit_outcome
from engagement_core.use_cases.refused_writes import change_or_apart

__all__ = ["OrphanPolicy", "adopt_orphans"]


@dataclass(frozen=True, kw_only=True, slots=True)
class OrphanPolicy:
    """A worker that is silent for `silent_for` is dead; an attempt past its deadline by `margin` is an orphan."""

    silent_for: timedelta = timedelta(seconds=6)
    margin: timedelta = timedelta(seconds=5)
    limit: int = 200


def adopt_orphans(store: ActivityStore, telemetry: Telemetry, policy: OrphanPolicy) -> int:
    """Release, or mark as unknown, every attempt whose worker is gone. Returns how many.

    Raises:
        StoreUnavailable: the database failed or could not be reached for some of them; the others were adopted.
    """
    adopted = 0
    refused: StoreUnavailable | None = None
    for orphan in store.orphans(silent_for=policy.silent_for, margin=policy.margin, limit=policy.limit):
        try:
            # If the database refuses to change the activity's row, the attempt alone is adopted.
            phase, letter, pod_id = change_or_apart(store, orphan.activity_id, partial(_adopt, orphan=orphan))
        except StoreUnavailable as error:
            refused = error  # perhaps only this row is locked: go on with the next one
            continue
        except Exception as error:  # noqa: BLE001 - a defect in one row must not stop the others
            emit_defect(telemetry, error, activity_id=orphan.activity_id)
            continue
        if phase is not None:
            adopted += 1
            about = {"activity_id": orphan.activity_id, "attempt": orphan.number, "pod_id": pod_id}
            telemetry.emit(Signal.ORPHAN_FOUND, **about, reason=orphan.reason, phase=phase.value)
            if letter is not None:
                emit_outcome(telemetry, letter, about)
    if refused is not None:
        raise refused
    return adopted


def _adopt(snapshot: Snapshot, *, orphan: Orphan) -> Decision[tuple[Phase | None, Buried | None, str | None]]:
    decision = decide_orphan(snapshot, orphan=orphan)
    is_buried = any(isinstance(each, AddDeadLetter) for each in decision.writes)
    letter = Buried(failure=_LEFT) if is_buried else None
    return Decision((decision.result, letter, getattr(snapshot.activity, "pod_id", None)), decision.writes)
