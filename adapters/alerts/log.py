"""Alerts as log lines: what everybody has who has nothing else."""

from __future__ import annotations

from engagement_core.ports.alerts import Alert
from engagement_core.ports.telemetry import Signal, Telemetry

__all__ = ["LogAlerts"]


class LogAlerts:
    """Fills `engagement_core.ports.alerts.Alerts`."""

    def __init__(self, telemetry: Telemetry) -> None:
        self._telemetry = telemetry

    def send(self, alert: Alert) -> None:
        """See the port. Never undelivered."""
        self._telemetry.emit(
            Signal.ALERT,
            kind=alert.kind,
            message=alert.message,
            activity_id=alert.activity_id,
            raised_at=alert.raised_at.isoformat(),
        )
