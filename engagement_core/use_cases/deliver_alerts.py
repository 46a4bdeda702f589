"""Use case: deliver the alerts of the outbox to people.

The one rule: the log waits for nothing. It gets each alert once, when the alert is first taken. The webhook gets it at
least once; its failures repeat and delay nothing but the webhook itself. (If a worker dies between taking and logging
and there is a webhook, the log misses that line; the webhook gets the alert in any case.)
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
    """Carries alerts from the outbox to the log and, if there is one, to a webhook."""

    outbox: AlertOutbox
    log: Alerts
    webhook: Alerts | None
    telemetry: Telemetry

    def run_once(self, *, limit: int = 20) -> None:
        """Deliver what waits, oldest first. The first alert that the webhook does not accept ends the run.

        Raises:
            StoreUnavailable: the database failed or could not be reached; what was delivered may be delivered again.
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
        """The error that prevented delivery; None if there was none. A defect concerns one alert and stops no other,
        unlike an address that cannot be reached."""
        try:
            alerts.send(alert)
        except Exception as error:  # noqa: BLE001 - see above
            message = str(error) if isinstance(error, AlertsUndelivered) else f"{type(error).__name__}: {error}"
            self.telemetry.emit(Signal.ALERT_UNDELIVERED, alert=alert.id, kind=alert.kind, message=message)
            return error
        return None
