"""The store as one worker reaches it: the in-memory one, behind a connection that may break at any moment.

The one rule: a change happens in one instant, as under the row's lock; before and after that instant anything may
happen to the worker, to its connection, and to everybody else.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta
from functools import partial
from typing import TYPE_CHECKING, Any, TypeVar

from engagement_core.decisions.claim import Claimed
from engagement_core.model.attempt import Attempt
from engagement_core.model.decision import Decision, MarkExecuted, MarkFailed, MarkScheduled, SaveAttempt, Write
from engagement_core.model.due import Due
from engagement_core.model.lifecycle import Event, IllegalEvent
from engagement_core.model.orphan import Orphan
from engagement_core.model.snapshot import Snapshot
from engagement_core.ports.activities import ActivityStore, StoreRefused, StoreUnavailable
from fakes.activities import InMemoryActivityStore
from simulation.promise import PromiseBroken

if TYPE_CHECKING:
    from simulation.worker import Worker
    from simulation.world import World

__all__ = ["REFUSALS", "Tables", "WorkersStore", "commit", "name_of"]

REFUSALS = frozenset({"trigger"})
"""The codes of what this store refuses because a world has it so."""

T = TypeVar("T")
_Decide = Callable[[Snapshot], Decision[T]]


@dataclass
class Tables(InMemoryActivityStore):
    """The in-memory store; it can also be read without a change.

    While `trigger` is set, it refuses writes of these statuses to rows of these ids. To the writer, a write that a
    trigger swallows looks the same.
    """

    trigger: tuple[frozenset[str], frozenset[str]] | None = None

    def change(self, activity_id: str, decide: _Decide[T], *, crediting: tuple[str, ...] | None = None) -> T:
        """See the port."""

        def obey_trigger(snapshot: Snapshot) -> Decision[T]:
            decision = decide(snapshot)
            if self.trigger is not None and any(_is_forbidden(write, *self.trigger) for write in decision.writes):
                raise StoreRefused("a trigger forbids it", code="trigger")
            return decision

        return super().change(activity_id, obey_trigger, crediting=crediting)

    def show(self, activity_id: str, crediting: tuple[str, ...] | None) -> Snapshot:
        """The snapshot that a change would get now."""
        return self._show(activity_id, crediting)


def _is_forbidden(write: Write, keys: frozenset[str], statuses: frozenset[str]) -> bool:
    status = _STATUSES.get(type(write))
    return status in statuses and getattr(write, "activity_id", None) in keys


def _begins(before: Snapshot, attempt: Attempt) -> bool:
    """Whether it begins now; false for an attempt that has begun and is only saved again."""
    has_begun = any(each.token == attempt.token and each.began_at is not None for each in before.attempts)
    return attempt.event is Event.BEGIN_SENDING and not has_begun


_STATUSES = {MarkScheduled: "scheduled", MarkExecuted: "executed", MarkFailed: "failed"}


def commit(world: World, activity_id: str, decide: _Decide[T], crediting: tuple[str, ...] | None = None) -> T:
    """Change an activity now, while the promise watches."""
    seen: list[tuple[Snapshot, Decision[Any]]] = []

    def watched(snapshot: Snapshot) -> Decision[T]:
        decision = decide(snapshot)
        seen.append((snapshot, decision))
        return decision

    truth = world.tables.activities.get(activity_id)
    try:
        result = world.tables.change(activity_id, watched, crediting=crediting)
    except StoreRefused as error:
        if error.code in REFUSALS:
            raise
        raise PromiseBroken("rivals", f"the unique index had to step in: {error}") from error
    except IllegalEvent as error:
        raise PromiseBroken("illegal event", f"{name_of(decide)} of {activity_id}: {error}") from error
    before, decision = seen[-1]
    for write in decision.writes:
        if isinstance(write, SaveAttempt) and _begins(before, write.attempt):
            world.promise.began(before, write.attempt, truth)
    world.promise.committed(decision.writes, by=name_of(decide))
    return result


@dataclass(eq=False)
class WorkersStore(ActivityStore):
    """Fills `engagement_core.ports.activities.ActivityStore` for one worker."""

    worker: Worker

    def change(self, activity_id: str, decide: _Decide[T], *, crediting: tuple[str, ...] | None = None) -> T:
        """See the port."""
        world, temper = self.worker.world, self.worker.world.temper
        what = name_of(decide)
        self._reach(what)
        if world.rng.random() < temper.again:
            decide(world.tables.show(activity_id, crediting))  # rolled back by the server, and decided again
            self._reach(what)
        result = commit(world, activity_id, decide, crediting)
        is_lost = world.rng.random() < temper.lost
        world.note(self.worker.name, what, activity_id, type(result).__name__, "answer lost" if is_lost else "")
        if isinstance(result, Claimed):
            world.holds(result.attempt)
        self.worker.step(what, 3_000)
        if is_lost or self.worker.is_cut_off():
            raise StoreUnavailable("the connection broke")
        return result

    def due(self, *, look_ahead: timedelta, limit: int) -> tuple[Due, ...]:
        """See the port."""
        self._reach("due")
        found = self.worker.world.tables.due(look_ahead=look_ahead, limit=limit)
        self.worker.step("due", 3_000)
        return found

    def orphans(self, *, silent_for: timedelta, margin: timedelta, limit: int) -> tuple[Orphan, ...]:
        """See the port."""
        self._reach("orphans")
        world = self.worker.world
        world.hear_beats()
        found = world.tables.orphans(silent_for=silent_for, margin=margin, limit=limit)
        self.worker.step("orphans", 3_000)
        return found

    def unknowns(self, *, limit: int) -> tuple[str, ...]:
        """See the port."""
        self._reach("unknowns")
        found = self.worker.world.tables.unknowns(limit=limit)
        self.worker.step("unknowns", 3_000)
        return found

    def _reach(self, what: str) -> None:
        """Reach the server, which may be unavailable."""
        self.worker.step(what, 3_000)
        world = self.worker.world
        if self.worker.is_cut_off() or world.rng.random() < world.temper.unavailable:
            world.note(self.worker.name, what, "store unavailable")
            raise StoreUnavailable("there is no connection")


def name_of(decide: Callable[..., Any]) -> str:
    """The name of the kind of decision."""
    inner = decide.func if isinstance(decide, partial) else decide
    return str(getattr(inner, "__name__", inner))
