"""Reads the facts that decide when incidents begin and end.

The one rule: a read costs next to nothing, however long the backlog or the history. Everything is bounded.
"""

from __future__ import annotations

from datetime import timedelta
from typing import Protocol

from engagement_core.model.incident_facts import IncidentFacts

__all__ = ["IncidentFactsReader"]


class IncidentFactsReader(Protocol):
    """Reads them. Raises `StoreUnavailable` like the activity store."""

    def read(self, *, attempts_of: timedelta) -> IncidentFacts:
        """What is known now. The incidents are read first: if one is raised again afterwards, its `times` show it.

        Args:
            attempts_of: how far back attempts are counted.
        """
        ...
