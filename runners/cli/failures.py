"""Turns an exception into one line for the user and an exit code."""

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
    """The operation failed: the command ends with exit code 1. The message is for the user."""


class Misused(Failed):
    """The usage or the configuration is wrong: the command ends with exit code 2."""

    exit_code = 2


def told_plainly(error: Exception) -> Failed | None:
    """The error as the user sees it. None if click reports the error itself, or if only a defect can cause it."""
    if isinstance(error, BrokenPipeError):
        return None
    if isinstance(error, _CONFIGURATION):
        return Misused(str(error))
    if isinstance(error, UnicodeEncodeError):
        return Misused("an argument has bytes that are not UTF-8")
    return Failed(str(error)) if isinstance(error, _OPERATION) else None
