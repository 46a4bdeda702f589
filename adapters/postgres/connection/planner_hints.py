"""What makes PostgreSQL walk an index and stop, where its planner would rather read and sort everything.

The one rule: it is said with the statement, for one transaction only, so that a pooled session keeps nothing of it.

The planner has no statistics of when activities are due (it takes none from a partial index), and expects a third of
them; nor can it know how few are blocked. So with a long backlog it sees more rows to come than the limit lets through,
and scans the attempts of all time to join them at once. Then each sweep costs what the whole history costs.
"""

from __future__ import annotations

__all__ = ["PLANNER_HINTS"]

_OFF = ("enable_seqscan", "enable_bitmapscan", "enable_hashjoin", "enable_mergejoin", "jit")

PLANNER_HINTS = (
    "SELECT set_config('max_parallel_workers_per_gather', '0', true), "
    + ", ".join(f"set_config('{name}', 'off', true)" for name in _OFF)  # our own names
)
"""A statement before the ones that it is for, in the same message or the same transaction."""
