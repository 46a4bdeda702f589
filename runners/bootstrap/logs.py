"""The process's log, as the settings want it."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager

from adapters.telemetry.log import LogTelemetry, configure_logging
from adapters.telemetry.process import whole_process
from adapters.telemetry.redaction import secrets_in_url
from runners.settings import Settings

__all__ = ["logging_process", "start_logging"]


def start_logging(settings: Settings, **bound: object) -> LogTelemetry:
    """Configure logging to standard error, and return the listener; `bound` fields are on every line."""
    form = settings.log_format or ("console" if sys.stderr.isatty() else "json")
    configure_logging(level=settings.log_level, form=form, secrets=_secrets(settings))
    return LogTelemetry(**bound)


@contextmanager
def logging_process(settings: Settings, **bound: object) -> Iterator[LogTelemetry]:
    """The same for a process that is ours alone: what libraries and uncaught exceptions say is logged as well."""
    telemetry = start_logging(settings, **bound)
    with whole_process(settings.log_level, **bound):
        yield telemetry


def _secrets(settings: Settings) -> list[str]:
    keys = (settings.unipile_api_key, settings.voice_api_key)
    found = [key for key in keys if key]
    for address in filter(None, (settings.database_url, settings.redis_url)):
        found += secrets_in_url(address)
    for address in filter(None, (settings.alert_webhook_url, settings.voice_base_url)):
        # A key may lie in the path of the one and in the query of the other.
        found += secrets_in_url(address, whole=address == settings.alert_webhook_url or "?" in address)
    return found
