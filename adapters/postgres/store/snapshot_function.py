"""Makes the store's one big read a function of the server, which plans it once per connection instead of every time.

The one rule: the function and the statement read the same. Where the function is missing, the store sends the
statement, and only time is lost.

The function's name carries a hash of its text. So during a deployment, two releases, or workers that read different
column types, each find their own function, and nobody replaces one that is in use. Nothing is prepared in a session, so
a transaction pooler does not matter: each server process that runs the function keeps its own plan.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass

from psycopg2.extensions import connection as Connection

from adapters.postgres.inspection.attempt_columns import ATTEMPT_COLUMNS

__all__ = ["SnapshotFunction", "snapshot_function"]

# The columns that the read returns, in its order.
_TYPES = (
    *("timestamptz", "text", "text", "text", "text", "text", "text", "timestamptz", "text", "bigint", "timestamptz"),
    *("text", "text", "text"),
    *("text", "text", "text", "text", "text", "bigint"),
    *("text", "text", "text", "jsonb"),
    "json",
    *(column.sql_type for column in ATTEMPT_COLUMNS[1:]),
    "timestamptz",
)

# VOLATILE, as by default: each statement inside sees what was committed before it began, so the read sees what the
# lock's last holder left. One plan serves every activity, and it is made for a table that grows: a plan made while the
# tables were empty must not scan them later. (A part that no index can serve is scanned all the same. Its cost on paper
# is then so high that the server would compile it.)
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
    """`create` makes the function; `call` is the statement that reads with it."""

    name: str
    create: str

    @property
    def call(self) -> str:
        """The statement that reads with the function. It returns what the read returns; its parameter is `id`."""
        return f"SELECT * FROM {self.name}(%(id)s)"  # noqa: S608  # our own name

    def is_there(self, connection: Connection) -> bool:
        """Whether the server has the function."""
        return self._asked(connection, "SELECT to_regprocedure(%s) IS NOT NULL")

    def is_usable(self, connection: Connection) -> bool:
        """Whether the function exists and this role may execute it."""
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
    # Another layout of the same text is the same function: nobody has to migrate for it.
    name = "engagement_show_" + hashlib.sha256(" ".join(text.split()).encode("utf-8")).hexdigest()[:12]
    return SnapshotFunction(name=name, create=text.format(name=name))
