"""Lists the columns of `engagement_attempts` in one place: statements, rows, the server's functions and checks use it.

The one rule: a column has the name of the field of `Attempt` that it holds. A test compares both, and `schema.sql`.
"""

from __future__ import annotations

from dataclasses import dataclass

from engagement_core.model.activity import EngagementType
from engagement_core.model.errors import Effect
from engagement_core.model.lifecycle import Event, Phase
from engagement_core.model.vocabulary import OpenWord

__all__ = ["ATTEMPT_COLUMNS", "AttemptColumn"]


@dataclass(frozen=True, kw_only=True, slots=True)
class AttemptColumn:
    """`sql_type` is PostgreSQL's type. `word` turns the text into the field's value, where the value is one of a list.
    A column that `is_fixed` is written once, when the attempt is inserted."""

    name: str
    sql_type: str
    word: type[OpenWord] | None = None
    is_fixed: bool = False


def _column(name: str, kind: str, word: type[OpenWord] | None = None, *, is_fixed: bool = False) -> AttemptColumn:
    return AttemptColumn(name=name, sql_type=kind, word=word, is_fixed=is_fixed)


ATTEMPT_COLUMNS: tuple[AttemptColumn, ...] = (
    _column("activity_id", "text", is_fixed=True),
    _column("number", "integer", is_fixed=True),
    _column("token", "text", is_fixed=True),
    _column("worker_id", "text", is_fixed=True),
    _column("phase", "text", Phase),
    _column("event", "text", Event),
    _column("effect", "text", Effect),
    _column("account_id", "text", is_fixed=True),
    _column("engagement_type", "text", EngagementType, is_fixed=True),
    _column("post_id", "text", is_fixed=True),
    _column("claimed_at", "timestamptz", is_fixed=True),
    _column("deadline_at", "timestamptz", is_fixed=True),
    _column("began_at", "timestamptz"),
    _column("ended_at", "timestamptz"),
    _column("look_at", "timestamptz"),
    _column("text", "text"),
    _column("answer", "jsonb"),
    _column("error", "jsonb"),
    _column("evidence", "jsonb"),
    _column("crashed", "boolean"),
    _column("requeued_at", "timestamptz"),
    _column("text_source", "text", is_fixed=True),
)
