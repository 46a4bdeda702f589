"""A statement that the server may keep as a function, planned once per server process instead of every time.

The one rule: the function does what the statement does. Where the function is missing, the store sends the statement,
and only time is lost.

The function's name carries a hash of its text. So during a deployment, two releases, or workers that read different
column types, each find their own function, and nobody replaces one that is in use. Nothing is prepared in a session, so
a transaction pooler does not matter: each server process that runs the function keeps its own plan.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass

from psycopg2.extensions import connection as Connection

__all__ = ["LockedRead", "ServerFunction", "server_function"]

# VOLATILE, as by default: each statement inside sees what was committed before it began, so what is read after a lock
# was granted is what the lock's last holder left. One plan serves every call, and it is made for tables that grow: a
# plan made while they were empty must not scan them later. (A part that no index can serve is scanned all the same. Its
# cost on paper is then so high that the server would compile it.)
_CREATE = """CREATE OR REPLACE FUNCTION {{name}}({parameters}) RETURNS {returns} LANGUAGE plpgsql
SET plan_cache_mode = force_generic_plan SET enable_seqscan = off SET enable_hashjoin = off
SET enable_mergejoin = off SET jit = off
AS $function$
{body}
$function$"""


@dataclass(frozen=True, kw_only=True, slots=True)
class ServerFunction:
    """`create` makes the function; `call` is the statement that calls it, with named parameters for psycopg2;
    `signature` names it and the types of its parameters."""

    name: str
    signature: str
    create: str
    call: str

    def is_there(self, connection: Connection) -> bool:
        """Whether the server has the function."""
        return self._asked(connection, "SELECT to_regprocedure(%s) IS NOT NULL")

    def is_usable(self, connection: Connection) -> bool:
        """Whether the function exists and this role may execute it."""
        return self._asked(connection, "SELECT COALESCE(has_function_privilege(to_regprocedure(%s), 'EXECUTE'), false)")

    def _asked(self, connection: Connection, question: str) -> bool:
        with connection.cursor() as cursor:
            cursor.execute(question, (self.signature,))
            row = cursor.fetchone()
        return bool(row and row[0])


@dataclass(frozen=True, kw_only=True, slots=True)
class LockedRead:
    """A read that locks first. `waiting` waits for what somebody else has locked; `passing` leaves that out. `function`
    does what both do; its parameter `patient` says which."""

    waiting: str
    passing: str
    function: ServerFunction


def server_function(stem: str, *, parameters: dict[str, str], returns: str, body: str) -> ServerFunction:
    """A function of the server.

    Args:
        stem: the beginning of its name.
        parameters: their names and types. The call has a parameter of the same name for each.
        returns: what it returns: a type, or `TABLE (...)`.
        body: in PL/pgSQL.
    """
    declared = ", ".join(f"{name} {type_name}" for name, type_name in parameters.items())
    text = _CREATE.format(parameters=declared, returns=returns, body=body.strip())
    # Another layout of the same text is the same function: nobody has to migrate for it.
    name = f"{stem}_" + hashlib.sha256(" ".join(text.split()).encode("utf-8")).hexdigest()[:12]
    values = ", ".join(f"%({parameter})s" for parameter in parameters)
    return ServerFunction(
        name=name,
        signature=f"{name}({', '.join(parameters.values())})",
        create=text.format(name=name),
        call=f"SELECT * FROM {name}({values})",  # noqa: S608  # our own names
    )
