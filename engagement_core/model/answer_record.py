"""An answer as an attempt's row keeps it: JSON values only.

The one rule: keys are added, never renamed. Rows of any age are read, so every key may be missing.
"""

from __future__ import annotations

from datetime import timedelta
from typing import TypedDict

from engagement_core.model.errors import Effect
from engagement_core.model.provider import Answer, Applied, NotSent

__all__ = ["AnswerRecord", "as_record"]


class AnswerRecord(TypedDict, total=False):
    """What is kept in the columns `answer`, `error` and `evidence`."""

    effect: str
    """A value of `Effect`: what is known of the engagement."""
    engagement_id: str | None
    """The provider's id of what it did; of a yes only."""
    created_at: str | None
    """When the provider says it was done, in ISO 8601; of a yes only."""
    cause: str
    """A value of `Cause`; of a failure only."""
    error_type: str
    """A value of `ErrorType`; of a failure only."""
    message: str
    """What went wrong, in a sentence for people."""
    provider_status: int | None
    """The HTTP status; of a failure only."""
    provider_type: str | None
    """The provider's own word for it; of a failure only."""
    retry_after_s: float
    """How many seconds the provider asked to wait, if it did."""


def as_record(answer: Answer) -> AnswerRecord:
    """`effect` is always there; the other keys follow from the kind of answer."""
    if isinstance(answer, Applied):
        created_at = answer.created_at.isoformat() if answer.created_at else None
        return {"effect": Effect.APPLIED.value, "engagement_id": answer.engagement_id, "created_at": created_at}
    if isinstance(answer, NotSent):
        return {"effect": Effect.NONE.value, "message": answer.reason}
    record: AnswerRecord = {
        "effect": answer.effect.value,
        "cause": answer.cause.value,
        "error_type": answer.error_type.value,
        "message": answer.message,
        "provider_status": answer.provider_status,
        "provider_type": answer.provider_type,
    }
    if answer.retry_after is not None:
        record["retry_after_s"] = answer.retry_after / timedelta(seconds=1)
    return record
