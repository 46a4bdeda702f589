"""An answer as an attempt's row keeps it: JSON values only."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from engagement_core.model.errors import Effect
from engagement_core.model.provider import Answer, Applied, NotSent

__all__ = ["as_record"]


def as_record(answer: Answer) -> dict[str, Any]:
    """`effect` is there always; the other keys follow from the kind of answer."""
    if isinstance(answer, Applied):
        created_at = answer.created_at.isoformat() if answer.created_at else None
        return {"effect": Effect.APPLIED.value, "engagement_id": answer.engagement_id, "created_at": created_at}
    if isinstance(answer, NotSent):
        return {"effect": Effect.NONE.value, "message": answer.reason}
    record: dict[str, Any] = {
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
