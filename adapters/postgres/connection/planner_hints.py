"""Makes PostgreSQL walk an index and stop, where its planner would rather read and sort everything.

The one rule: the hints travel with the statement and hold for one transaction, so a pooled session keeps none of them.

The planner takes no statistics from a partial index. So it does not know when activities are due, and expects a third
of them. It also cannot know how few are blocked. With a long backlog it therefore expects more rows than the limit
lets through, and scans the attempts of all time to join them at once. Each sweep would then cost what the whole
history costs.
"""

from __future__ import annotations

__all__ = ["PLANNER_HINTS"]

_OFF = ("enable_seqscan", "enable_bitmapscan", "enable_hashjoin", "enable_mergejoin", "jit")

PLANNER_HINTS = (
    "SELECT set_config('max_parallel_workers_per_gather', '0', true), "
    + ", ".join(f"set_config('{name}', 'off', true)" for name in _OFF)  # our own names
)
"""A statement to put before the ones it helps, in the same message or the same transaction."""
