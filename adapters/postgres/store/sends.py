"""What accounts with a limit have sent, counted under the lock of each account.

The one rule: *lock first, count afterwards*. A cap is never exceeded, and the spacing of a slow start is kept, because
nobody else can begin a send of the account until this transaction ends.

The statement's time lies before the lock was granted, so it can only count too many. The account's blocks are read
again: the previous holder of the lock may have got a wait from the provider. (A pause waits for us instead.)
"""

from __future__ import annotations

from adapters.postgres.connection.planner_hints import PLANNER_HINTS
from adapters.postgres.store.fragments import AS_JSON
from adapters.postgres.store.server_function import LockedRead, server_function

__all__ = ["SENDS"]

_KEY = "hashtextextended('pod-engagement:account:' || u.id, 0)"
_LOCK = f"SELECT u.id FROM unnest({{accounts}}) AS u (id) WHERE pg_advisory_xact_lock({_KEY}) IS NOT NULL"  # noqa: S608
_LOCK_FREE = f"SELECT u.id FROM unnest({{accounts}}) AS u (id) WHERE pg_try_advisory_xact_lock({_KEY})"  # noqa: S608

_COUNT = f"""
SELECT u.id, clock_timestamp(), s.sent, s.began_at,
       (SELECT max(t.claimed_at) FROM engagement_attempts t WHERE t.account_id = u.id AND t.phase = 'claimed'),
       (SELECT {AS_JSON} FROM engagement_controls c
         WHERE c.lifted_at IS NULL AND (c.until IS NULL OR c.until > clock_timestamp())
           AND c.scope = 'account' AND c.scope_id = u.id)
  FROM unnest({{locked}}) AS u (id)
 CROSS JOIN LATERAL (
       SELECT count(*) AS sent, max(t.began_at) AS began_at FROM engagement_attempts t
        WHERE t.account_id = u.id AND t.began_at > statement_timestamp() - interval '24 hours' AND t.event <> 'release'
 ) s
"""  # noqa: S608  # our own expressions

_BODY = f"""
DECLARE
  locked text[];
BEGIN
  IF patient THEN
    SELECT array_agg(f.id) INTO locked FROM ({_LOCK.format(accounts="accounts")}) f;
  ELSE
    SELECT array_agg(f.id) INTO locked FROM ({_LOCK_FREE.format(accounts="accounts")}) f;
  END IF;
  RETURN QUERY {_COUNT.format(locked="locked").strip()};
END
"""  # noqa: S608  # our own expressions

_LOCKED = "pod_engagement.accounts"


def _statement(lock: str) -> str:
    given = lock.format(accounts="%(accounts)s::text[]")
    say = f"SELECT set_config('{_LOCKED}', COALESCE(array_agg(f.id)::text, '{{}}'), true) FROM ({given}) f"  # noqa: S608
    count = _COUNT.format(locked=f"current_setting('{_LOCKED}')::text[]")
    return f"{PLANNER_HINTS};\n{say};\n{count}"


SENDS = LockedRead(
    waiting=_statement(_LOCK),
    passing=_statement(_LOCK_FREE),
    function=server_function(
        "engagement_sends",
        parameters={"accounts": "text[]", "patient": "boolean"},
        returns="TABLE (account text, read_at timestamptz, sent bigint, began timestamptz, claimed timestamptz,"
        " held json)",
        body=_BODY,
    ),
)
"""Its parameter `accounts` is a list of ids. `waiting` is for one account at a time."""
