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
"""How long before an activity's first sending its neighbours may have begun; see `Snapshot.neighbours`."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Snapshot:
    """What the store knows of one activity while it is locked. `now` is the database's clock, the only one for leases.

    `attempts` are all attempts of the activity, by number. `controls` are those in force for its pod, its account or
    everything. `account` is the one that acts: the profile's, or the pod's if the activity names no profile; None if
    there is none.
    `sent_in_last_day` counts the account's sends of the last 24 hours, but only if the account has a daily limit.
    `slow_start` is set while the account is in slow start. With either of these two limits, the store reads the
    account's own sends and controls under a lock of the account, so two of its sends never begin from the same facts.
    An activity that is being sent has passed admission, and one that is blocked may not be sent: limits may be absent,
    and the account's lock is not taken.
    `credited` are those of the requested provider ids that another activity already has, on the same post and by the
    same account. (For another post or account, or after the provider was reset, an id may occur again.)
    `neighbours` are shown together with `credited`: attempts of other activities at a comment by the same account on
    the same post that had an effect or may have had one. None of them began more than `NEIGHBOURS_FOR` before this
    activity's first sending.
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
        """The latest attempt has begun to send, and its outcome is not recorded yet."""
        return bool(self.attempts) and self.attempts[-1].phase is Phase.SENDING

    @property
    def first_began_at(self) -> datetime:
        """When the activity was first sent; `now` if it never was."""
        return first_began(self.attempts) or self.now

    @property
    def account_id(self) -> str | None:
        """The account that acted; if none has yet, the one that would act."""
        if self.attempts:
            return self.attempts[-1].account_id
        return None if self.account is None else self.account.id

    @property
    def post_id(self) -> str:
        """The post that was acted on, even if the row names another one by now. Empty if there is nothing to act on."""
        if self.attempts:
            return self.attempts[-1].post_id
        return self.activity.post_id if isinstance(self.activity, Activity) else ""
