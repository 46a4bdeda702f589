"""Reads dead letters on PostgreSQL.

The one rule: it reads only open letters, which an index finds. Closed letters cost nothing, however many there are.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from adapters.postgres.connection.pool import PostgresPool
from engagement_core.model.dead_letter import DeadLetter
from engagement_core.model.errors import Effect, ErrorType
from engagement_core.model.letter_file import FiledLetter, LetterFilter

__all__ = ["PostgresDeadLetters"]

_WANTED = """
   FROM engagement_dead_letters
  WHERE closed_at IS NULL
    AND (%(error_type)s IS NULL OR error_type = %(error_type)s)
    AND (%(pod_id)s IS NULL OR pod_id = %(pod_id)s)
    AND (%(account_id)s IS NULL OR account_id = %(account_id)s)
    AND (%(since)s::timestamptz IS NULL OR buried_at >= %(since)s)
"""
_COLUMNS = "SELECT id, activity_id, pod_id, account_id, error_type, message, effect, next_step, buried_at"
_PAGE = f"{_COLUMNS} {_WANTED} AND id > %(after)s ORDER BY id LIMIT %(limit)s"
_COUNT = f"SELECT error_type, count(*) {_WANTED} GROUP BY error_type ORDER BY count(*) DESC, error_type"
_FIND = f"{_COLUMNS} FROM engagement_dead_letters WHERE closed_at IS NULL AND activity_id = %(activity_id)s"


class PostgresDeadLetters:
    """Fills `engagement_core.ports.dead_letters.DeadLetters`."""

    def __init__(self, pool: PostgresPool) -> None:
        self._pool = pool

    def page(self, wanted: LetterFilter, *, limit: int, after: int = 0) -> tuple[FiledLetter, ...]:
        """See the port."""
        rows = self._pool.query(_PAGE, **_parameters(wanted), limit=limit, after=after)
        return tuple(_filed(row) for row in rows)

    def count(self, wanted: LetterFilter) -> Mapping[ErrorType, int]:
        """See the port."""
        return {ErrorType(row[0]): row[1] for row in self._pool.query(_COUNT, **_parameters(wanted))}

    def find(self, activity_id: str) -> FiledLetter | None:
        """See the port."""
        if "\x00" in activity_id:
            return None
        rows = self._pool.query(_FIND, activity_id=activity_id)
        return _filed(rows[0]) if rows else None


def _parameters(wanted: LetterFilter) -> dict[str, Any]:
    return {
        "error_type": wanted.error_type.value if wanted.error_type else None,
        "pod_id": wanted.pod_id,
        "account_id": wanted.account_id,
        "since": wanted.since,
    }


def _filed(row: Sequence[Any]) -> FiledLetter:
    number, activity_id, pod_id, account_id, error_type, message, effect, next_step, buried_at = row
    letter = DeadLetter(
        activity_id=activity_id,
        error_type=ErrorType(error_type),
        message=message,
        effect=Effect(effect),
        buried_at=buried_at,
        next_step=next_step,
    )
    return FiledLetter(number=number, letter=letter, pod_id=pod_id, account_id=account_id)
