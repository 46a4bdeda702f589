"""Parts that several statements of the store share."""

from __future__ import annotations

from adapters.postgres.connection.failure import NO_ROW_CHANGED
from adapters.postgres.inspection.attempt_columns import ATTEMPT_COLUMNS
from adapters.postgres.inspection.catalog import Catalog
from engagement_core.model.controls import SLOW_START_FOR

__all__ = ["AS_JSON", "ATTEMPT", "COUNT_UP", "IN_FORCE", "RELEASED", "checked", "joins"]

# The account that acts is the profile's. It is the pod's only when the activity names no profile.
_ACCOUNT = """
  LEFT JOIN LATERAL (
       SELECT u.* FROM (
              SELECT x.* FROM linkedin_accounts x WHERE NULLIF(a.profile_id::text, '') IS NOT NULL AND {profile_account}
              UNION ALL
              SELECT x.* FROM linkedin_accounts x WHERE NULLIF(a.profile_id::text, '') IS NULL AND {pod_account}
       ) u ORDER BY u.id LIMIT 1
  ) l ON true
"""

# A control without an end, or whose end has not come.
IN_FORCE = """SELECT {columns} FROM engagement_controls c
    WHERE c.lifted_at IS NULL AND (c.until IS NULL OR c.until > clock_timestamp())"""

# In the form that the snapshot takes.
AS_JSON = "json_agg(json_build_array(c.kind, c.scope, c.scope_id, extract(epoch FROM c.until), c.reason))"

# When the account was last released, if the time since then is shorter than the block was. A stable function bounds the
# index. `clock_timestamp()` decides which blocks are over, because it also decides which are in force.
RELEASED = f"""
   SELECT max(COALESCE(c.lifted_at, c.until)) FROM engagement_controls c
    WHERE c.scope = 'account' AND c.scope_id = l.id::text AND c.kind IN ('cool_down', 'hold')
      AND COALESCE(c.lifted_at, c.until)
          > statement_timestamp() - interval '{SLOW_START_FOR.total_seconds():.0f} seconds'
      AND COALESCE(c.lifted_at, c.until) <= clock_timestamp()
      AND COALESCE(c.lifted_at, c.until) - c.created_at > clock_timestamp() - COALESCE(c.lifted_at, c.until)
"""  # noqa: S608  # our own constant

# Without the activity's id: every reader knows it already.
ATTEMPT = ", ".join(f"t.{column.name}" for column in ATTEMPT_COLUMNS[1:])

# Beyond what a smallint holds, the count stays as it is: a verdict must never fail because of it.
COUNT_UP = """failure_count = CASE WHEN a.failure_count >= 32767 THEN a.failure_count
                            ELSE COALESCE(a.failure_count, 0) + {counts} END"""


def joins(catalog: Catalog) -> dict[str, str]:
    """How an activity `a` is joined with its pod `p`, the cartridge `v` and the account `l` that acts."""
    return {
        "pod": catalog.same(("pods", "id"), "p", ("pod_activities", "pod_id"), "a"),
        "cartridge": catalog.same(("voice_cartridges", "id"), "v", ("pods", "voice_cartridge_id"), "p"),
        "account": _ACCOUNT.format(
            profile_account=catalog.same(
                ("linkedin_accounts", "profile_id"), "x", ("pod_activities", "profile_id"), "a"
            ),
            pod_account=catalog.same(("linkedin_accounts", "id"), "x", ("pods", "linkedin_account_id"), "p"),
        ),
    }


def checked(write: str, *, at_least: str) -> str:
    """The write as a statement that fails if it changes fewer rows than `at_least`, an expression of SQL.

    It costs no extra round trip, as reading the row count would. The server reads the text as a number only if the
    count is too small, and then fails, because the text is no number.
    """
    return f"""WITH written AS ({write.strip()} RETURNING 1)
SELECT CASE WHEN count(*) >= {at_least} THEN 0
            ELSE ('{NO_ROW_CHANGED}: ' || count(*))::integer END FROM written"""  # noqa: S608
