"""Makes one listener of several.

The one rule: a listener's error never reaches the code that reports the event. An engagement must not be executed again
because a log line could not be written.
"""

from __future__ import annotations

import sys
from contextlib import suppress

from engagement_core.model.signal import Signal
from engagement_core.ports.telemetry import Telemetry

__all__ = ["FanOutTelemetry"]


class FanOutTelemetry:
    """Fills `engagement_core.ports.telemetry.Telemetry`: tells each of its members, in order."""

    def __init__(self, *members: Telemetry) -> None:
        self._members = members

    def emit(self, signal: Signal, **fields: object) -> None:
        """See the port."""
        for member in self._members:
            _tell(member, signal, fields)


def _tell(member: Telemetry, signal: Signal, fields: dict[str, object]) -> None:
    try:
        member.emit(signal, **fields)
    except Exception as error:  # noqa: BLE001 - see the module's rule
        with suppress(OSError, ValueError):
            sys.stderr.write(f"a listener failed at {signal.value}: {type(error).__name__}\n")
