"""The store's one big read: it locks activities and shows what is known of each.

The one rule: *lock first, read afterwards*. Nobody may decide about a row that was not locked by this transaction, so
only locked rows are shown.
"""

from __future__ import annotations

from adapters.postgres.inspection.catalog import Catalog
from adapters.postgres.store.fragments import AS_JSON, ATTEMPT, IN_FORCE, RELEASED, joins
from adapters.postgres.store.server_function import LockedRead, server_function

__all__ = ["render_show"]

# NO KEY: other services' rows may refer to these rows by foreign key meanwhile.
_LOCK = "SELECT a.id FROM pod_activities a WHERE a.id = ANY({wanted}) ORDER BY a.id FOR NO KEY UPDATE"
_LOCK_FREE = f"{_LOCK} SKIP LOCKED"

# A control that concerns the activity's pod, its account or everything.
_CONTROLS = f"""
   {IN_FORCE.format(columns="c.*")}
      AND (c.scope, c.scope_id) IN (('all', ''), ('pod', a.pod_id::text), ('account', l.id::text))
"""

# One row per activity. All that is known is one JSON list, because a driver pays for each column of a result.
_SHOW = """
SELECT a.id::text, clock_timestamp(), ({released}), json_build_array(
       json_build_array(
           a.id::text, a.pod_id::text, a.engagement_type::text, a.post_id::text, NULLIF(a.profile_id::text, ''),
           a.comment_text::text,
           CASE WHEN a.scheduled_for BETWEEN '0001-01-02' AND '9999-12-30' THEN a.scheduled_for END,
           a.status::text, a.failure_count::bigint,
           CASE WHEN a.next_retry_at >= '0001-01-02' THEN LEAST(a.next_retry_at, '9999-12-30') END),
       CASE WHEN p.id IS NOT NULL THEN json_build_array(
           p.id::text, p.voice_cartridge_id::text, p.linkedin_account_id::text) END,
       CASE WHEN l.id IS NOT NULL THEN json_build_array(
           l.id::text, l.profile_id::text, l.unipile_account_id::text, l.access_token::text, l.status::text,
           l.daily_limit::bigint) END,
       CASE WHEN v.id IS NOT NULL THEN json_build_array(
           v.id::text, v.personality_style::text, v.tone::text, to_jsonb(v.templates)) END,
       (SELECT {as_json} FROM ({controls}) c),
       (SELECT json_agg(json_build_array({attempt}) ORDER BY t.number)
          FROM engagement_attempts t WHERE t.activity_id = a.id::text))
  FROM pod_activities a
  LEFT JOIN pods p ON {pod}
  {account}
  LEFT JOIN voice_cartridges v ON {cartridge}
 WHERE a.id = ANY({locked})
 ORDER BY a.id
"""

# The columns that the read returns, in its order.
_TYPES = ("text", "timestamptz", "timestamptz", "json")

_BODY = """
DECLARE
  locked "{id_type}"[];
BEGIN
  IF patient THEN
    SELECT array_agg(f.id) INTO locked FROM ({lock}) f;
  ELSE
    SELECT array_agg(f.id) INTO locked FROM ({lock_free}) f;
  END IF;
  IF locked IS NOT NULL THEN
    RETURN QUERY {show};
  END IF;
END
"""

# Without the function, the locked ids are handed to the second statement through a setting of the transaction.
_LOCKED = "pod_engagement.locked"
_LOCK_AND_SAY = f"SELECT set_config('{_LOCKED}', COALESCE(array_agg(f.id)::text, '{{{{}}}}'), true) FROM ({{lock}}) f"  # noqa: S608  # our own name


def render_show(catalog: Catalog) -> LockedRead:
    """The read for a database with this catalog. Its parameter `wanted` is a list of ids."""
    id_type = catalog.types["pod_activities", "id"]
    show = _SHOW.format(
        locked="{locked}",
        attempt=ATTEMPT,
        controls=_CONTROLS,
        as_json=AS_JSON,
        released=RELEASED,
        **joins(catalog),
    ).strip()
    inside = f'wanted::"{id_type}"[]'
    columns = ", ".join(f"c{number} {type_name}" for number, type_name in enumerate(_TYPES))
    function = server_function(
        "engagement_show",
        parameters={"wanted": "text[]", "patient": "boolean"},
        returns=f"TABLE ({columns})",
        body=_BODY.format(
            id_type=id_type,
            lock=_LOCK.format(wanted=inside),
            lock_free=_LOCK_FREE.format(wanted=inside),
            show=show.format(locked="locked"),
        ),
    )
    outside = f'%(wanted)s::text[]::"{id_type}"[]'
    read = show.format(locked=f"current_setting('{_LOCKED}')::\"{id_type}\"[]")
    waiting, passing = (
        f"{_LOCK_AND_SAY.format(lock=lock.format(wanted=outside))};\n{read}" for lock in (_LOCK, _LOCK_FREE)
    )
    return LockedRead(waiting=waiting, passing=passing, function=function)
