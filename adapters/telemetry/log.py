"""Writes events as structured log lines: constant names and fields, no prose.

The one rule: no secret and no comment's text is logged above debug. A value that could hold one is masked anyway: by
its name, by the value itself, or by its shape.
"""

from __future__ import annotations

import logging
import sys
from collections.abc import Iterable
from typing import Any, TextIO

import structlog

from adapters.telemetry.events import level_of
from adapters.telemetry.redaction import Redactor
from engagement_core.model.signal import Signal

__all__ = ["LogTelemetry", "configure_logging"]


class LogTelemetry:
    """Fills `engagement_core.ports.telemetry.Telemetry` with structlog. `bound` fields are on every line."""

    def __init__(self, **bound: object) -> None:
        self._log = structlog.get_logger("engagement").bind(**bound)

    def emit(self, signal: Signal, **fields: object) -> None:
        """See the port."""
        level = level_of(signal, fields)
        if self._log.is_enabled_for(level):
            told = {name: value for name, value in fields.items() if value is not None}
            self._log.log(level, signal.value, **told)


def configure_logging(*, level: str, form: str, stream: TextIO | None = None, secrets: Iterable[str] = ()) -> None:
    """Set up the process's logging, once.

    Args:
        level: `debug`, `info`, `warning` or `error`.
        form: `json` (one object per line) or `console`.
        stream: standard error unless given.
        secrets: values that must not be printed anywhere.
    """
    out = stream or sys.stderr
    renderer: Any
    if form == "json":
        renderer = structlog.processors.JSONRenderer()
    else:
        renderer = structlog.dev.ConsoleRenderer(colors=out.isatty())
    structlog.configure(
        processors=[
            structlog.contextvars.merge_contextvars,
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            structlog.processors.format_exc_info,
            Redactor(secrets),
            renderer,
        ],
        wrapper_class=structlog.make_filtering_bound_logger(getattr(logging, level.upper())),
        logger_factory=structlog.PrintLoggerFactory(file=out),
        cache_logger_on_first_use=False,
    )
