"""One listener made of several."""

from __future__ import annotations

from engagement_core.ports.telemetry import Signal, Telemetry

__all__ = ["SeveralListeners"]


class SeveralListeners:
    """Fills `engagement_core.ports.telemetry.Telemetry`: tells each of its members, in order."""

    def __init__(self, *members: Telemetry) -> None:
        self._members = members

    def emit(self, signal: Signal, **fields: object) -> None:
        """See the port."""
        for member in self._members:
            member.emit(signal, **fields)
