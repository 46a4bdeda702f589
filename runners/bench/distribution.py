"""Quantiles: the observation that a given share of all observations does not exceed."""

from __future__ import annotations

import math
from collections.abc import Iterable

__all__ = ["median", "quantile"]


def quantile(observations: Iterable[float], share: float) -> float:
    """The smallest observation that at least `share` (0 to 1) of them do not exceed. It is never interpolated.

    Raises:
        ValueError: there are no observations.
    """
    ordered = sorted(observations)
    if not ordered:
        raise ValueError("a quantile needs at least one observation")
    # Rounded first: 0.99 * 1000 is a little more than 990.
    rank = math.ceil(round(share * len(ordered), 6))
    return ordered[max(rank, 1) - 1]


def median(observations: Iterable[float]) -> float:
    """The quantile of 0.5.

    Raises:
        ValueError: there are no observations.
    """
    return quantile(observations, 0.5)
