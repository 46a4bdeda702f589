"""Quantiles: of many observations the one that a given share of them does not exceed."""

from __future__ import annotations

import math
from collections.abc import Iterable

__all__ = ["median", "quantile"]


def quantile(observations: Iterable[float], share: float) -> float:
    """The smallest observation that at least `share` (0 to 1) of them do not exceed: one that was really seen.

    Raises:
        ValueError: there are no observations.
    """
    ordered = sorted(observations)
    if not ordered:
        raise ValueError("there is no quantile of nothing")
    # Rounded first: 0.99 * 1000 is a little more than 990.
    rank = math.ceil(round(share * len(ordered), 6))
    return ordered[max(rank, 1) - 1]


def median(observations: Iterable[float]) -> float:
    """The quantile of one half.

    Raises:
        ValueError: there are no observations.
    """
    return quantile(observations, 0.5)
