"""The machine's clock for durations."""

from __future__ import annotations

import time

__all__ = ["SystemClock"]

# Counts the time a machine was suspended: Linux has a clock of its own for that, on macOS the monotonic one does.
_CLOCK = getattr(time, "CLOCK_BOOTTIME", time.CLOCK_MONOTONIC)


class SystemClock:
    """Fills `engagement_core.ports.clock.Clock`."""

    def elapsed(self) -> float:
        """See the port."""
        return time.clock_gettime(_CLOCK)
