"""Calls of a provider's adapter that may break.

The one rule: whatever it raises becomes a value. After the first byte a defect of the adapter's says nothing of the
effect; and a read that breaks proves nothing, like one that fails.
"""

from __future__ import annotations

from engagement_core.model.errors import Cause, Failure
from engagement_core.model.provider import Answer, Engagement, ReadBack
from engagement_core.ports.clock import Deadline
from engagement_core.ports.linkedin import LinkedIn

__all__ = ["engage", "read_back"]


def engage(linkedin: LinkedIn, engagement: Engagement, deadline: Deadline) -> Answer:
    """See `LinkedIn.engage`; never raises."""
    try:
        return linkedin.engage(engagement, deadline)
    except Exception as error:  # noqa: BLE001 - see the module's rule
        return _broken("The call", error)


def read_back(linkedin: LinkedIn, engagement: Engagement, deadline: Deadline) -> ReadBack:
    """See `LinkedIn.read_back`; never raises."""
    try:
        return linkedin.read_back(engagement, deadline)
    except Exception as error:  # noqa: BLE001 - see the module's rule
        return _broken("The read-back", error)


def _broken(what: str, error: Exception) -> Failure:
    return Failure(cause=Cause.UNINTELLIGIBLE, message=f"{what} broke: {type(error).__name__}: {error}")
