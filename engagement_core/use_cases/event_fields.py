"""What an execution tells of an answer and of its end: the same few words, whoever listens.

The one rule: plain values only, and never a text that a person or a voice wrote.
"""

from __future__ import annotations

from collections.abc import Mapping

from engagement_core.model.errors import Cause, Effect, Failure
from engagement_core.model.outcome import Buried, Deferred, Dropped, Executed, Outcome
from engagement_core.model.provider import Answer, Applied, NotSent
from engagement_core.model.signal import Signal
from engagement_core.ports.activities import StoreRefused
from engagement_core.ports.telemetry import Telemetry

__all__ = ["answer_fields", "emit_defect", "emit_outcome", "emit_refusal", "failure_fields"]


def answer_fields(answer: Answer) -> dict[str, object]:
    """What the provider said to a call. `outcome`: applied, refused, unknown, not_sent, or released where the breaker
    spoke instead of the provider."""
    if isinstance(answer, Applied):
        created_at = answer.created_at.isoformat() if answer.created_at else None
        return {"outcome": "applied", "engagement_id": answer.engagement_id, "created_at": created_at}
    if isinstance(answer, NotSent):
        return {"outcome": "released"}
    return {
        "outcome": _outcome(answer),
        "provider_status": answer.provider_status,
        "provider_type": answer.provider_type,
    }


def failure_fields(failure: Failure) -> dict[str, object]:
    """An error, classified."""
    return {
        "error_type": failure.error_type.value,
        "effect": failure.effect.value,
        "cause": failure.cause.value,
        "message": failure.message,
    }


def emit_outcome(telemetry: Telemetry, outcome: Outcome, about: Mapping[str, object]) -> None:
    """How an execution ended; `about` says whose it was and how long it took."""
    match outcome:
        case Executed():
            kind = outcome.engagement_type.value if outcome.engagement_type else None
            fields = {"engagement_type": kind, **about, "provenance": outcome.provenance.value}
            telemetry.emit(Signal.JOB_COMPLETED, **fields)
        case Deferred():
            telemetry.emit(Signal.ACTIVITY_DEFERRED, **about, reason=outcome.reason)
        case Buried():
            failure = outcome.failure
            telemetry.emit(Signal.DEAD_LETTER, **about, error_type=failure.error_type.value, message=failure.message)
        case Dropped():
            telemetry.emit(Signal.ACTIVITY_DROPPED, **about, reason=outcome.reason)


def emit_defect(telemetry: Telemetry, error: Exception, **about: object) -> None:
    """A defect that one activity or account has met; `about` says whose."""
    telemetry.emit(Signal.EXECUTION_FAILED, **about, message=f"{type(error).__name__}: {error}")


def emit_refusal(telemetry: Telemetry, refused: StoreRefused, **about: object) -> None:
    """What the database refused, in its words; `about` says of whom."""
    telemetry.emit(Signal.STORE_REFUSED, **about, message=str(refused), code=refused.code)


def _outcome(failure: Failure) -> str:
    if failure.cause is Cause.NOT_SENT:
        return "not_sent"
    return "unknown" if failure.effect is Effect.UNKNOWN else "refused"
