"""What an exception means to the person at the terminal: one line, and an exit code."""

from __future__ import annotations

import click

from adapters.embedded import EmbeddedServersFailed
from adapters.postgres.catalog import SchemaProblem
from engagement_core.ports.activities import StoreUnavailable
from engagement_core.ports.queue import QueueUnavailable
from runners.settings import SettingsProblem

__all__ = ["Failed", "told_plainly"]

_CONFIGURATION = (SettingsProblem, SchemaProblem)
_OPERATION = (StoreUnavailable, QueueUnavailable, EmbeddedServersFailed, OSError)


class Failed(click.ClickException):
    """The command ends here; the message is for the user."""

    def __init__(self, message: str, *, exit_code: int = 1) -> None:
        """`exit_code`: 1 for an operation that failed, 2 for usage or configuration."""
        super().__init__(message)
        self.exit_code = exit_code


def told_plainly(error: Exception) -> Failed | None:
    """The error as the user sees it; None for what click tells itself, and for what only a defect can cause."""
    if isinstance(error, BrokenPipeError):
        return None
    if isinstance(error, _CONFIGURATION):
        return Failed(str(error), exit_code=2)
    if isinstance(error, UnicodeEncodeError):
        return Failed("an argument has bytes that are not UTF-8", exit_code=2)
    return Failed(str(error)) if isinstance(error, _OPERATION) else None
