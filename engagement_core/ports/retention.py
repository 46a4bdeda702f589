"""What nobody needs any more: told, over and lifted things are kept for a while, and then go."""

from __future__ import annotations

from datetime import timedelta
from typing import Protocol

__all__ = ["Retention"]


class Retention(Protocol):
    """The one rule: nothing goes that is open, in force, undelivered or evidence of a send."""

    def forget(self, *, older_than: timedelta, limit: int) -> int:
        """Delete alerts that were delivered and whose incident is over, and what blocked a scope and was lifted, both
        for longer than `older_than`; at most `limit` rows of each. How many went.

        Raises:
            StoreUnavailable: the database did not do its part.
        """
        ...
