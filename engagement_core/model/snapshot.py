"""What the store knows of one activity while it is locked."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta

from engagement_core.model.activity import Account, Activity, Malformed, Pod, VoiceCartridge
from engagement_core.model.attempt import Attempt, first_began
from engagement_core.model.controls import Control, SlowStart
from engagement_core.model.lifecycle import Phase

__all__ = ["NEIGHBOURS_FOR", "Snapshot"]


NEIGHBOURS_FOR = timedelta(days=1)
"""How long before an activity was first sent its neighbours may have begun; see `Snapshot.neighbours`."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Snapshot:
    """What the store knows of one activity while it is locked. `now` is the database's clock, the only one for leases.

    `attempts` are all of it, by number. `controls` are those in force for its pod, its account or everything.
    `account` is the one that acts: the profile's, or the pod's when no profile is named; None when there is none.
    `sent_in_last_day` counts the account's sends of the last 24 hours, and only when the account has a daily limit.
    `slow_start` is set while the account starts slowly. The account's own sends and controls are then read under a lock
    of the account, as with a daily limit, so two of its sends never begin from the same facts. An activity that is
    being sent has passed admission: limits may be absent, and the account's lock is not taken.
    `credited` are those of the provider's ids that were asked about and that another activity already has on the same
    post, by the same account. (Elsewhere, or in a provider's next life, an id may come again.)
    `neighbours` are shown with them: the attempts of other activities at a comment by the same account on the same
    post that may have had an effect, or had it; none that began more than `NEIGHBOURS_FOR` before this activity's first
    sending.
    """

    now: datetime
    activity: Activity | Malformed | None
    pod: Pod | None = None
    account: Account | None = None
    cartridge: VoiceCartridge | None = None
    attempts: tuple[Attempt, ...] = ()
    controls: tuple[Control, ...] = ()
    sent_in_last_day: int = 0
    slow_start: SlowStart | None = None
    credited: frozenset[str] = frozenset()
    neighbours: tuple[Attempt, ...] = ()

    @property
    def is_claimed(self) -> bool:
        """The latest attempt is being prepared."""
        return bool(self.attempts) and self.attempts[-1].phase is Phase.CLAIMED

    @property
    def is_being_sent(self) -> bool:
        """The latest attempt has begun, and nobody has said how it ended."""
        return bool(self.attempts) and self.attempts[-1].phase is Phase.SENDING

    @property
    def first_began_at(self) -> datetime:
        """When the activity was first sent; now, if it never was."""
        return first_began(self.attempts) or self.now

    @property
    def account_id(self) -> str | None:
        """The account that acted; the one that would, while none has."""
        if self.attempts:
            return self.attempts[-1].account_id
        return None if self.account is None else self.account.id

    @property
    def post_id(self) -> str:
        """The post that was acted on: its row may name another one by now. Empty when there is nothing to act on."""
        if self.attempts:
            return self.attempts[-1].post_id
        return self.activity.post_id if isinstance(self.activity, Activity) else ""
