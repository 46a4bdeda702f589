"""What happens, told as it happens: logs, metrics, progress and crash tests all listen to the same events."""

from __future__ import annotations

from typing import Protocol

from engagement_core.model.signal import Signal

__all__ = ["Telemetry"]


class Telemetry(Protocol):
    """A listener. It must never raise, block, or be told a secret or a comment's text."""

    def emit(self, signal: Signal, **fields: object) -> None:
        """Something happened; `fields` are plain values (activity_id, attempt, duration_ms, ...)."""
        ...
