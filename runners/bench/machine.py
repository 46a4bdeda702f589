"""Describes the machine on which the bench runs."""

from __future__ import annotations

import os
import platform
from typing import Any

from runners.bench.stage import Stage

__all__ = ["machine"]


def machine(stage: Stage) -> dict[str, Any]:
    """The kind of machine, its load (one-minute average) before the measurements, and the servers' versions."""
    return {
        "cores": _cores(),
        "system": f"{platform.system()} {platform.machine()}",
        "python": platform.python_version(),
        "postgresql": stage.database.version(),
        "redis": stage.redis.version(),
        "load_before": round(os.getloadavg()[0], 2),
    }


def _cores() -> int | None:
    """The cores that this process may use, if the system can tell; otherwise all cores."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
