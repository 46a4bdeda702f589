"""What other services build on: the names of `engagement_core`, pinned."""

from __future__ import annotations

import inspect
from pathlib import Path

import engagement_core

_NAMES = """
PUBLIC_STATUS TAXONOMY TRANSITIONS Account Activity ActivityStore AddDeadLetter Answer Applied Attempt Block
BlockScope Buried Bury Cause ClaimPolicy Clock CloseDeadLetter Control ControlKind DeadLetter Deadline Decision
Deferred Dropped Due Effect Engagement EngagementType ErrorNote ErrorType Event Executed Executor Failure Found
IllegalEvent LinkedIn Malformed MarkExecuted MarkFailed MarkScheduled Meaning NoReadBack NotSent Orphan OrphanPolicy
Outcome PendingDecisions Phase Pod Provenance PublicStatus RaiseAlert ReadBack Reconcile ReconcilePolicy Reconciler
Refused Requeued Resolved RetryAt RetryDecision RetryPolicy SaveAttempt Scope Seen Signal SlowStart Snapshot
StoreUnavailable Telemetry Unknown Voice VoiceCartridge VoiceFailed Write adopt_orphans decide_requeue decide_resolve
next_phase
"""


def test_the_public_names_are_these() -> None:
    """To add one is a minor version; to take one away, or to change its meaning, a major one."""
    assert sorted(engagement_core.__all__) == sorted(_NAMES.split())


def test_every_public_name_is_there_and_is_the_core_s_own() -> None:
    """Nothing of the standard library is offered as ours."""
    for name in engagement_core.__all__:
        offered = getattr(engagement_core, name)
        if inspect.isclass(offered) or inspect.isfunction(offered):
            assert offered.__module__.startswith("engagement_core."), name


def test_no_public_name_hides_a_module() -> None:
    """`import engagement_core.x` must give the module x."""
    modules = {path.stem for path in Path(engagement_core.__file__).parent.iterdir()}
    assert not modules & set(engagement_core.__all__)


def test_the_core_is_typed() -> None:
    """Type checkers believe a package that says so."""
    assert (Path(engagement_core.__file__).parent / "py.typed").exists()
