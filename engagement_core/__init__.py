"""The domain of scheduled engagement: values, rules and use cases. Standard library only.

What other services use is listed here, and stays: a name goes or changes its meaning with a major version only. What a
module has beyond this list is its own business. `examples/newsroom` shows the list at work.
"""

from __future__ import annotations

from engagement_core.activity import Account, Activity, EngagementType, Malformed, Pod, PublicStatus, VoiceCartridge
from engagement_core.attempt import Attempt, Provenance
from engagement_core.backlog import Backlog
from engagement_core.claim import ClaimPolicy
from engagement_core.dead_letters import Refused, Requeued, Resolved, decide_requeue, decide_resolve
from engagement_core.errors import TAXONOMY, Cause, Effect, ErrorType, Failure, Meaning, Scope
from engagement_core.execute import Executor
from engagement_core.findings import ReconcilePolicy
from engagement_core.lifecycle import PUBLIC_STATUS, TRANSITIONS, Event, IllegalEvent, Phase, next_phase
from engagement_core.outcome import Buried, Dropped, Executed, Outcome, Unknown, Waits
from engagement_core.ports.activities import (
    ActivityStore,
    AddDeadLetter,
    Block,
    BlockScope,
    CloseDeadLetter,
    Control,
    ControlKind,
    DeadLetter,
    Decision,
    Due,
    ErrorNote,
    MarkExecuted,
    MarkFailed,
    MarkScheduled,
    Orphan,
    Pace,
    RaiseAlert,
    SaveAttempt,
    Snapshot,
    StoreUnavailable,
    Write,
)
from engagement_core.ports.clock import Clock, Deadline
from engagement_core.ports.linkedin import (
    Answer,
    Applied,
    Engagement,
    Found,
    LinkedIn,
    NoReadBack,
    NotSent,
    ReadBack,
    Seen,
)
from engagement_core.ports.telemetry import Signal, Telemetry
from engagement_core.ports.voice import Voice, VoiceFailed
from engagement_core.reconcile import Reconciler
from engagement_core.retry import Bury, Reconcile, RetryAt, RetryDecision, RetryPolicy
from engagement_core.sweep import OrphanPolicy, adopt_orphans

__all__ = [
    "PUBLIC_STATUS",
    "TAXONOMY",
    "TRANSITIONS",
    "Account",
    "Activity",
    "ActivityStore",
    "AddDeadLetter",
    "Answer",
    "Applied",
    "Attempt",
    "Backlog",
    "Block",
    "BlockScope",
    "Buried",
    "Bury",
    "Cause",
    "ClaimPolicy",
    "Clock",
    "CloseDeadLetter",
    "Control",
    "ControlKind",
    "DeadLetter",
    "Deadline",
    "Decision",
    "Dropped",
    "Due",
    "Effect",
    "Engagement",
    "EngagementType",
    "ErrorNote",
    "ErrorType",
    "Event",
    "Executed",
    "Executor",
    "Failure",
    "Found",
    "IllegalEvent",
    "LinkedIn",
    "Malformed",
    "MarkExecuted",
    "MarkFailed",
    "MarkScheduled",
    "Meaning",
    "NoReadBack",
    "NotSent",
    "Orphan",
    "OrphanPolicy",
    "Outcome",
    "Pace",
    "Phase",
    "Pod",
    "Provenance",
    "PublicStatus",
    "RaiseAlert",
    "ReadBack",
    "Reconcile",
    "ReconcilePolicy",
    "Reconciler",
    "Refused",
    "Requeued",
    "Resolved",
    "RetryAt",
    "RetryDecision",
    "RetryPolicy",
    "SaveAttempt",
    "Scope",
    "Seen",
    "Signal",
    "Snapshot",
    "StoreUnavailable",
    "Telemetry",
    "Unknown",
    "Voice",
    "VoiceCartridge",
    "VoiceFailed",
    "Waits",
    "Write",
    "adopt_orphans",
    "decide_requeue",
    "decide_resolve",
    "next_phase",
]
