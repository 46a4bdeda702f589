"""A measurement that could not be made."""

from __future__ import annotations

__all__ = ["BenchFailed"]


class BenchFailed(Exception):
    """What was started does not work, or is too slow to be measured. The message names it, with its last output."""
