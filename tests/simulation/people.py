"""Everybody else: people who write by hand and look after what failed, and services that change rows as they like.

The one rule: a person tells the truth about what the post shows; whatever else they do may be careless.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from functools import partial
from typing import TYPE_CHECKING, Any

from engagement_core.decisions.dead_letters import Requeued, decide_requeue, decide_resolve
from engagement_core.model.activity import Activity, EngagementType
from engagement_core.model.controls import BlockScope, Control, ControlKind
from engagement_core.model.decision import Decision
from engagement_core.model.errors import Effect
from engagement_core.model.lifecycle import Event
from engagement_core.model.provider import Engagement
from engagement_core.model.snapshot import Snapshot
from engagement_core.ports.activities import StoreRefused
from simulation.store import commit

if TYPE_CHECKING:
    from simulation.world import World

__all__ = ["block", "lift", "meddle", "reinsert", "rename", "review", "set_trigger", "upgrade", "write_by_hand"]


def write_by_hand(world: World) -> None:
    """The account's owner likes or comments by hand, sometimes with the same text that we are about to use."""
    account = world.tables.accounts[str(world.rng.randint(1, world.size.accounts))]
    planned = [thing for thing in sorted(world.promise.siblings) if thing[1] == account.id]
    if not planned:
        return
    kind, _, post_id, text = world.rng.choice(planned)
    is_like = kind == EngagementType.LIKE.value
    if not is_like and world.rng.random() < 0.7:
        text = "By hand."
    engagement = Engagement(
        engagement_type=EngagementType(kind), post_id=post_id, account=account, text=None if is_like else text
    )
    world.note("owner", "writes by hand", kind, post_id, text)
    world.provider.put(engagement, visible_by=world.db_now() + world.visibility_lag)
    world.promise.manual[(kind, account.id, post_id, text)] += 1


def review(world: World) -> None:
    """Look at every dead letter, resolve and requeue it; and take care of the accounts."""
    for key, letter in sorted(world.tables.dead_letters.items()):
        if letter.effect is Effect.UNKNOWN and len(world.promise.siblings[world.promise.things[key]]) == 1:
            saw_it = any(one.activity_id == key for one in world.promise.done)
            resolve = partial(decide_resolve, executed=saw_it, visibility_lag=world.visibility_lag)
            world.note("person", "resolves", key, "executed" if saw_it else "not executed", _act(world, key, resolve))
        if world.rng.random() < 0.7:
            result = _act(world, key, decide_requeue)
            world.note("person", "requeues", key, result)
            if isinstance(result, Requeued):
                world.promise.epochs[key] += 1
    if world.rng.random() < 0.5:
        lift(world)


def _act(world: World, key: str, decide: Callable[[Snapshot], Decision[Any]]) -> Any:
    """Apply a person's decision; the table may refuse it."""
    try:
        return commit(world, key, decide)
    except StoreRefused as error:
        return error


def lift(world: World) -> None:
    """Every account may act again."""
    world.note("person", "lifts what holds the accounts")
    world.tables.controls[:] = [each for each in world.tables.controls if each.kind is ControlKind.COOL_DOWN]
    for key, account in world.tables.accounts.items():
        world.tables.accounts[key] = replace(account, status="ok", daily_limit=None)


def block(world: World) -> None:
    """A person pauses something, or an account is blocked."""
    number = str(world.rng.randint(1, world.size.accounts))
    world.note("person", "blocks account", number)
    if world.rng.random() < 0.5:
        world.tables.accounts[number] = replace(world.tables.accounts[number], status="restricted")
        return
    scope, scope_id = world.rng.choice(
        ((BlockScope.ALL, ""), (BlockScope.POD, f"pod-{number}"), (BlockScope.ACCOUNT, number))
    )
    until = world.rng.choice((None, world.db_now() + timedelta(minutes=2)))
    world.tables.controls.append(
        Control(kind=ControlKind.PAUSE, scope=scope, scope_id=scope_id, until=until, reason="somebody said so")
    )


def meddle(world: World) -> None:
    """Another service updates a row without asking."""
    key = world.rng.choice(sorted(world.promise.things))
    activity = world.tables.activities.get(key)
    if not isinstance(activity, Activity):
        return  # it was deleted
    later = timedelta(seconds=world.rng.choice((1, 60, 300)))
    what = world.rng.choice(("cancels", "revives", "moves", "edits", "readdresses", "reassigns", "deletes"))
    changes: dict[str, dict[str, Any]] = {
        "cancels": {"status": "cancelled"},
        "revives": {"status": "scheduled"},
        "moves": {"scheduled_for": activity.scheduled_for + later},
        "readdresses": {"post_id": f"{activity.post_id}-other"},
        "reassigns": {"profile_id": f"profile-{world.rng.randint(1, world.size.accounts)}"},
        "edits": {"comment_text": activity.comment_text and activity.comment_text + " Edited."},
    }
    world.note("another service", what, key)
    world.promise.tampered.add(key)
    if what in ("readdresses", "reassigns"):
        world.promise.readdressed.add(key)
    if what == "deletes":
        del world.tables.activities[key]
    else:
        world.tables.activities[key] = replace(activity, **changes[what])


def reinsert(world: World) -> None:
    """E-04 deletes a row, and inserts it again as it was, at once or a little later."""
    activity = world.tables.activities.get(world.rng.choice(sorted(world.promise.things)))
    if not isinstance(activity, Activity):
        return
    world.note("another service", "deletes, to insert again", activity.id)
    del world.tables.activities[activity.id]
    world.absent.add(activity.id)
    again = replace(activity, status="scheduled", failure_count=0, next_retry_at=None)
    later = world.rng.choice((0, 100_000, 60_000_000, 300_000_000))
    world.scheduler.at(world.scheduler.now + later, partial(_insert, world, again))


def _insert(world: World, activity: Activity) -> None:
    world.note("another service", "inserts", activity.id)
    world.absent.discard(activity.id)
    world.promise.epochs[activity.id] += 1  # whoever inserts it wants it, whatever became of it before
    world.tables.activities[activity.id] = activity


def rename(world: World) -> None:
    """A service changes an id: the old activity is gone, and the new one is another activity."""
    key = world.rng.choice(sorted(world.promise.things))
    activity = world.tables.activities.get(key)
    if not isinstance(activity, Activity):
        return
    new = replace(activity, id=f"{key}-renamed")
    world.note("another service", "renames", key, new.id)
    del world.tables.activities[key]
    world.tables.activities[new.id] = new
    world.promise.tampered |= {key, new.id}
    thing = world.promise.things[key]
    world.promise.things[new.id] = thing
    world.promise.siblings[thing].add(new.id)


def upgrade(world: World) -> None:
    """A worker of a newer release leaves an open attempt with a word that this release does not know."""
    attempts = [each for of in world.tables.attempts.values() for each in of.values() if each.is_open]
    if not attempts:
        return
    mine = world.rng.choice(sorted(attempts, key=lambda each: (each.activity_id, each.number)))
    world.note("a newer release", "takes", mine.activity_id, mine.number)
    left = replace(mine, event=Event("handed_over"), look_at=mine.deadline_at)
    world.tables.attempts[mine.activity_id][mine.number] = left
    world.promise.tampered.add(mine.activity_id)


def set_trigger(world: World) -> None:
    """A trigger of somebody else refuses writes to some rows, or to all, for a while."""
    keys = sorted(world.tables.activities)
    chosen = frozenset(world.rng.sample(keys, world.rng.choice((1, 2, len(keys)))))
    words = world.rng.choice((("executed",), ("executed", "failed"), ("scheduled", "executed", "failed")))
    until = world.scheduler.now + world.rng.choice((20_000_000, 300_000_000))
    world.note("another service", "forbids", words, sorted(chosen))
    world.tables.trigger = (chosen, frozenset(words))
    world.scheduler.at(until, partial(setattr, world.tables, "trigger", None))
