"""The account register on PostgreSQL: the controls of accounts (`engagement_controls`), and what accounts sent."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

from adapters.postgres.connection.pool import PostgresPool
from adapters.postgres.connection.sanitize import sanitize
from adapters.postgres.store.rows import as_account
from adapters.postgres.store.statements import BLOCK
from engagement_core.model.account_state import Failing, Hold
from engagement_core.model.controls import BlockScope, ControlKind
from engagement_core.model.errors import Cause

__all__ = ["PROBE_IS_DUE", "SUSPECTS", "PostgresAccountRegister"]

PROBE_IS_DUE = """c.kind = 'hold' AND c.scope = 'account' AND c.lifted_at IS NULL AND c.until IS NULL
   AND (c.probe_at IS NULL OR c.probe_at <= clock_timestamp())"""
"""A control `c` that holds an account, and whose next probe is due or not planned yet."""

# A new hold continues the probe count of the hold before it, if a probe lifted that one within the last day: the
# provider said yes and then refused the account again.
_HELD = f"""
SELECT l.id::text, l.profile_id::text, l.unipile_account_id::text, l.access_token, l.status::text, l.daily_limit,
       c.created_at, c.probe_at,
       CASE WHEN c.probe_at IS NOT NULL THEN c.probes
            ELSE COALESCE((SELECT CASE WHEN p.lifted_by_probe THEN p.probes ELSE 0 END
                             FROM engagement_controls p
                            WHERE p.kind = 'hold' AND p.scope = 'account' AND p.scope_id = c.scope_id
                              AND p.lifted_at > c.created_at - interval '1 day'
                            ORDER BY p.lifted_at DESC LIMIT 1), 0) END,
       clock_timestamp()
  FROM engagement_controls c
  JOIN linkedin_accounts l ON l.id::text = c.scope_id
 WHERE {PROBE_IS_DUE}
 ORDER BY c.probe_at NULLS FIRST LIMIT %(limit)s
"""  # noqa: S608  # our own condition

_SAME = """kind = 'hold' AND scope = 'account' AND scope_id = %(account_id)s AND lifted_at IS NULL
   AND created_at = %(held_at)s"""
_PLAN = f"""
UPDATE engagement_controls SET probe_at = %(probe_at)s, probes = %(probes)s
 WHERE {_SAME} AND probe_at IS NOT DISTINCT FROM %(before)s RETURNING id
"""  # noqa: S608  # our own condition
_RELEASE = f"""
UPDATE engagement_controls SET lifted_at = clock_timestamp(), lifted_by_probe = true WHERE {_SAME} RETURNING id
"""  # noqa: S608  # our own condition

SUSPECTS = """
SELECT DISTINCT account_id FROM engagement_attempts
 WHERE phase = 'unknown' AND began_at > statement_timestamp() - %(within)s AND error ->> 'cause' = %(cause)s"""

# An account that keeps failing has a fresh unknown outcome. For those few accounts the statement reads the latest
# sends, back to the first one that ended differently. An attempt in flight proves nothing yet.
_FAILING = f"""
WITH suspects AS ({SUSPECTS} LIMIT %(limit)s)
SELECT s.account_id, array_agg(t.began_at ORDER BY t.began_at), clock_timestamp()
  FROM suspects s
 CROSS JOIN LATERAL (
       SELECT began_at, bool_and(phase <> 'executed' AND COALESCE(error ->> 'cause', '') = %(cause)s)
                            OVER (ORDER BY began_at DESC) AS fails
         FROM (SELECT began_at, phase, error FROM engagement_attempts
                WHERE account_id = s.account_id AND began_at > statement_timestamp() - %(within)s
                  AND event <> 'release' AND phase NOT IN ('claimed', 'sending')
                ORDER BY began_at DESC LIMIT 200) latest) t
 WHERE t.fails
   AND NOT EXISTS (SELECT 1 FROM engagement_controls c
                    WHERE c.scope = 'account' AND c.scope_id = s.account_id AND c.kind = 'cool_down'
                      AND c.lifted_at IS NULL AND c.until > clock_timestamp())
 GROUP BY s.account_id HAVING count(*) >= %(at_least)s
"""  # noqa: S608  # our own condition


class PostgresAccountRegister:
    """Fills `engagement_core.ports.accounts.AccountRegister`."""

    def __init__(self, pool: PostgresPool) -> None:
        self._pool = pool

    def held(self, *, limit: int) -> tuple[Hold, ...]:
        """See the port."""
        return tuple(_hold(row) for row in self._pool.query(_HELD, limit=limit))

    def plan(self, hold: Hold, *, probe_at: datetime, probes: int) -> bool:
        """See the port."""
        return bool(self._pool.query(_PLAN, **_same(hold), before=hold.probe_at, probe_at=probe_at, probes=probes))

    def release(self, hold: Hold) -> bool:
        """See the port."""
        return bool(self._pool.query(_RELEASE, **_same(hold)))

    def failing(self, *, within: timedelta, at_least: int, limit: int) -> tuple[Failing, ...]:
        """See the port."""
        rows = self._pool.query(_FAILING, within=within, at_least=at_least, limit=limit, cause=Cause.SERVER_ERROR.value)
        return tuple(Failing(account_id=row[0], began_at=tuple(row[1]), seen_at=row[2]) for row in rows)

    def cool_down(self, account_id: str, *, until: datetime, reason: str) -> None:
        """See the port."""
        control = {"kind": ControlKind.COOL_DOWN.value, "scope": BlockScope.ACCOUNT.value, "scope_id": account_id}
        self._pool.query(BLOCK + "RETURNING id", **control, until=until, reason=sanitize(reason))


def _same(hold: Hold) -> dict[str, Any]:
    return {"account_id": hold.account.id, "held_at": hold.held_at}


def _hold(row: tuple[Any, ...]) -> Hold:
    *account, held_at, probe_at, probes, seen_at = row
    return Hold(account=as_account(account), held_at=held_at, probe_at=probe_at, probes=probes, seen_at=seen_at)
