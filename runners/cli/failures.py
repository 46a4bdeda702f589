"""What an exception means to the person at the terminal: one line, and an exit code."""

from __future__ import annotations

import click

from adapters.embedded import EmbeddedServersFailed
from adapters.postgres.inspection.catalog import SchemaProblem
from engagement_core.ports.activities import StoreUnavailable
from engagement_core.ports.queue import QueueUnavailable
from runners.settings import SettingsProblem

__all__ = ["Failed", "Misused", "told_plainly"]

_CONFIGURATION = (SettingsProblem, SchemaProblem)
_OPERATION = (StoreUnavailable, QueueUnavailable, EmbeddedServersFailed, OSError)


class Failed(click.ClickException):
    """The operation failed: the command ends here, with 1. The message is for the user."""


class Misused(Failed):
    """What was asked for, or how it is set up, makes no sense: it ends with 2."""

    exit_code = 2


def told_plainly(error: Exception) -> Failed | None:
    """The error as the user sees it; None for what click tells itself, and for what only a defect can cause."""
    if isinstance(error, BrokenPipeError):
        return None
    if isinstance(error, _CONFIGURATION):
        return Misused(str(error))
    if isinstance(error, UnicodeEncodeError):
        return Misused("an argument has bytes that are not UTF-8")
    return Failed(str(error)) if isinstance(error, _OPERATION) else None
