"""Use case: what waits in the outbox reaches people.

The one rule: the log waits for nobody. It has each alert once, when it is first taken; the webhook has it at least
once, and its failures repeat and delay nothing but the webhook itself. (A worker that dies between taking and logging
costs the log its line where there is a webhook, which is told in any case.)
"""

from __future__ import annotations

from dataclasses import dataclass

from engagement_core.model.incident import Alert
from engagement_core.model.signal import Signal
from engagement_core.ports.alerts import AlertOutbox, Alerts, AlertsUndelivered
from engagement_core.ports.telemetry import Telemetry

__all__ = ["Delivery"]


@dataclass(frozen=True, kw_only=True)
class Delivery:
    """Carries alerts from the outbox to the log and, where there is one, to a webhook."""

    outbox: AlertOutbox
    log: Alerts
    webhook: Alerts | None
    telemetry: Telemetry

    def run_once(self, *, limit: int = 20) -> None:
        """Deliver what waits, the oldest first; the first one that the webhook does not take ends the turn.

        Raises:
            StoreUnavailable: the database did not do its part; what was delivered may be delivered again.
        """
        taken = self.outbox.take(limit=limit)
        for alert in taken:
            if alert.is_new or self.webhook is None:
                self._try(self.log, alert)
        for number, alert in enumerate(taken, start=1):
            failure = None if self.webhook is None else self._try(self.webhook, alert)
            if failure is None:
                self.outbox.delivered(alert)
                continue
            self.outbox.failed(alert)
            if isinstance(failure, AlertsUndelivered):
                self.outbox.give_back(taken[number:])
                return

    def _try(self, alerts: Alerts, alert: Alert) -> Exception | None:
        """What kept it from arriving. A defect is one alert's own: unlike an address that cannot be reached, it stops
        no other."""
        try:
            alerts.send(alert)
        except Exception as error:  # noqa: BLE001 - see above
            message = str(error) if isinstance(error, AlertsUndelivered) else f"{type(error).__name__}: {error}"
            self.telemetry.emit(Signal.ALERT_UNDELIVERED, alert=alert.id, kind=alert.kind, message=message)
            return error
        return None
