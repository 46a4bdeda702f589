"""Who lives in a world: accounts with their pods and posts, and the activities that E-03 and E-04 have made."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import TYPE_CHECKING

from engagement_core.model.activity import Account, Activity, EngagementType, Malformed, Pod, VoiceCartridge

if TYPE_CHECKING:
    from simulation.world import World

__all__ = ["account_of", "populate"]

_TEXTS = ("Great post!", "Fish & chips, isn't it?", "I <3 this.", "Well said.")
_POSTS = 2
_BUT_FEW = 0.03


def populate(world: World) -> None:
    """Fill the tables, and tell the promise which engagements cannot be told apart."""
    cartridge = VoiceCartridge(id="voice", personality_style=None, tone=None, templates=None)
    world.tables.cartridges[cartridge.id] = cartridge
    for number in range(1, world.size.accounts + 1):
        _settle(world, number)
    burst = world.db_now() + world.size.horizon * world.rng.random()
    for number in range(1, world.size.activities + 1):
        _schedule(world, f"a{number}", burst)


def account_of(world: World, activity: Activity) -> str | None:
    """The account that acts for an activity."""
    if activity.profile_id is None:
        return world.tables.pods[activity.pod_id].linkedin_account_id
    number = activity.profile_id.removeprefix("profile-")
    return number if number in world.tables.accounts else None


def _settle(world: World, number: int) -> None:
    rng = world.rng
    world.tables.accounts[str(number)] = Account(
        id=str(number),
        profile_id=f"profile-{number}",
        provider_account_id=f"provider-{number}",
        access_token=None,
        status="ok",
        daily_limit=rng.choice((None, None, None, world.size.daily_limit)),
    )
    world.tables.pods[f"pod-{number}"] = Pod(
        id=f"pod-{number}",
        voice_cartridge_id=rng.choice(("voice", None)),
        linkedin_account_id=str(number),
    )


def _schedule(world: World, key: str, burst: datetime) -> None:
    rng, tables, promise = world.rng, world.tables, world.promise
    if rng.random() < _BUT_FEW:
        tables.activities[key] = Malformed(id=key, status="scheduled", problems=("its type is unknown",))
        return
    number = rng.randint(1, world.size.accounts)
    is_like = rng.random() < 0.35
    alone = world.db_now() + timedelta(microseconds=rng.randrange(world.size.horizon // timedelta(microseconds=1)))
    activity = Activity(
        id=key,
        pod_id=f"pod-{number}",
        engagement_type=EngagementType.LIKE if is_like else EngagementType.COMMENT,
        post_id=f"post-{number}-{rng.randint(1, _POSTS)}",
        profile_id="nobody" if rng.random() < _BUT_FEW else rng.choice((f"profile-{number}", None)),
        comment_text=None if is_like else rng.choice(_TEXTS),
        scheduled_for=burst if rng.random() < 0.3 else alone,
        status="scheduled",
    )
    tables.activities[key] = activity
    account = account_of(world, activity)
    if account is not None:
        thing = (activity.engagement_type.value, account, activity.post_id, activity.comment_text or "")
        promise.things[key] = thing
        promise.siblings[thing].add(key)
