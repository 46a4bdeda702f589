"""Finds attempts that somebody must look after: orphans, and unknown outcomes whose next look has come.

The one rule: it reads along a partial index that holds only such attempts, never the history.
"""

from __future__ import annotations

from adapters.postgres.inspection.catalog import Catalog
from engagement_core.model.lifecycle import Event
from engagement_core.model.orphan import FOREIGN_FOR

__all__ = ["EVENTS", "ORPHANS", "UNKNOWNS", "not_locked"]

EVENTS = tuple(event.value for event in Event)
"""The events that this release knows."""

# A newer release may leave words that only it knows. Its own workers settle those attempts; after a day a person must.
_IS_OURS = f"""AND (t.event = ANY (%(events)s) AND t.effect IN ('none', 'unknown', 'applied', 'repeatable')
                    AND t.engagement_type IN ('like', 'comment')
        OR t.deadline_at < clock_timestamp() - interval '{FOREIGN_FOR.total_seconds():.0f} seconds')"""

# A worker that has not registered counts as silent, like one that has stopped beating or has left.
ORPHANS = f"""
SELECT t.activity_id, t.number, t.worker_id,
       w.worker_id IS NULL OR w.left_at IS NOT NULL OR w.beat_at < clock_timestamp() - %(silent_for)s
  FROM engagement_attempts t
  LEFT JOIN engagement_workers w ON w.worker_id = t.worker_id
 WHERE t.phase IN ('claimed', 'sending')
   AND (w.worker_id IS NULL OR w.left_at IS NOT NULL OR w.beat_at < clock_timestamp() - %(silent_for)s
        OR t.deadline_at < clock_timestamp() - %(margin)s)
   {_IS_OURS}
 ORDER BY t.deadline_at
 LIMIT %(window)s
"""  # noqa: S608  # our own condition

UNKNOWNS = f"""
SELECT t.activity_id FROM engagement_attempts t
 WHERE t.phase = 'unknown' AND t.look_at <= statement_timestamp() {_IS_OURS}
 ORDER BY t.look_at LIMIT %(window)s
"""  # noqa: S608  # our own condition

# Of those, the ones whose activity's row can be locked at once, or was deleted. Otherwise ten rows that a long
# transaction of another service has locked would cost the others ten times the lock's time-out. Each row is looked up
# alone (`LIMIT`): `EXISTS` would let the planner read all activities. The lock ends with the statement.
_NOT_LOCKED = """
WITH found AS MATERIALIZED ({found})
SELECT * FROM found
 WHERE (SELECT true FROM pod_activities a WHERE a.id = {id} LIMIT 1) IS NULL
    OR (SELECT true FROM pod_activities a WHERE a.id = {id} LIMIT 1 FOR NO KEY UPDATE SKIP LOCKED)
 LIMIT %(limit)s
"""


def not_locked(found: str, catalog: Catalog) -> str:
    """Those of `ORPHANS` or `UNKNOWNS` that need not be waited for, as a statement of its own.

    It returns the first `limit` of them, from the first `window` that there are.
    """
    return _NOT_LOCKED.format(found=found, id=catalog.as_activity_id("found.activity_id"))
