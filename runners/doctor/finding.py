"""What a check has found.

The one rule: every warning and failure has a cure. A finding without a next step is not finished.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum

__all__ = ["Finding", "Level", "failed", "fine", "skipped", "warned"]


class Level(str, Enum):
    """How bad it is. Only `failed` makes the command fail. `skipped` could not be checked."""

    OK = "ok"
    WARNING = "warning"
    FAILED = "failed"
    SKIPPED = "skipped"


@dataclass(frozen=True, kw_only=True, slots=True)
class Finding:
    """`says` is what was found; `cure` is what to do about it, None when there is nothing to do."""

    name: str
    level: Level
    says: str
    cure: str | None = None


def fine(name: str, says: str) -> Finding:
    """All is well."""
    return Finding(name=name, level=Level.OK, says=says)


def warned(name: str, says: str, cure: str) -> Finding:
    """It works now, but may stop working or do harm."""
    return Finding(name=name, level=Level.WARNING, says=says, cure=cure)


def failed(name: str, says: str, cure: str) -> Finding:
    """Engagements are not executed, or not as promised."""
    return Finding(name=name, level=Level.FAILED, says=says, cure=cure)


def skipped(name: str, because: str) -> Finding:
    """The check needs something that failed or is not there."""
    return Finding(name=name, level=Level.SKIPPED, says=f"not checked: {because}")
