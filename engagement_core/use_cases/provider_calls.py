"""Guards the calls of a provider's adapter, which may raise because of a defect.

The one rule: every exception becomes a value. After the first byte was sent, a defect of the adapter says nothing about
the effect. A read that raises proves nothing, like a read that fails.
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
    return Failure(cause=Cause.UNINTELLIGIBLE, message=f"{what} failed unexpectedly: {type(error).__name__}: {error}")
