"""Alerts to several places: each is told once, even when another one has to be told again."""

from __future__ import annotations

from engagement_core.ports.alerts import Alert, Alerts, AlertsUndelivered

__all__ = ["SeveralAlerts"]

_REMEMBERED = 1_000


class SeveralAlerts:
    """Fills `engagement_core.ports.alerts.Alerts`. Who was told is remembered for as long as the process lives."""

    def __init__(self, *places: Alerts) -> None:
        self._places = places
        self._told: dict[tuple[int, int], None] = {}

    def send(self, alert: Alert) -> None:
        """See the port. Everybody has a turn before the first failure is raised."""
        failed = [error for number, place in enumerate(self._places) if (error := self._tell(number, place, alert))]
        if failed:
            raise failed[0]

    def _tell(self, number: int, place: Alerts, alert: Alert) -> AlertsUndelivered | None:
        if (number, alert.id) in self._told:
            return None
        try:
            place.send(alert)
        except AlertsUndelivered as error:
            return error
        self._told[number, alert.id] = None
        while len(self._told) > _REMEMBERED:
            self._told.pop(next(iter(self._told)))
        return None
