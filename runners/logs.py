"""The process's log, as the settings want it."""

from __future__ import annotations

import sys

from adapters.telemetry.log import LogTelemetry, configure_logging
from runners.settings import Settings

__all__ = ["start_logging"]


def start_logging(settings: Settings, **bound: object) -> LogTelemetry:
    """Configure logging to standard error, and return the listener; `bound` fields are on every line."""
    form = settings.log_format or ("console" if sys.stderr.isatty() else "json")
    configure_logging(level=settings.log_level, form=form)
    return LogTelemetry(**bound)
