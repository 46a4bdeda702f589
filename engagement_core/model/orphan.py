"""An open attempt that nobody works on any more."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta

__all__ = ["FOREIGN_FOR", "Orphan"]


FOREIGN_FOR = timedelta(days=1)
"""How long the workers of a newer release have to settle what they left; then a person is asked."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Orphan:
    """An open attempt that nobody works on any more. `crashed`: its worker is silent; it lives otherwise, and has not
    recorded what became of the attempt."""

    activity_id: str
    number: int
    reason: str
    crashed: bool = True
