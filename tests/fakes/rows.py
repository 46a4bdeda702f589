"""The tables of the in-memory store, and how a write changes them.

The one rule: it does what the statements of the real one do, to the letter; nothing is decided here.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any

from engagement_core.model.activity import Account, Activity, Malformed, Pod, PublicStatus, VoiceCartridge
from engagement_core.model.attempt import Attempt
from engagement_core.model.controls import BlockScope, Control, ControlKind
from engagement_core.model.dead_letter import DeadLetter
from engagement_core.model.decision import (
    AddDeadLetter,
    Block,
    CloseDeadLetter,
    MarkExecuted,
    MarkFailed,
    MarkScheduled,
    RaiseAlert,
    SaveAttempt,
    Write,
)

__all__ = ["InMemoryRows"]


@dataclass
class InMemoryRows:
    """The dictionaries are the tables: a test fills and reads them.

    `now` is the "database's" clock. `beats` are the workers' last signs of life; `executed` and `failed` keep the last
    write that ended each activity; `raised` says when each open incident was raised, the first time and again;
    `blocked_at` when each control was put in force, and `released` from when until when an account was held that has
    been released.
    """

    now: Callable[[], datetime]
    activities: dict[str, Activity | Malformed] = field(default_factory=dict)
    pods: dict[str, Pod] = field(default_factory=dict)
    accounts: dict[str, Account] = field(default_factory=dict)
    cartridges: dict[str, VoiceCartridge] = field(default_factory=dict)
    attempts: dict[str, dict[int, Attempt]] = field(default_factory=dict)
    controls: list[Control] = field(default_factory=list)
    dead_letters: dict[str, DeadLetter] = field(default_factory=dict)
    alerts: dict[str, RaiseAlert] = field(default_factory=dict)
    raised: dict[str, list[datetime]] = field(default_factory=dict)
    beats: dict[str, datetime] = field(default_factory=dict)
    executed: dict[str, MarkExecuted] = field(default_factory=dict)
    failed: dict[str, MarkFailed] = field(default_factory=dict)
    notes: dict[str, MarkScheduled] = field(default_factory=dict)
    blocked_at: dict[tuple[ControlKind, BlockScope, str], datetime] = field(default_factory=dict)
    released: dict[str, tuple[datetime, datetime]] = field(default_factory=dict)

    def apply(self, write: Write) -> None:
        """Change the tables."""
        _APPLY[type(write)](self, write)

    def _save(self, write: SaveAttempt) -> None:
        self.attempts.setdefault(write.attempt.activity_id, {})[write.attempt.number] = write.attempt

    def _mark_scheduled(self, write: MarkScheduled) -> None:
        self._update(write.activity_id, PublicStatus.SCHEDULED, counts=write.counts, next_retry_at=write.next_retry_at)
        self.notes[write.activity_id] = write

    def _mark_executed(self, write: MarkExecuted) -> None:
        self._update(write.activity_id, PublicStatus.EXECUTED, next_retry_at=None)
        self.executed[write.activity_id] = write

    def _mark_failed(self, write: MarkFailed) -> None:
        self._update(write.activity_id, PublicStatus.FAILED, counts=write.counts, next_retry_at=None)
        self.failed[write.activity_id] = write

    def _update(self, activity_id: str, status: PublicStatus, *, counts: bool = False, **changes: Any) -> None:
        activity = self.activities.get(activity_id)
        if activity is None:
            return  # its row was deleted
        if isinstance(activity, Malformed):
            self.activities[activity_id] = replace(activity, status=status.value)
            return
        failures = activity.failure_count + int(counts)
        self.activities[activity_id] = replace(activity, status=status.value, failure_count=failures, **changes)

    def _add_dead_letter(self, write: AddDeadLetter) -> None:
        self.dead_letters[write.letter.activity_id] = write.letter

    def _close_dead_letter(self, write: CloseDeadLetter) -> None:
        self.dead_letters.pop(write.activity_id, None)

    def _block(self, write: Block) -> None:
        new = write.control
        self.blocked_at[new.kind, new.scope, new.scope_id] = self.now()
        for index, old in enumerate(self.controls):
            if (old.kind, old.scope, old.scope_id) == (new.kind, new.scope, new.scope_id):
                endless = old.until is None or new.until is None
                until = None if endless else max(old.until, new.until)  # type: ignore[type-var]
                self.controls[index] = replace(new, until=until)
                return
        self.controls.append(new)

    def _raise_alert(self, write: RaiseAlert) -> None:
        self.alerts.setdefault(write.incident, write)
        self.raised.setdefault(write.incident, []).append(self.now())


_APPLY: dict[type, Callable[[InMemoryRows, Any], None]] = {
    SaveAttempt: InMemoryRows._save,
    MarkScheduled: InMemoryRows._mark_scheduled,
    MarkExecuted: InMemoryRows._mark_executed,
    MarkFailed: InMemoryRows._mark_failed,
    AddDeadLetter: InMemoryRows._add_dead_letter,
    CloseDeadLetter: InMemoryRows._close_dead_letter,
    Block: InMemoryRows._block,
    RaiseAlert: InMemoryRows._raise_alert,
}
