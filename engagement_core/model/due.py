"""An activity that waits for its time."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta

__all__ = ["Due"]


@dataclass(frozen=True, kw_only=True, slots=True)
class Due:
    """An activity that waits for its time; `due_in` is measured on the database's clock at the time of the read.

    `account_id` is the account that will act as far as the read could tell; None if nobody can. The claim decides.
    """

    activity_id: str
    due_in: timedelta
    account_id: str | None = None
