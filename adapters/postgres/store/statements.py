"""Every statement that the activity store sends, named and commented.

The one rule: a transaction is two messages. The first locks the row and shows it; the second writes and commits.
Several statements in one message cost one round trip, and each of them sees what was committed before it began.
"""

from __future__ import annotations

from dataclasses import dataclass

from adapters.postgres.connection.failure import NO_ROW_CHANGED
from adapters.postgres.connection.planner_hints import PLANNER_HINTS
from adapters.postgres.inspection.attempt_columns import ATTEMPT_COLUMNS
from adapters.postgres.inspection.catalog import Catalog
from adapters.postgres.store.snapshot_function import SnapshotFunction, snapshot_function
from adapters.postgres.store.unsettled import ORPHANS, UNKNOWNS, not_locked
from engagement_core.model.controls import SLOW_START_FOR

__all__ = ["PAUSE_LOCK", "WITHIN_SECONDS", "Statements", "render"]

PAUSE_LOCK = 7_305_001
"""Advisory lock: every change of an activity takes its shared side, a pause takes the exclusive side."""

WITHIN_SECONDS = 10
"""How long one statement of a change may run."""

# READ COMMITTED, so that a read after the lock was granted sees what the previous holder left. Durability and time-outs
# are set per transaction, because a pooled session has no state of its own. A worker that is stopped (SIGSTOP, a
# suspended machine) while it holds the row would block everybody, so the server ends its transaction.
_OPEN = f"""
BEGIN ISOLATION LEVEL READ COMMITTED;
SELECT set_config('synchronous_commit', CASE current_setting('synchronous_commit')
                  WHEN 'off' THEN 'on' WHEN 'local' THEN 'on' ELSE current_setting('synchronous_commit') END, true),
       set_config('TimeZone', 'UTC', true),
       set_config('lock_timeout', '5s', true), set_config('statement_timeout', '{WITHIN_SECONDS}s', true),
       set_config('idle_in_transaction_session_timeout', '10s', true),
       pg_advisory_xact_lock_shared({PAUSE_LOCK});
"""

# NO KEY: other services' rows may refer to this row by foreign key meanwhile.
_LOCK_ROW = "1 FROM pod_activities WHERE id = {id} FOR NO KEY UPDATE"

# The number of locked rows, for the next statement. Nobody may decide about a row that was inserted in between.
_LOCK_AND_SAY = "SELECT set_config('pod_engagement.locked', count(*)::text, true) FROM (SELECT {lock}) l"
_WAS_LOCKED = "AND current_setting('pod_engagement.locked') <> '0'"

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
_IN_FORCE = """SELECT {columns} FROM engagement_controls c
    WHERE c.lifted_at IS NULL AND (c.until IS NULL OR c.until > clock_timestamp())"""

# A control that concerns the activity's pod, its account or everything.
_CONTROLS = f"""
   {_IN_FORCE}
      AND (c.scope, c.scope_id) IN (('all', ''), ('pod', a.pod_id::text), ('account', l.id::text))
"""

# In the form that the snapshot takes.
_AS_JSON = "json_agg(json_build_array(c.kind, c.scope, c.scope_id, extract(epoch FROM c.until), c.reason))"

# When the account was last released, if the time since then is shorter than the block was. A stable function bounds the
# index. `clock_timestamp()` decides which blocks are over, because it also decides which are in force.
_RELEASED = f"""
   SELECT max(COALESCE(c.lifted_at, c.until)) FROM engagement_controls c
    WHERE c.scope = 'account' AND c.scope_id = l.id::text AND c.kind IN ('cool_down', 'hold')
      AND COALESCE(c.lifted_at, c.until)
          > statement_timestamp() - interval '{SLOW_START_FOR.total_seconds():.0f} seconds'
      AND COALESCE(c.lifted_at, c.until) <= clock_timestamp()
      AND COALESCE(c.lifted_at, c.until) - c.created_at > clock_timestamp() - COALESCE(c.lifted_at, c.until)
"""  # noqa: S608  # our own constant

# Without the activity's id: every reader knows it already.
_ATTEMPT = ", ".join(f"t.{column.name}" for column in ATTEMPT_COLUMNS[1:])

# What is left of an activity whose row was deleted. There is no row to lock, so this locks its attempts.
SHOW_DELETED = f"""
SELECT clock_timestamp(), {_ATTEMPT}
  FROM engagement_attempts t WHERE t.activity_id = %(id)s ORDER BY t.number FOR UPDATE
"""  # noqa: S608  # our own column list

_SHOW = """
SELECT clock_timestamp(),
       a.id::text, a.pod_id::text, a.engagement_type::text, a.post_id::text, NULLIF(a.profile_id::text, ''),
       a.comment_text::text,
       CASE WHEN a.scheduled_for BETWEEN '0001-01-02' AND '9999-12-30' THEN a.scheduled_for END, a.status::text,
       a.failure_count::bigint, CASE WHEN a.next_retry_at >= '0001-01-02' THEN LEAST(a.next_retry_at, '9999-12-30') END,
       p.id::text, p.voice_cartridge_id::text, p.linkedin_account_id::text,
       l.id::text, l.profile_id::text, l.unipile_account_id::text, l.access_token::text, l.status::text,
       l.daily_limit::bigint,
       v.id::text, v.personality_style::text, v.tone::text, to_jsonb(v.templates),
       (SELECT {as_json} FROM ({controls}) c),
       {attempt},
       ({released})
  FROM pod_activities a
  LEFT JOIN pods p ON {pod}
  {account}
  LEFT JOIN voice_cartridges v ON {cartridge}
  LEFT JOIN engagement_attempts t ON t.activity_id = a.id::text
 WHERE a.id = {id} {was_locked}
 ORDER BY t.number
"""

# The account's sends in the last day, counted under the account's own lock, so that a cap is never exceeded and the
# spacing of a slow start is kept. The statement's time lies before the lock was granted, so it can only count too many.
# The account's blocks are read again: the previous holder of the lock may have got a wait from the provider. (A pause
# waits for us instead.)
SENT_IN_LAST_DAY = f"""
SELECT pg_advisory_xact_lock(hashtextextended('pod-engagement:account:' || %(account)s, 0));
SELECT clock_timestamp(), count(*), max(began_at),
       (SELECT max(claimed_at) FROM engagement_attempts WHERE account_id = %(account)s AND phase = 'claimed'),
       (SELECT {_AS_JSON} FROM engagement_controls c
         WHERE c.lifted_at IS NULL AND (c.until IS NULL OR c.until > clock_timestamp())
           AND c.scope = 'account' AND c.scope_id = %(account)s)
  FROM engagement_attempts
 WHERE account_id = %(account)s AND began_at > statement_timestamp() - interval '24 hours' AND event <> 'release'
"""  # noqa: S608  # our own expression

CREDITING = "SELECT pg_advisory_xact_lock(hashtextextended('pod-engagement:credit:' || %(engagement_id)s, 0))"

CREDITED = """
SELECT a.execution_id FROM pod_activities a
 WHERE a.execution_id = ANY(%(ids)s) AND a.id::text <> %(id)s
   AND a.execution_result->'api_response'->>'post_id' = %(post_id)s
   AND NOT EXISTS (SELECT 1 FROM engagement_attempts t
                    WHERE t.activity_id = a.id::text AND t.effect = 'applied' AND t.account_id <> %(account_id)s)
"""

NEIGHBOURS = f"""
SELECT t.activity_id, {_ATTEMPT} FROM engagement_attempts t
 WHERE t.account_id = %(account_id)s AND t.began_at > %(since)s AND t.post_id = %(post_id)s
   AND t.engagement_type = 'comment' AND t.effect IN ('unknown', 'applied') AND t.activity_id <> %(id)s
"""  # noqa: S608  # our own column list

# In the order of time along the partial index. Only a stable function can bound it: `clock_timestamp()` is volatile,
# and would make every sweep walk the whole index. Work that cannot go now is left out, so that it starves nobody. What
# is blocked is read once, not for each activity, and the activities of a blocked pod cost no join.
_DUE = """
SELECT a.id::text, CASE WHEN isfinite(GREATEST(a.scheduled_for, a.next_retry_at))
                        THEN extract(epoch FROM GREATEST(a.scheduled_for, a.next_retry_at) - clock_timestamp()) END,
       CASE WHEN ({released}) IS NOT NULL THEN l.id::text END
  FROM pod_activities a
  LEFT JOIN pods p ON {pod}
  {account}
 WHERE a.status = 'scheduled'
   AND GREATEST(a.scheduled_for, a.next_retry_at) <= statement_timestamp() + %(look_ahead)s
   AND a.id IS NOT NULL
   AND NOT EXISTS (SELECT 1 FROM engagement_attempts t
                    WHERE t.activity_id = a.id::text AND t.effect IN ('unknown', 'applied')
                      AND t.phase NOT IN ('scheduled', 'executed', 'failed'))
   AND NOT EXISTS ({in_force} AND c.scope = 'all')
   AND COALESCE(a.pod_id::text, '') NOT IN ({in_force} AND c.scope = 'pod')
   AND COALESCE(l.id::text, '') NOT IN ({in_force} AND c.scope = 'account')
   AND (l.status IS NULL OR l.status::text <> ALL (%(held)s))
   AND COALESCE(l.id::text, '') <> ALL (%(crowding)s)
 ORDER BY GREATEST(a.scheduled_for, a.next_retry_at)
 LIMIT %(limit)s
"""


def _checked(write: str) -> str:
    """The write as a statement that fails if it changes no row.

    It costs no extra round trip, as reading the row count would. The server reads the text as a number only if the
    count is zero, and then fails, because the text is no number.
    """
    return f"""WITH written AS ({write.strip()} RETURNING 1)
SELECT CASE WHEN count(*) > 0 THEN 0 ELSE ('{NO_ROW_CHANGED}: ' || count(*))::integer END FROM written"""  # noqa: S608


# Beyond what a smallint holds, the count stays as it is: a verdict must never fail because of it.
_COUNT_UP = """failure_count = CASE WHEN failure_count >= 32767 THEN failure_count
                            ELSE COALESCE(failure_count, 0) + %(counts)s END"""

_NAMES = ", ".join(column.name for column in ATTEMPT_COLUMNS)
_VALUES = ", ".join(f"%({column.name})s" for column in ATTEMPT_COLUMNS)
_OVERWRITTEN = ", ".join(f"{column.name} = EXCLUDED.{column.name}" for column in ATTEMPT_COLUMNS if not column.is_fixed)

SAVE_ATTEMPT = _checked(f"""
INSERT INTO engagement_attempts ({_NAMES}) VALUES ({_VALUES})
ON CONFLICT (activity_id, number) DO UPDATE SET {_OVERWRITTEN}
 WHERE engagement_attempts.token = EXCLUDED.token
""")  # noqa: S608  # our own columns

MARK_SCHEDULED = _checked(f"""
UPDATE pod_activities
   SET status = 'scheduled', executed_at = NULL, next_retry_at = %(next_retry_at)s,
       last_error = COALESCE(%(last_error)s, last_error),
       {_COUNT_UP}
 WHERE id = %(activity_id)s
""")  # noqa: S608  # our own expression

MARK_EXECUTED = _checked("""
UPDATE pod_activities
   SET status = 'executed', executed_at = %(executed_at)s, execution_result = %(execution_result)s,
       execution_id = %(execution_id)s, comment_generated = COALESCE(%(comment_generated)s, comment_generated),
       next_retry_at = NULL, last_error = NULL
 WHERE id = %(activity_id)s
""")

# If several rows share one id, which is malformed, those that have ended stay as they are.
MARK_FAILED = _checked(f"""
UPDATE pod_activities
   SET status = 'failed', executed_at = %(executed_at)s,
       {_COUNT_UP},
       last_error = %(last_error)s, next_retry_at = NULL
 WHERE id = %(activity_id)s AND status = 'scheduled'
""")  # noqa: S608  # our own expression

ADD_DEAD_LETTER = """
INSERT INTO engagement_dead_letters (activity_id, pod_id, account_id, error_type, message, effect, next_step, buried_at)
VALUES (%(activity_id)s, %(pod_id)s, %(account_id)s, %(error_type)s, %(message)s, %(effect)s, %(next_step)s,
        %(buried_at)s)
ON CONFLICT (activity_id) WHERE closed_at IS NULL DO UPDATE SET
       error_type = EXCLUDED.error_type, message = EXCLUDED.message, effect = EXCLUDED.effect,
       next_step = EXCLUDED.next_step, buried_at = EXCLUDED.buried_at
"""

CLOSE_DEAD_LETTER = """
UPDATE engagement_dead_letters SET closed_at = %(closed_at)s, resolution = %(resolution)s
 WHERE activity_id = %(activity_id)s AND closed_at IS NULL
"""

BLOCK = """
INSERT INTO engagement_controls (kind, scope, scope_id, until, reason)
VALUES (%(kind)s, %(scope)s, %(scope_id)s, %(until)s, %(reason)s)
ON CONFLICT (scope, scope_id, kind) WHERE lifted_at IS NULL DO UPDATE SET
       until = CASE WHEN engagement_controls.until IS NULL OR EXCLUDED.until IS NULL THEN NULL
                    ELSE GREATEST(engagement_controls.until, EXCLUDED.until) END,
       reason = EXCLUDED.reason, created_at = now()
"""

RAISE_ALERT = """
INSERT INTO engagement_alerts (incident, kind, message, activity_id, next_step, last_at)
VALUES (%(incident)s, %(kind)s, %(message)s, %(activity_id)s, %(next_step)s, clock_timestamp())
ON CONFLICT (incident) WHERE resolved_at IS NULL DO UPDATE SET
       times = engagement_alerts.times + 1, last_at = clock_timestamp()
"""


@dataclass(frozen=True, kw_only=True, slots=True)
class Statements:
    """The statements whose joins depend on the column types of this database.

    `open_and_call` does the same as `open_and_show`, if the server has the function `snapshot_function`.
    """

    open_and_show: str
    open_and_call: str
    snapshot_function: SnapshotFunction
    due: str
    orphans: str
    unknowns: str


def render(catalog: Catalog) -> Statements:
    """The statements for a database with this catalog."""
    joins = {
        "pod": catalog.same(("pods", "id"), "p", ("pod_activities", "pod_id"), "a"),
        "cartridge": catalog.same(("voice_cartridges", "id"), "v", ("pods", "voice_cartridge_id"), "p"),
        "account": _ACCOUNT.format(
            profile_account=catalog.same(
                ("linkedin_accounts", "profile_id"), "x", ("pod_activities", "profile_id"), "a"
            ),
            pod_account=catalog.same(("linkedin_accounts", "id"), "x", ("pods", "linkedin_account_id"), "p"),
        ),
    }
    show = _SHOW.format(
        id="{id}",
        was_locked="{was_locked}",
        attempt=_ATTEMPT,
        controls=_CONTROLS.format(columns="c.*"),
        as_json=_AS_JSON,
        released=_RELEASED,
        **joins,
    )
    kept = snapshot_function(
        lock=_LOCK_ROW.format(id="wanted"),
        show=show.format(id="wanted", was_locked=""),
        id_type=catalog.types["pod_activities", "id"],
    )
    here = "%(id)s"
    return Statements(
        open_and_show=f"{_OPEN}{_LOCK_AND_SAY.format(lock=_LOCK_ROW.format(id=here))};\n"
        + show.format(id=here, was_locked=_WAS_LOCKED),
        open_and_call=_OPEN + kept.call,
        snapshot_function=kept,
        due=f"{PLANNER_HINTS};"
        + _DUE.format(in_force=_IN_FORCE.format(columns="c.scope_id"), released=_RELEASED, **joins),
        orphans=not_locked(ORPHANS, catalog),
        unknowns=not_locked(UNKNOWNS, catalog),
    )
