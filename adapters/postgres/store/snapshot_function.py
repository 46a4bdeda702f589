"""The store's one big read as a function of the server, which plans it once per connection instead of every time.

The one rule: it is the same read. Where the function is missing, the statement itself is sent, and only time is lost.

Its name carries a hash of its text: workers of two releases, or of two ideas of the column types, each find their own
during a deployment, and nobody replaces what another one uses. Nothing is prepared in a session, so a transaction
pooler does not matter: the plan lives in whichever server process runs the function.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass

from psycopg2.extensions import connection as Connection

from adapters.postgres.inspection.attempt_columns import ATTEMPT_COLUMNS

__all__ = ["SnapshotFunction", "snapshot_function"]

# As the read returns them, in its order.
_TYPES = (
    *("timestamptz", "text", "text", "text", "text", "text", "text", "timestamptz", "text", "bigint", "timestamptz"),
    *("text", "text", "text"),
    *("text", "text", "text", "text", "text", "bigint"),
    *("text", "text", "text", "jsonb"),
    "json",
    *(column.sql_type for column in ATTEMPT_COLUMNS[1:]),
    "timestamptz",
)

# VOLATILE, as by default: each statement inside sees what was committed before it began, and so the read sees what the
# lock's last holder left. One plan for every activity, made for a table that grows: one that was made while the tables
# were empty must not scan them later. (What cannot go along an index is scanned all the same, at a cost so high on
# paper that the server would compile it.)
_CREATE = """CREATE OR REPLACE FUNCTION {{name}}(wanted_id text) RETURNS TABLE ({columns}) LANGUAGE plpgsql
SET plan_cache_mode = force_generic_plan SET enable_seqscan = off SET jit = off
AS $function$
DECLARE
  wanted "{id_type}" := wanted_id;
BEGIN
  PERFORM {lock};
  IF FOUND THEN
    RETURN QUERY {show};
  END IF;
END
$function$"""


@dataclass(frozen=True, kw_only=True, slots=True)
class SnapshotFunction:
    """`create` makes the function, `call` is the statement that reads with it."""

    name: str
    create: str

    @property
    def call(self) -> str:
        """Returns what the read returns; its parameter is `id`."""
        return f"SELECT * FROM {self.name}(%(id)s)"  # noqa: S608  # our own name

    def is_there(self, connection: Connection) -> bool:
        """Whether the server has the function."""
        return self._asked(connection, "SELECT to_regprocedure(%s) IS NOT NULL")

    def is_usable(self, connection: Connection) -> bool:
        """Whether it is there and this role may execute it."""
        return self._asked(connection, "SELECT COALESCE(has_function_privilege(to_regprocedure(%s), 'EXECUTE'), false)")

    def _asked(self, connection: Connection, question: str) -> bool:
        with connection.cursor() as cursor:
            cursor.execute(question, (f"{self.name}(text)",))
            row = cursor.fetchone()
        return bool(row and row[0])


def snapshot_function(*, lock: str, show: str, id_type: str) -> SnapshotFunction:
    """The function that locks and shows.

    Args:
        lock: what finds and locks the row, without its first word, `SELECT`; the activity is `wanted`.
        show: the read; the activity is `wanted`.
        id_type: of the activities' ids.
    """
    columns = ", ".join(f"c{number} {type_name}" for number, type_name in enumerate(_TYPES))
    text = _CREATE.format(columns=columns, id_type=id_type, lock=lock.strip(), show=show.strip())
    name = "engagement_show_" + hashlib.sha256(text.encode("utf-8")).hexdigest()[:12]
    return SnapshotFunction(name=name, create=text.format(name=name))
