"""The statements of the sweep: what is due, in the order of time, and a fair share of it for every account.

The one rule: no plan may depend on statistics. Every table is reached by a subquery that one index answers: it is
correlated or LATERAL, has a LIMIT, and asks for an order that only the right index has. New tables have no statistics,
and those of old tables may be wrong.
"""

from __future__ import annotations

from dataclasses import dataclass

from adapters.postgres.connection.planner_hints import PLANNER_HINTS
from adapters.postgres.inspection.catalog import Catalog
from adapters.postgres.store.fragments import IN_FORCE, RELEASED

__all__ = ["FAIR_INDEXES", "SweepStatements", "render_sweep"]

FAIR_INDEXES = ("engagement_due_of_profile", "engagement_due_of_pod")
"""The indexes along which accounts are walked."""

# The expressions of our indexes. A query must use the same ones, or the index does not serve it.
_DUE_AT = "GREATEST(a.scheduled_for, a.next_retry_at)"
_NO_PROFILE = "COALESCE(a.profile_id::text, '') = ''"

# Only a stable function can bound an index: `clock_timestamp()` is volatile, and each sweep would walk all of it.
_UNTIL = "statement_timestamp() + %(look_ahead)s"
_DUE_IN = "CASE WHEN isfinite({at}) THEN extract(epoch FROM {at} - clock_timestamp()) END"

# The account that acts is the profile's. It is the pod's only when the activity names no profile. OFFSET 0 keeps the
# planner from walking all accounts in the order of their ids.
_OF_PROFILE = "SELECT x.id, x.status FROM linkedin_accounts x WHERE {profile_account} OFFSET 0"
_OF_POD = """SELECT x.id, x.status FROM (SELECT p.linkedin_account_id FROM pods p WHERE {pod} LIMIT 1) p
              CROSS JOIN LATERAL (SELECT x.id, x.status FROM linkedin_accounts x WHERE {pod_account} OFFSET 0) x"""
_FIRST = "LEFT JOIN LATERAL (SELECT u.* FROM ({accounts}) u ORDER BY u.id LIMIT 1) l ON true"

# What is blocked is read once, not for each activity.
_FREE_ACCOUNT = f"""NOT EXISTS ({IN_FORCE.format(columns="1")} AND c.scope = 'all')
   AND COALESCE(l.id::text, '') NOT IN ({IN_FORCE.format(columns="c.scope_id")} AND c.scope = 'account')
   AND (l.status IS NULL OR l.status::text <> ALL (%(held)s))"""
_FREE_POD = f"""COALESCE({{pod_id}}::text, '') NOT IN
       ({IN_FORCE.format(columns="c.scope_id")} AND c.scope = 'pod')"""

# No attempt that has ended as unknown or is still open. A join would tempt the planner to read all attempts.
_NOT_UNDER_WAY = """(SELECT 1 FROM engagement_attempts t
         WHERE t.activity_id = a.id::text AND t.effect IN ('unknown', 'applied')
           AND t.phase NOT IN ('scheduled', 'executed', 'failed') LIMIT 1) IS NULL"""

_COLUMNS = f"a.id::text, {_DUE_IN.format(at='a.due_at')}, l.id::text, ({RELEASED}) IS NOT NULL"

# The earliest activities, from the index alone, whatever blocks them. The last row says how many they are. Only if that
# is less than the limit, and so all that is due, is each of them looked at.
_EARLIEST = f"""
WITH earliest AS MATERIALIZED (
  SELECT a.id, a.pod_id, a.profile_id, {_DUE_AT} AS due_at
    FROM pod_activities a
   WHERE a.status = 'scheduled' AND {_DUE_AT} <= {_UNTIL} AND a.id IS NOT NULL
   ORDER BY {_DUE_AT} LIMIT {{most}}
), free AS (
  SELECT {_COLUMNS}, row_number() OVER (PARTITION BY l.id ORDER BY a.due_at) AS turn, NULL::bigint
    FROM earliest a {{account}}
   WHERE {{if_all}}
     AND {_FREE_ACCOUNT} AND {_FREE_POD.format(pod_id="a.pod_id")} AND {_NOT_UNDER_WAY}
   ORDER BY turn, a.due_at LIMIT %(limit)s
)
SELECT * FROM free
UNION ALL SELECT NULL, NULL, NULL, NULL, count(*), NULL FROM earliest
"""  # noqa: S608  # our own fragments

_IS_ALL = "(SELECT count(*) FROM earliest) < %(limit)s"

# Each profile (or pod) that has scheduled work, and when its first work is due: one step along the index for each.
_WALK = f"""
  (SELECT a.{{key}}, {_DUE_AT} AS first_at FROM pod_activities a
    WHERE a.status = 'scheduled' AND a.{{key}} IS NOT NULL {{only}} ORDER BY a.{{key}}, {_DUE_AT} LIMIT 1)
  UNION ALL
  SELECT n.{{key}}, n.first_at FROM {{walk}} w CROSS JOIN LATERAL (
    SELECT a.{{key}}, {_DUE_AT} AS first_at FROM pod_activities a
     WHERE a.status = 'scheduled' AND a.{{key}} > w.{{key}} {{only}} ORDER BY a.{{key}}, {_DUE_AT} LIMIT 1) n
"""  # noqa: S608  # our own fragments

# Its first activities that can go now. Compared as a row, so that no index in the order of time alone will do.
_HEAD = f"""
  SELECT a.id, {_DUE_AT} AS due_at FROM pod_activities a
   WHERE a.status = 'scheduled' {{only}} AND a.id IS NOT NULL
     AND (a.{{key}}, {_DUE_AT}) >= (k.{{key}}, '-infinity') AND (a.{{key}}, {_DUE_AT}) <= (k.{{key}}, {_UNTIL})
     AND {_FREE_POD.format(pod_id="a.pod_id")} AND {_NOT_UNDER_WAY}
   ORDER BY a.{{key}}, {_DUE_AT} LIMIT (SELECT s.share FROM share s)
"""  # noqa: S608  # our own fragments

# Activities without a profile and without a pod: nobody can act for them, and they must be claimed to be buried.
_NOBODY = f"""
  SELECT a.id, {_DUE_AT} AS due_at FROM pod_activities a
   WHERE a.status = 'scheduled' AND {_NO_PROFILE} AND a.id IS NOT NULL AND a.pod_id IS NULL AND {_DUE_AT} <= {_UNTIL}
     AND NOT EXISTS ({IN_FORCE.format(columns="1")} AND c.scope = 'all') AND {_NOT_UNDER_WAY}
   ORDER BY a.pod_id, {_DUE_AT} LIMIT (SELECT s.share FROM share s)
"""  # noqa: S608  # our own fragments

# The share: the limit divided by those who have work that can go, but up to ten for each if that is no more than three
# times the limit. If some have fewer, the walk is made again with a larger share.
_FAIR = f"""
WITH RECURSIVE walked_profiles AS ({{walk_profiles}}
), walked_pods AS ({{walk_pods}}
), profiles AS MATERIALIZED (
  SELECT k.profile_id, l.id, ({RELEASED}) IS NOT NULL AS is_slow
    FROM walked_profiles k {{of_profile}}
   WHERE k.first_at <= {_UNTIL} AND k.profile_id::text <> '' AND {_FREE_ACCOUNT}
), pods_alone AS MATERIALIZED (
  SELECT k.pod_id, l.id, ({RELEASED}) IS NOT NULL AS is_slow
    FROM walked_pods k {{of_pod}}
   WHERE k.first_at <= {_UNTIL} AND {_FREE_ACCOUNT} AND {_FREE_POD.format(pod_id="k.pod_id")}
), share AS MATERIALIZED (
  SELECT COALESCE(%(share)s::bigint, GREATEST(%(limit)s / n, LEAST(10, 3 * %(limit)s / n), 1)) AS share
    FROM (SELECT GREATEST((SELECT count(*) FROM profiles) + (SELECT count(*) FROM pods_alone), 1) AS n) n
), found AS (
  SELECT h.id::text AS id, h.due_at, k.id::text AS account_id, k.is_slow
    FROM profiles k CROSS JOIN LATERAL ({{profile_head}}) h
  UNION ALL
  SELECT h.id::text, h.due_at, k.id::text, k.is_slow FROM pods_alone k CROSS JOIN LATERAL ({{pod_head}}) h
  UNION ALL
  SELECT h.id::text, h.due_at, NULL, false FROM ({_NOBODY}) h
)
SELECT f.id, {_DUE_IN.format(at="f.due_at")}, f.account_id, f.is_slow,
       row_number() OVER (PARTITION BY f.account_id ORDER BY f.due_at) AS turn, (SELECT s.share FROM share s)
  FROM found f ORDER BY turn, f.due_at LIMIT %(limit)s
"""  # noqa: S608  # our own fragments


@dataclass(frozen=True, kw_only=True, slots=True)
class SweepStatements:
    """`earliest`: all that is due if it is less than `limit`. `fair`: everybody's share of it; needs `FAIR_INDEXES`.
    `every`: the same along `engagement_due` alone, from all that is due: it costs what the backlog is long."""

    earliest: str
    fair: str
    every: str


def render_sweep(catalog: Catalog) -> SweepStatements:
    """The statements for a database with this catalog."""

    def of_profile(alias: str) -> str:
        account = ("linkedin_accounts", "profile_id"), "x", ("pod_activities", "profile_id"), alias
        return _OF_PROFILE.format(profile_account=catalog.same(*account))

    def of_pod(alias: str) -> str:
        pod = catalog.same(("pods", "id"), "p", ("pod_activities", "pod_id"), alias)
        account = catalog.same(("linkedin_accounts", "id"), "x", ("pods", "linkedin_account_id"), "p")
        return _OF_POD.format(pod=pod, pod_account=account)

    either = (
        f"(SELECT * FROM ({of_profile('a')}) x WHERE NOT ({_NO_PROFILE})) UNION ALL"  # noqa: S608
        f" (SELECT * FROM ({of_pod('a')}) x WHERE {_NO_PROFILE})"
    )
    account = _FIRST.format(accounts=either)
    pods_only = f"AND {_NO_PROFILE}"
    fair = _FAIR.format(
        walk_profiles=_WALK.format(key="profile_id", only="", walk="walked_profiles"),
        walk_pods=_WALK.format(key="pod_id", only=pods_only, walk="walked_pods"),
        of_profile=_FIRST.format(accounts=of_profile("k")),
        of_pod=_FIRST.format(accounts=of_pod("k")),
        profile_head=_HEAD.format(key="profile_id", only=""),
        pod_head=_HEAD.format(key="pod_id", only=pods_only),
    )
    return SweepStatements(
        earliest=f"{PLANNER_HINTS};{_EARLIEST.format(most='%(limit)s', if_all=_IS_ALL, account=account)}",
        fair=f"{PLANNER_HINTS};{fair}",
        every=f"{PLANNER_HINTS};{_EARLIEST.format(most='ALL', if_all='true', account=account)}",
    )
