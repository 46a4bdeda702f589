"""What the simulation shows and the promise does not cover.

The one rule: a limit stands in docs/explanation/simulation.md too, and `test_found_defects.py` has worlds that show it.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

__all__ = ["KNOWN_LIMITS"]

KNOWN_LIMITS: Mapping[str, str] = MappingProxyType(
    {
        "identical comments": (
            "Two comments of the same words, by one account on one post, both at once of unknown outcome, and one "
            "answer that comes only after the other's was judged: which is which could not be told by reading. Then "
            "one of them is taken for executed, and is missing."
        )
    }
)
