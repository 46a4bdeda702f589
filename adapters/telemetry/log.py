"""Events as structured log lines: constant names, fields, never prose.

The one rule: no secret and no comment's text is ever logged above debug; keys that could carry one are masked anyway.
"""

from __future__ import annotations

import logging
import sys
from collections.abc import Mapping, MutableMapping
from typing import Any, TextIO

import structlog

from engagement_core.ports.telemetry import Signal

__all__ = ["LogTelemetry", "configure_logging"]

_LEVELS: Mapping[Signal, int] = {
    Signal.ACTIVITY_DEFERRED: logging.DEBUG,
    Signal.ACTIVITY_DROPPED: logging.DEBUG,
    Signal.ERROR_CLASSIFIED: logging.WARNING,
    Signal.DEAD_LETTER: logging.WARNING,
    Signal.ACCOUNT_COOLED_DOWN: logging.WARNING,
    Signal.ORPHAN_FOUND: logging.WARNING,
    Signal.PAYLOAD_UNREADABLE: logging.WARNING,
    Signal.QUEUE_UNAVAILABLE: logging.WARNING,
    Signal.STORE_UNAVAILABLE: logging.ERROR,
    Signal.WORKER_LOST: logging.ERROR,
    Signal.ROUND_FAILED: logging.ERROR,
    Signal.EXECUTION_FAILED: logging.ERROR,
    Signal.ALERT: logging.ERROR,
    Signal.ALERT_UNDELIVERED: logging.WARNING,
}
_SECRET_KEYS = ("token", "api_key", "authorization", "password", "secret")
_TEXT_KEYS = ("text", "comment_text", "comment_generated")


class LogTelemetry:
    """Fills `engagement_core.ports.telemetry.Telemetry` with structlog. `bound` fields are on every line."""

    def __init__(self, **bound: object) -> None:
        self._log = structlog.get_logger("engagement").bind(**bound)

    def emit(self, signal: Signal, **fields: object) -> None:
        """See the port."""
        level = _LEVELS.get(signal, logging.INFO)
        self._log.log(level, signal.value, **{name: value for name, value in fields.items() if value is not None})


def configure_logging(*, level: str, form: str, stream: TextIO | None = None) -> None:
    """Set the process's logging up, once.

    Args:
        level: `debug`, `info`, `warning` or `error`.
        form: `json` (one object per line) or `console`.
        stream: standard error unless given.
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
            _mask,
            renderer,
        ],
        wrapper_class=structlog.make_filtering_bound_logger(getattr(logging, level.upper())),
        logger_factory=structlog.PrintLoggerFactory(file=out),
        cache_logger_on_first_use=False,
    )


def _mask(_: Any, method: str, event: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
    for key in event:
        if any(word in key.lower() for word in _SECRET_KEYS) or (key in _TEXT_KEYS and method != "debug"):
            event[key] = "***"
    return event
