"""The machine's clock for durations."""

from __future__ import annotations

import time

__all__ = ["SystemClock"]

# This clock includes the time for which a machine was suspended. Linux has a clock of its own for that; on macOS the
# monotonic one includes it.
_CLOCK = getattr(time, "CLOCK_BOOTTIME", time.CLOCK_MONOTONIC)


class SystemClock:
    """Fills `engagement_core.ports.clock.Clock`."""

    def elapsed(self) -> float:
        """See the port."""
        return time.clock_gettime(_CLOCK)
