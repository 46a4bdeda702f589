"""The limits that the simulation shows and that the promise does not cover.

The one rule: docs/explanation/simulation.md names every limit too, and `test_found_defects.py` has worlds that show it.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

__all__ = ["KNOWN_LIMITS"]

KNOWN_LIMITS: Mapping[str, str] = MappingProxyType(
    {
        "identical comments": (
            "Two comments of the same words, by one account on one post, the outcomes of both in doubt, and the answer "
            "to one recorded later than its deadline plus the lag: the other, which is missing, may have been taken "
            "for it."
        )
    }
)
