"""What a check has found.

The one rule: what is wrong comes with its cure. A finding that names no next step is not finished.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum

__all__ = ["Finding", "Level", "failed", "fine", "skipped", "warned"]


class Level(str, Enum):
    """How bad it is. Only `failed` makes the examination fail; `skipped` could not be looked at."""

    OK = "ok"
    WARNING = "warning"
    FAILED = "failed"
    SKIPPED = "skipped"


@dataclass(frozen=True, kw_only=True, slots=True)
class Finding:
    """`says` is one sentence; `cure` is what to do about it, None when nothing needs to be done."""

    name: str
    level: Level
    says: str
    cure: str | None = None


def fine(name: str, says: str) -> Finding:
    """All is well."""
    return Finding(name=name, level=Level.OK, says=says)


def warned(name: str, says: str, cure: str) -> Finding:
    """It works, and might not for long."""
    return Finding(name=name, level=Level.WARNING, says=says, cure=cure)


def failed(name: str, says: str, cure: str) -> Finding:
    """Engagements are not executed, or not as promised."""
    return Finding(name=name, level=Level.FAILED, says=says, cure=cure)


def skipped(name: str, because: str) -> Finding:
    """It depends on what is not there."""
    return Finding(name=name, level=Level.SKIPPED, says=f"not checked: {because}")
