"""A listener that remembers, and that a test can wait on instead of sleeping."""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import dataclass, field

from engagement_core.model.signal import Signal

__all__ = ["InMemoryTelemetry", "Told"]


@dataclass(frozen=True)
class Told:
    """One event."""

    signal: Signal
    fields: dict[str, object]


@dataclass
class InMemoryTelemetry:
    """Fills `engagement_core.ports.telemetry.Telemetry`. `told` is everything so far, in order."""

    told: list[Told] = field(default_factory=list)

    def __post_init__(self) -> None:
        self._news = threading.Condition()

    def emit(self, signal: Signal, **fields: object) -> None:
        """See the port."""
        with self._news:
            self.told.append(Told(signal, fields))
            self._news.notify_all()

    def wait_for(self, seen: Callable[[list[Told]], bool], timeout: float = 10.0) -> bool:
        """Block until `seen(told)` is true; False when `timeout` seconds were not enough."""
        with self._news:
            return self._news.wait_for(lambda: seen(self.told), timeout)

    def fields_of(self, signal: Signal) -> list[dict[str, object]]:
        """The fields of every event with this name."""
        return [told.fields for told in self.told if told.signal is signal]
