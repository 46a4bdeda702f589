"""Logs everything else that a process prints: libraries' lines, warnings, and uncaught exceptions.

The one rule: it takes the same way as our own events, and so the same redaction. A traceback printed by Python itself
is the one place where everybody could see a password in a message.
"""

from __future__ import annotations

import logging
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from types import TracebackType

import structlog

from engagement_core.model.signal import Signal

__all__ = ["whole_process"]


@contextmanager
def whole_process(level: str, **bound: object) -> Iterator[None]:
    """Take over what the process prints, until the end of the block. Call `configure_logging` first.

    Args:
        level: our log level. Libraries are logged from warnings on, or from debug on if this is debug.
        bound: fields that are on every line.
    """
    log = structlog.get_logger("engagement").bind(**bound)
    root, libraries = logging.getLogger(), _Libraries(log)
    before = root.level, sys.excepthook, threading.excepthook
    root.addHandler(libraries)
    root.setLevel(logging.DEBUG if level == "debug" else logging.WARNING)
    libraries.setLevel(root.level)
    logging.captureWarnings(True)

    def on_exception(kind: type[BaseException], error: BaseException, traceback: TracebackType | None) -> None:
        if not issubclass(kind, KeyboardInterrupt):
            _uncaught(log, threading.current_thread().name, (kind, error, traceback))

    def in_thread(args: threading.ExceptHookArgs) -> None:
        if args.exc_value is not None:
            name = args.thread.name if args.thread else "?"
            _uncaught(log, name, (args.exc_type, args.exc_value, args.exc_traceback))

    sys.excepthook, threading.excepthook = on_exception, in_thread
    try:
        yield
    except Exception:
        # Nothing in the block caught it. Python calls the hook only after the last block has ended, this one included.
        before = before[0], on_exception, before[2]
        raise
    finally:
        logging.captureWarnings(False)
        root.removeHandler(libraries)
        level_before, sys.excepthook, threading.excepthook = before
        root.setLevel(level_before)


_Raised = tuple[type[BaseException], BaseException, TracebackType | None]


def _uncaught(log: structlog.typing.FilteringBoundLogger, thread: str, raised: _Raised) -> None:
    log.error(Signal.EXCEPTION_UNCAUGHT.value, thread=thread, exc_info=raised)


class _Libraries(logging.Handler):
    """Turns lines of the standard library's logging into our events."""

    def __init__(self, log: structlog.typing.FilteringBoundLogger) -> None:
        super().__init__()
        self._log = log

    def emit(self, record: logging.LogRecord) -> None:
        """Write one line.
        A line that cannot be written is lost: `logging`'s own report of the failure would repeat the line."""
        with suppress(Exception):
            self._log.log(
                record.levelno,
                Signal.LIBRARY_LOGGED.value,
                logger=record.name,
                message=record.getMessage(),
                exc_info=record.exc_info or None,
            )
