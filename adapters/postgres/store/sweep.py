"""The sweep: what is due, and a fair share of it for every account if that is more than was asked for.

The one rule: how long one account's backlog is changes neither what the others get nor what the sweep costs.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from psycopg2.extensions import connection as Connection

from adapters.postgres.connection.pool import PostgresPool
from adapters.postgres.inspection.catalog import Catalog
from adapters.postgres.store.sweep_statements import FAIR_INDEXES, SweepStatements, render_sweep
from engagement_core.decisions.admission import HELD_STATUSES
from engagement_core.model.controls import SLOW_START_PER_SWEEP
from engagement_core.model.due import Due

__all__ = ["Sweep", "find_due", "sweep_statements"]

_WALKS = 5
"""How often the accounts are walked at most: again with a larger share while there is room for more."""

_Row = tuple[Any, ...]
"""Activity, due in seconds, account, whether it is in slow start, its rank within its account, and the share."""

_INDEXES_THERE = """
SELECT count(*) = cardinality(%(names)s)
  FROM unnest(%(names)s) name JOIN pg_index i ON i.indexrelid = to_regclass(name) AND i.indisvalid
"""


@dataclass(frozen=True, kw_only=True, slots=True)
class Sweep:
    """The statements for this database. Not `is_indexed`: the accounts' indexes are missing."""

    statements: SweepStatements
    is_indexed: bool


def sweep_statements(connection: Connection, catalog: Catalog) -> Sweep:
    """The sweep of a database as it is now."""
    with connection.cursor() as cursor:
        cursor.execute(_INDEXES_THERE, {"names": list(FAIR_INDEXES)})
        row = cursor.fetchone()
    return Sweep(statements=render_sweep(catalog), is_indexed=bool(row and row[0]))


def find_due(pool: PostgresPool, sweep: Sweep, *, look_ahead: timedelta, limit: int) -> tuple[Due, ...]:
    """See `ActivityStore.due`. Raises what the pool raises."""
    if limit <= 0:
        return ()
    given = {"look_ahead": look_ahead, "limit": limit, "held": sorted(HELD_STATUSES)}
    statements = sweep.statements
    *rows, (*_, seen, _) = pool.query(statements.earliest, **given)
    if seen < limit:
        return _in_time(rows, limit)  # that was all
    if not sweep.is_indexed:
        *rows, _ = pool.query(statements.every, **given)
        return _in_time(rows, limit)
    due: tuple[Due, ...] = ()
    share = None
    for _ in range(_WALKS):
        rows = pool.query(statements.fair, share=share, **given)
        due = _in_time(rows, limit)
        share = _larger_share(rows, limit)
        if len(due) >= limit or share is None:
            break
    return due


def _larger_share(shared: list[_Row], limit: int) -> int | None:
    """What the accounts that have more than their share may have instead; None if there is no more."""
    if not shared:
        return None
    share = shared[0][5]
    found = Counter(account_id for _, _, account_id, is_slow, _, _ in shared if not is_slow)
    larger = [account_id for account_id, count in found.items() if count >= share]
    return limit // len(larger) if larger and limit // len(larger) > share else None


def _in_time(rows: Iterable[_Row], limit: int) -> tuple[Due, ...]:
    """The first `limit` of the rows, earliest first, with no more than a few of an account in slow start."""
    found: dict[str, Due] = {}
    turns: Counter[str] = Counter()
    for activity_id, due_in, account_id, is_slow, _, _ in rows:
        if len(found) >= limit or activity_id in found:
            continue
        turns[account_id] += is_slow
        if turns[account_id] <= SLOW_START_PER_SWEEP:
            time_left = timedelta(seconds=float(due_in or 0))
            found[activity_id] = Due(activity_id=activity_id, due_in=time_left, account_id=account_id)
    return tuple(sorted(found.values(), key=lambda due: due.due_in))
