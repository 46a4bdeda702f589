"""Asks the voice for comments ahead of their time, so that a slow voice makes no comment late."""

from __future__ import annotations

import threading
from dataclasses import dataclass
from datetime import timedelta

from engagement_core.ports.activities import ActivityStore, StoreRefused, StoreUnavailable
from engagement_core.ports.telemetry import Telemetry
from engagement_core.use_cases.event_fields import emit_defect
from engagement_core.use_cases.prepare_comment import Preparer
from runners.worker.periodic import Outages

__all__ = ["Preparation"]

_MOST_LOOKED_AT = 500
"""How many due activities one turn looks at. With more comments than that in a minute, the voice is the bottleneck."""
_MOST_ASKED = 20
"""How many comments one turn prepares: what is due in the next minute changes meanwhile."""


@dataclass(frozen=True, kw_only=True)
class Preparation:
    """Prepares comments that are due within `ahead`. Safe to use from several threads."""

    store: ActivityStore
    preparer: Preparer
    telemetry: Telemetry
    outages: Outages
    draining: threading.Event
    ahead: timedelta

    def run_once(self) -> timedelta:
        """Ask the voice for a few comments; a drain waits for one at most. Returns when to run again.

        Raises:
            StoreUnavailable: the database did not do its part.
        """
        asked = 0
        for due in self.store.due(look_ahead=self.ahead, limit=_MOST_LOOKED_AT):
            if self.draining.is_set() or asked >= _MOST_ASKED:
                break
            asked += self._prepare(due.activity_id)
        return timedelta(0) if asked else timedelta(seconds=1)

    def _prepare(self, activity_id: str) -> bool:
        try:
            return self.preparer.prepare(activity_id)
        except StoreRefused as error:
            self.outages.met(error)
        except StoreUnavailable:
            raise
        except Exception as error:  # noqa: BLE001 - a defect that one row meets must not keep the others waiting
            emit_defect(self.telemetry, error, activity_id=activity_id)
        return False
