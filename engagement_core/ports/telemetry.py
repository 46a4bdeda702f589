"""Events, sent as they happen. Logs, metrics, progress and crash tests all listen to the same events."""

from __future__ import annotations

from typing import Protocol

from engagement_core.model.signal import Signal

__all__ = ["Telemetry"]


class Telemetry(Protocol):
    """A listener. It must never raise or block, and it must never be given a secret or a comment's text."""

    def emit(self, signal: Signal, **fields: object) -> None:
        """Something happened; `fields` are plain values (activity_id, attempt, duration_ms, ...)."""
        ...
