"""An open attempt that nobody works on any more."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta

__all__ = ["FOREIGN_FOR", "Orphan"]


FOREIGN_FOR = timedelta(days=1)
"""How long the workers of a newer release have to settle their own attempts. After that a person must decide."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Orphan:
    """An open attempt that nobody works on any more.

    `crashed` is true if its worker is silent. It is false if the worker lives but has not recorded how the attempt
    ended.
    """

    activity_id: str
    number: int
    reason: str
    crashed: bool = True
