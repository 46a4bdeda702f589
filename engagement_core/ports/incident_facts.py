"""What the database says of how things are going: the facts by which incidents begin and end.

The one rule: looking costs next to nothing, however long the backlog or the past. Everything is bounded.
"""

from __future__ import annotations

from datetime import timedelta
from typing import Protocol

from engagement_core.model.incident_facts import IncidentFacts

__all__ = ["IncidentFactsReader"]


class IncidentFactsReader(Protocol):
    """Looks. Raises `StoreUnavailable` like the activity store."""

    def read(self, *, attempts_of: timedelta) -> IncidentFacts:
        """What is known now. The incidents are read first: whatever happens to them afterwards shows in their `times`.

        Args:
            attempts_of: how far back attempts are counted.
        """
        ...
