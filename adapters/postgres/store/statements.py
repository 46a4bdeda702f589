"""Every statement that the activity store sends, named and commented.

The one rule: a transaction is two messages. The first locks the row and shows it; the second writes and commits.
Several statements in one message cost one round trip, and each of them sees what was committed before it began.
"""

from __future__ import annotations

from dataclasses import dataclass

from adapters.postgres.inspection.catalog import Catalog
from adapters.postgres.store.fragments import ATTEMPT, COUNT_UP, checked
from adapters.postgres.store.save import Save, render_save
from adapters.postgres.store.sends import SENDS
from adapters.postgres.store.server_function import LockedRead, ServerFunction
from adapters.postgres.store.show import render_show

__all__ = ["OPEN", "PAUSE_LOCK", "WITHIN_SECONDS", "Statements", "render"]

PAUSE_LOCK = 7_305_001
"""Advisory lock: every change of an activity takes its shared side, a pause takes the exclusive side."""

WITHIN_SECONDS = 10
"""How long one statement of a change may run."""

# READ COMMITTED, so that a read after the lock was granted sees what the previous holder left. Durability and time-outs
# are set per transaction, because a pooled session has no state of its own. A worker that is stopped (SIGSTOP, a
# suspended machine) while it holds the row would block everybody, so the server ends its transaction. A pause is waited
# for longer than a row: it ends by itself.
OPEN = f"""
BEGIN ISOLATION LEVEL READ COMMITTED;
SELECT set_config('synchronous_commit', CASE current_setting('synchronous_commit')
                  WHEN 'off' THEN 'on' WHEN 'local' THEN 'on' ELSE current_setting('synchronous_commit') END, true),
       set_config('TimeZone', 'UTC', true),
       set_config('lock_timeout', '5s', true), set_config('statement_timeout', '{WITHIN_SECONDS}s', true),
       set_config('idle_in_transaction_session_timeout', '10s', true),
       pg_advisory_xact_lock_shared({PAUSE_LOCK}), set_config('lock_timeout', '1s', true);
"""

# What is left of an activity whose row was deleted. There is no row to lock, so this locks its attempts.
SHOW_DELETED = f"""
SELECT clock_timestamp(), {ATTEMPT}
  FROM engagement_attempts t WHERE t.activity_id = %(id)s ORDER BY t.number FOR UPDATE
"""  # noqa: S608  # our own column list

CREDITING = "SELECT pg_advisory_xact_lock(hashtextextended('pod-engagement:credit:' || %(engagement_id)s, 0))"

CREDITED = """
SELECT a.execution_id FROM pod_activities a
 WHERE a.execution_id = ANY(%(ids)s) AND a.id::text <> %(id)s
   AND a.execution_result->'api_response'->>'post_id' = %(post_id)s
   AND NOT EXISTS (SELECT 1 FROM engagement_attempts t
                    WHERE t.activity_id = a.id::text AND t.effect = 'applied' AND t.account_id <> %(account_id)s)
"""

NEIGHBOURS = f"""
SELECT t.activity_id, {ATTEMPT} FROM engagement_attempts t
 WHERE t.account_id = %(account_id)s AND t.began_at > %(since)s AND t.post_id = %(post_id)s
   AND t.engagement_type = 'comment' AND t.effect IN ('unknown', 'applied') AND t.activity_id <> %(id)s
"""  # noqa: S608  # our own column list

# If several rows share one id, which is malformed, those that have ended stay as they are.
MARK_FAILED = checked(
    f"""
UPDATE pod_activities a
   SET status = 'failed', executed_at = %(executed_at)s,
       {COUNT_UP.format(counts="%(counts)s")},
       last_error = %(last_error)s, next_retry_at = NULL
 WHERE id = %(activity_id)s AND status = 'scheduled'
""",  # noqa: S608  # our own expression
    at_least="1",
)

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
    """The statements that depend on the column types of this database."""

    show: LockedRead
    sends: LockedRead
    save: Save

    @property
    def functions(self) -> tuple[ServerFunction, ...]:
        """What the server may keep as functions."""
        return self.show.function, self.sends.function, self.save.function


def render(catalog: Catalog) -> Statements:
    """The statements for a database with this catalog."""
    return Statements(show=render_show(catalog), sends=SENDS, save=render_save(catalog))
