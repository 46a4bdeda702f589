"""Pauses and holds, as a person sets and lifts them.

The one rule: a pause takes the exclusive side of a lock; every change of an activity takes the shared side. So once the
pause is committed, each change has either begun and is seen in flight, or will read the pause.
"""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from adapters.postgres.connection.pool import PostgresPool
from adapters.postgres.inspection.catalog import checked, read_catalog
from adapters.postgres.store.statements import BLOCK, PAUSE_LOCK
from engagement_core.model.controls import BlockScope, Control, ControlKind

__all__ = ["PostgresControls"]

# A change lasts ten seconds at most. A session that holds the lock for longer is not one of our workers.
_LOCK = f"""
BEGIN;
SELECT set_config('lock_timeout', '15s', true), set_config('statement_timeout', '20s', true);
SELECT pg_advisory_xact_lock({PAUSE_LOCK})
"""

# An attempt that has begun may send until its deadline. This includes a worker that was given up (its attempt is
# unknown then) and that runs again. A living worker may also report its verdict late.
_IN_FLIGHT = """
SELECT count(*)
  FROM engagement_attempts t
  LEFT JOIN engagement_workers w ON w.worker_id = t.worker_id
 WHERE t.phase IN ('sending', 'unknown') AND {scope}
   AND (t.deadline_at > clock_timestamp()
        OR (t.phase = 'sending' AND w.left_at IS NULL AND w.beat_at > clock_timestamp() - %(silent_for)s))
"""
_SCOPES = {
    BlockScope.ALL: "true",
    BlockScope.ACCOUNT: "t.account_id = %(scope_id)s",
    BlockScope.POD: """EXISTS (SELECT 1 FROM pod_activities a
                                WHERE a.id = t.activity_id::{id_type} AND a.pod_id::text = %(scope_id)s)""",
}

# A cool-down is not lifted: the provider asked for it, and it ends by itself.
_LIFT = """
UPDATE engagement_controls SET lifted_at = clock_timestamp()
 WHERE lifted_at IS NULL AND scope = %(scope)s AND scope_id = %(scope_id)s AND kind IN ('pause', 'hold')
RETURNING kind, scope, scope_id, until, reason
"""
_IN_FORCE = """
SELECT kind, scope, scope_id, until, reason FROM engagement_controls
 WHERE lifted_at IS NULL AND (until IS NULL OR until > clock_timestamp())
 ORDER BY created_at LIMIT %(limit)s
"""
_EXISTS = {
    BlockScope.POD: "SELECT EXISTS (SELECT 1 FROM pods WHERE id::text = %(scope_id)s)",
    BlockScope.ACCOUNT: "SELECT EXISTS (SELECT 1 FROM linkedin_accounts WHERE id::text = %(scope_id)s)",
}


class PostgresControls:
    """What is paused and held. Every method raises `StoreUnavailable`, like the activity store."""

    def __init__(self, pool: PostgresPool) -> None:
        """
        Raises:
            SchemaProblem: the database lacks something; the message says what.
            StoreUnavailable: the database cannot be reached.
        """
        self._pool = pool
        with pool.connection() as connection:
            self._catalog = checked(read_catalog(connection))

    def knows(self, scope: BlockScope, scope_id: str) -> bool:
        """Whether this pod or account exists: pausing one that does not exist would protect nobody."""
        return scope is BlockScope.ALL or bool(self._pool.query(_EXISTS[scope], scope_id=scope_id)[0][0])

    def pause(self, scope: BlockScope, scope_id: str, reason: str) -> None:
        """Put a pause in force: nothing of the scope begins any more. What has begun goes on; see `in_flight`."""
        pause = {"kind": ControlKind.PAUSE.value, "scope": scope.value, "scope_id": scope_id}
        with self._pool.connection() as connection, connection.cursor() as cursor:
            cursor.execute(_LOCK)
            cursor.execute(BLOCK, {**pause, "until": None, "reason": reason})
            cursor.execute("COMMIT")

    def in_flight(self, scope: BlockScope, scope_id: str, *, silent_for: timedelta) -> int:
        """How many engagements of the scope have begun and may still reach the provider.

        Args:
            scope: the pause's scope.
            scope_id: the pod or the account.
            silent_for: a worker that has not beaten for this long counts as dead.
        """
        id_type = self._catalog.types["pod_activities", "id"]
        statement = _IN_FLIGHT.format(scope=_SCOPES[scope].format(id_type=id_type))
        return int(self._pool.query(statement, scope_id=scope_id, silent_for=silent_for)[0][0])

    def resume(self, scope: BlockScope, scope_id: str) -> tuple[Control, ...]:
        """Lift the scope's pause and hold, and return what was lifted."""
        rows = self._pool.query(_LIFT, scope=scope.value, scope_id=scope_id)
        return tuple(_control(row) for row in rows)

    def in_force(self, *, limit: int) -> tuple[Control, ...]:
        """All blocks in force now, the oldest first, at most `limit`."""
        return tuple(_control(row) for row in self._pool.query(_IN_FORCE, limit=limit))


def _control(row: tuple[Any, ...]) -> Control:
    kind, scope, scope_id, until, reason = row
    return Control(kind=ControlKind(kind), scope=BlockScope(scope), scope_id=scope_id, until=until, reason=reason)
