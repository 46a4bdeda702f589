"""Writes alerts as log lines, for installations that have no webhook."""

from __future__ import annotations

from engagement_core.model.incident import Alert, AlertState
from engagement_core.model.signal import Signal
from engagement_core.ports.telemetry import Telemetry

__all__ = ["LogAlerts"]

_SIGNALS = {AlertState.RAISED: Signal.ALERT, AlertState.RESOLVED: Signal.ALERT_RESOLVED}


class LogAlerts:
    """Fills `engagement_core.ports.alerts.Alerts`."""

    def __init__(self, telemetry: Telemetry) -> None:
        self._telemetry = telemetry

    def send(self, alert: Alert) -> None:
        """See the port. Never undelivered."""
        self._telemetry.emit(
            _SIGNALS[alert.state],
            kind=alert.kind,
            incident=alert.incident,
            message=alert.message,
            activity_id=alert.activity_id,
            raised_at=alert.raised_at.isoformat(),
        )
