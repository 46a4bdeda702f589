"""The domain of scheduled engagement: values, rules and use cases. It imports the standard library only.

The one rule: this list is the public API. Only a major version removes a name or changes its meaning. Other names in
the modules are private and may change at any time. `examples/newsroom` shows how the API is used.
"""

from __future__ import annotations

from engagement_core.decisions.claim import ClaimPolicy
from engagement_core.decisions.dead_letters import Refused, Requeued, Resolved, decide_requeue, decide_resolve
from engagement_core.decisions.judge_read_back import ReconcilePolicy
from engagement_core.decisions.retry import Bury, Reconcile, RetryAt, RetryDecision, RetryPolicy
from engagement_core.model.activity import (
    Account,
    Activity,
    EngagementType,
    Malformed,
    Pod,
    PublicStatus,
    VoiceCartridge,
)
from engagement_core.model.attempt import Attempt, Provenance
from engagement_core.model.controls import BlockScope, Control, ControlKind, SlowStart
from engagement_core.model.dead_letter import DeadLetter
from engagement_core.model.decision import (
    AddDeadLetter,
    Block,
    CloseDeadLetter,
    Decision,
    ErrorNote,
    MarkExecuted,
    MarkFailed,
    MarkScheduled,
    RaiseAlert,
    SaveAttempt,
    Write,
)
from engagement_core.model.due import Due
from engagement_core.model.errors import TAXONOMY, Cause, Effect, ErrorType, Failure, Meaning, Scope
from engagement_core.model.lifecycle import PUBLIC_STATUS, TRANSITIONS, Event, IllegalEvent, Phase, next_phase
from engagement_core.model.orphan import Orphan
from engagement_core.model.outcome import Buried, Deferred, Dropped, Executed, Outcome, Unknown
from engagement_core.model.provider import Answer, Applied, Engagement, Found, NoReadBack, NotSent, ReadBack, Seen
from engagement_core.model.signal import Signal
from engagement_core.model.snapshot import Snapshot
from engagement_core.ports.activities import ActivityStore, StoreUnavailable
from engagement_core.ports.clock import Clock, Deadline
from engagement_core.ports.linkedin import LinkedIn
from engagement_core.ports.telemetry import Telemetry
from engagement_core.ports.voice import Voice, VoiceFailed
from engagement_core.use_cases.adopt_orphans import OrphanPolicy, adopt_orphans
from engagement_core.use_cases.execute import Executor
from engagement_core.use_cases.pending_decisions import PendingDecisions
from engagement_core.use_cases.reconcile import Reconciler

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
    "Deferred",
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
    "PendingDecisions",
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
    "SlowStart",
    "Snapshot",
    "StoreUnavailable",
    "Telemetry",
    "Unknown",
    "Voice",
    "VoiceCartridge",
    "VoiceFailed",
    "Write",
    "adopt_orphans",
    "decide_requeue",
    "decide_resolve",
    "next_phase",
]
