"""The store of activities and their attempts, and the one way to change them.

The one rule: *lock, show, decide, apply*. Every change of an activity goes through `ActivityStore.change`: the store
locks the activity, shows what it knows (`Snapshot`), lets a pure function decide, and applies the writes that the
function returned, all in one transaction. So the decisions are pure, only one place can race, and the fake needs no
logic of its own.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from functools import partial
from typing import Protocol, TypeVar

from engagement_core.model.decision import Decision
from engagement_core.model.due import Due
from engagement_core.model.orphan import Orphan
from engagement_core.model.snapshot import Snapshot

__all__ = ["ActivityStore", "StoreBusy", "StoreRefused", "StoreUnavailable"]


T = TypeVar("T")


class StoreUnavailable(Exception):
    """The database cannot be reached, or broke the connection. It is not known whether the last change was applied.

    The message says what happened and carries no credentials.
    """


class StoreBusy(StoreUnavailable):
    """Somebody else holds a lock that the change needs. Nothing of it was applied; a later try may succeed."""


class StoreRefused(StoreUnavailable):
    """The database can be reached and refused the change: nothing of it was applied.

    A rule of the tables (a trigger, a constraint, a type) forbids it, or swallowed a write. The message is in the
    database's words. `code` names the kind of refusal (an SQLSTATE); it is the same for all refusals of one kind.
    """

    def __init__(self, message: str, *, code: str = "") -> None:
        super().__init__(message)
        self.code = code


class ActivityStore(Protocol):
    """Every method raises `StoreUnavailable` when the database fails or cannot be reached."""

    def change(
        self, activity_id: str, decide: Callable[[Snapshot], Decision[T]], *, crediting: tuple[str, ...] | None = None
    ) -> T:
        """Lock the activity, show it, and apply what `decide` returns. The change is durable when this returns.

        Concurrent changes of one activity happen one after the other; each sees the one before. `decide` must be
        quick and pure: it runs while the row is locked, and may run again. Nothing is written if it raises.
        A row that could not be locked is not shown, as if there were no such activity. Rows that share one id are
        shown as one malformed row. A write that changes no row is refused (`StoreRefused`), and all others with it.
        A decision that puts an account on hold runs alone: of two at a time, the second sees the first one's hold.
        `crediting` names the provider's ids that the decision may credit to this activity; None if it credits nothing.
        Two decisions about one id never overlap. `Snapshot.credited` then shows those of the ids that another activity
        has, and `Snapshot.neighbours` is filled.
        """
        ...

    def submit(self, activity_id: str, decide: Callable[[Snapshot], Decision[T]]) -> Callable[[], T]:
        """Ask for a change without waiting for it; never raises. The function that is returned waits: it returns or
        raises what `change` would. The change is made then, or earlier, perhaps together with others."""
        return partial(self.change, activity_id, decide)

    def due(self, *, look_ahead: timedelta, limit: int) -> tuple[Due, ...]:
        """Scheduled activities whose time comes within `look_ahead`, earliest first, at most `limit`.

        Activities with an open attempt that may have had an effect, and activities of a blocked scope, are left out:
        they must not starve the others. If there are more than `limit`, every account gets a fair share: one that has
        less gets all it has, and the others get what it leaves. Who has no account counts as one. Of an account in
        slow start only the first `SLOW_START_PER_SWEEP` are shown; its other activities do not count towards `limit`.
        """
        ...

    def orphans(self, *, silent_for: timedelta, margin: timedelta, limit: int) -> tuple[Orphan, ...]:
        """Open attempts, claimed or sending, whose worker has not beaten for `silent_for`, or that are past their
        deadline by `margin`, whoever holds them. The workers of a newer release adopt that release's attempts
        (`Attempt.is_foreign`): these are listed only once they are past their deadline by `FOREIGN_FOR`. Activities
        whose row somebody has locked at this moment are left out: nobody should wait for them while others wait."""
        ...

    def unknowns(self, *, limit: int) -> tuple[str, ...]:
        """Activities in phase unknown whose attempt's `look_at` has come, longest waiting first. For attempts of a
        newer release and for locked rows, see `orphans`."""
        ...
