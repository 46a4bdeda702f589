"""Reads what there is to do, for the heartbeat.

The one rule: it asks the same conditions as the statements that do the work, and stops at the first row that meets
one. So it costs next to nothing, however much there is and whatever the statistics say, and it takes no lock.
"""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from adapters.postgres.connection.planner_hints import PLANNER_HINTS
from adapters.postgres.store.accounts import PROBE_IS_DUE, SUSPECTS
from adapters.postgres.store.alerts import WAITING_ALERTS
from adapters.postgres.store.unsettled import EVENTS, ORPHANS, UNKNOWNS
from engagement_core.model.chore import Chore
from engagement_core.model.errors import Cause

__all__ = ["CHORES", "as_chores", "chores_parameters"]

# For each chore whether there is any. An account is looked up for each hold (`LIMIT`), and not the other way round.
_THERE_ARE = {
    Chore.ORPHANS: f"EXISTS ({ORPHANS})",
    Chore.UNKNOWNS: f"EXISTS ({UNKNOWNS})",
    Chore.ALERTS: f"EXISTS ({WAITING_ALERTS})",
    Chore.ACCOUNTS: f"""EXISTS ({SUSPECTS})
    OR EXISTS (SELECT 1 FROM engagement_controls c WHERE {PROBE_IS_DUE}
                  AND (SELECT true FROM linkedin_accounts l WHERE l.id::text = c.scope_id LIMIT 1))""",  # noqa: S608  # our own conditions
}

CHORES = f"""
SELECT set_config('lock_timeout', '1s', true), set_config('statement_timeout', '1s', true);
{PLANNER_HINTS};
SELECT {", ".join(_THERE_ARE.values())}
"""
"""One row with a boolean for each chore, read within a second or not at all."""


def chores_parameters(*, silent_for: timedelta, margin: timedelta, within: timedelta) -> dict[str, Any]:
    """The parameters of `CHORES`.

    Args:
        silent_for: a worker that has not beaten for this long is dead.
        margin: an attempt that is past its deadline by so much is an orphan.
        within: how long ago the server errors of a failing account began at most.
    """
    return {
        "silent_for": silent_for,
        "margin": margin,
        "window": 1,
        "events": list(EVENTS),
        "within": within,
        "cause": Cause.SERVER_ERROR.value,
    }


def as_chores(row: tuple[bool, ...]) -> frozenset[Chore]:
    """What a row of `CHORES` says."""
    return frozenset(chore for chore, is_there in zip(_THERE_ARE, row, strict=True) if is_there)
