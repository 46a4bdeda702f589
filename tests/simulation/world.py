"""A world from a seed: accounts, posts, activities, workers, people, faults; and what became of it all.

The one rule: whatever is drawn comes from the one generator of this world, in the order in which things happen.
"""

from __future__ import annotations

import hashlib
import random
from collections.abc import Collection, Iterator
from dataclasses import dataclass, field
from datetime import datetime, timedelta, timezone
from functools import partial
from typing import Any

from engagement_core.decisions.claim import ClaimPolicy
from engagement_core.decisions.judge_read_back import ReconcilePolicy
from engagement_core.model.activity import Activity, Malformed, PublicStatus
from engagement_core.model.attempt import Attempt
from engagement_core.model.lifecycle import Phase
from engagement_core.model.orphan import FOREIGN_FOR
from engagement_core.model.provider import Engagement
from simulation.known_limits import KNOWN_LIMITS
from simulation.people import block, lift, meddle, reinsert, rename, review, set_trigger, upgrade, write_by_hand
from simulation.population import populate
from simulation.promise import Promise, PromiseBroken, Sent
from simulation.provider import Provider
from simulation.schedule import Scheduler, Task, micros
from simulation.store import Tables
from simulation.temper import CALM, Script, Temper, draw_temper
from simulation.worker import LOOK_AHEAD, Worker

__all__ = ["DAY", "SMALL", "Size", "World", "broken", "create", "run"]

_ORIGIN = datetime(2030, 1, 1, tzinfo=timezone.utc)
_SCHEDULED = PublicStatus.SCHEDULED.value
_PAUSE = 2_000_000
_LONGEST_PAUSE = 600_000_000
_LONGEST_CALM = timedelta(hours=26)


@dataclass(frozen=True, kw_only=True)
class Size:
    """The size of a world. All activities fall due within `horizon`; after `kills` crashes nothing more is killed."""

    accounts: int
    activities: int
    workers: int
    horizon: timedelta
    kills: int
    daily_limit: int


SMALL = Size(accounts=2, activities=6, workers=2, horizon=timedelta(minutes=8), kills=6, daily_limit=2)
DAY = Size(accounts=20, activities=200, workers=3, horizon=timedelta(days=1), kills=100, daily_limit=12)


@dataclass(eq=False)
class World:
    """One world. `run` lets its time pass."""

    seed: int
    size: Size
    temper: Temper
    rng: random.Random
    reads_back: bool | None = None
    trace: list[tuple[Any, ...]] = field(default_factory=list)
    workers: list[Worker] = field(default_factory=list)
    outage_until: int = 0
    absent: set[str] = field(default_factory=set)
    _ends_at: int = 0
    _killed: int = 0
    _born: int = 0
    _held: dict[Task | None, Attempt] = field(default_factory=dict)

    def __post_init__(self) -> None:
        rng = self.rng
        self.scheduler = Scheduler(rng)
        self.visibility_lag = timedelta(seconds=rng.choice((0, 30, 90)))
        self.claim_policy = ClaimPolicy(max_lateness=rng.choice((None, None, None, timedelta(minutes=2))))
        self.reconcile_policy = ReconcilePolicy(visibility_lag=self.visibility_lag, give_up_after=timedelta(hours=1))
        self.provider = Provider(
            world=self,
            reads_back=self.reads_back if self.reads_back is not None else rng.random() < 0.7,
            skew=timedelta(seconds=rng.choice((0, 0, -3.5, 3.5))) - self._far_behind(),
            truncates=rng.random() < 0.5,
            hides_dates=rng.random() < 0.2,
        )
        self.tables = Tables(now=self.db_now)
        self.promise = Promise(
            store=self.tables,
            reads_back=self.provider.reads_back,
            visibility_lag=self.visibility_lag,
            max_attempts=self.reconcile_policy.retry.max_attempts,
        )
        populate(self)

    def _far_behind(self) -> timedelta:
        """The clock of one provider in six is minutes behind. (Drawn apart: the world of a seed stays the same.)"""
        apart = random.Random(self.seed)  # noqa: S311 - repeatable on purpose
        return timedelta(seconds=apart.choice((0, 0, 0, 0, 0, 200)))

    def run(self) -> None:
        """Let the time pass: the horizon with its faults, then a calm until everything has ended.

        Raises:
            PromiseBroken: an invariant does not hold.
        """
        for _ in range(self.size.workers):
            self.give_birth()
        self._plan()
        self.scheduler.at(micros(self.size.horizon), self._calm_down)
        self.scheduler.run()
        self.promise.check_end()

    def db_now(self) -> datetime:
        """The database's clock."""
        return _ORIGIN + timedelta(microseconds=self.scheduler.now)

    def micros_until(self, when: datetime) -> int:
        """The time from the database's now, in microseconds."""
        return micros(when - self.db_now())

    def note(self, who: str, *what: object) -> None:
        """Add a line to the trace."""
        self.trace.append((self.scheduler.now, who, *what))

    def latency(self, scale: int) -> int:
        """How long a step takes, usually up to `scale` microseconds; sometimes very long."""
        if self.rng.random() < self.temper.slow:
            return self.rng.randrange(self.rng.choice((2_000_000, 20_000_000, 60_000_000)))
        return self.rng.randrange(scale)

    def choose_script(self) -> Script:
        """What the provider does with the next call."""
        weights = self.temper.provider
        return self.rng.choices(list(weights), list(weights.values()))[0]

    def holds(self, attempt: Attempt) -> None:
        """The current task was given this attempt. The provider does not learn it, but the promise must know it."""
        self._held[self.scheduler.current] = attempt

    def sent_by_current(self, engagement: Engagement) -> Sent:
        """The request of the current task."""
        attempt = self._held[self.scheduler.current]
        return Sent(
            activity_id=attempt.activity_id,
            token=attempt.token,
            engagement=engagement,
            at=self.db_now(),
            deadline_at=attempt.deadline_at,
            epoch=self.promise.epochs[attempt.activity_id],
        )

    def give_birth(self) -> None:
        """Start a new worker process, with a name that no other one had."""
        self._born += 1
        worker = Worker(name=f"w{self._born}", world=self, concurrency=self.rng.choice((1, 2, 4)))
        self.workers.append(worker)
        worker.start()

    def may_kill(self) -> bool:
        """Whether another process may still be killed."""
        return self._killed < self.size.kills

    def replace(self, dead: Worker) -> None:
        """A worker has died: it may have signed off. Another one starts, or none before the calm."""
        self._killed += 1
        self.workers.remove(dead)
        if self.rng.random() < 0.1:
            self.tables.beats.pop(dead.name, None)
        if not self.workers or self.rng.random() < 0.8:
            self.scheduler.at(self.scheduler.now + self.rng.randrange(20_000_000), self.give_birth)

    def hear_beats(self) -> None:
        """Bring the registry up to date. Between two calls, it is not known when a beat came."""
        for worker in self.workers:
            worker.beat()

    def idle_pause(self) -> int:
        """How long a loop pauses: its usual time, or, where nothing can happen, until something can."""
        usual = round(_PAUSE * self.rng.uniform(0.3, 1.2))
        if any(worker.busy for worker in self.workers):
            return usual
        ahead = self._nothing_before() - self.scheduler.now
        return max(usual, min(ahead - micros(LOOK_AHEAD), _LONGEST_PAUSE) + usual)

    def is_settled(self) -> bool:
        """Nothing is left to do without a person."""
        waits = any(self._waits(key) for key in self.tables.activities)
        return not (waits or self.absent) and next(self._open_attempts(), None) is None

    def _waits(self, key: str) -> bool:
        """It is scheduled. We do not settle what a newer release has ended."""
        attempts = self.tables.attempts.get(key, {}).values()
        is_scheduled = self.tables.activities[key].status == _SCHEDULED
        return is_scheduled and not any(each.is_foreign and not each.is_open for each in attempts)

    def _plan(self) -> None:
        """Plan everything besides the work, at random times of the horizon."""
        plan = (
            (self.temper.meddles, meddle),
            (self.temper.manual, write_by_hand),
            (self.temper.persons, review),
            (self.temper.blocks, block),
            (self.temper.rings, World._ring),
            (self.temper.outages, World._go_out),
            (self.temper.reinserts, reinsert),
            (self.temper.renames, rename),
            (self.temper.upgrades, upgrade),
            (self.temper.triggers, set_trigger),
        )
        for times, what in plan:
            for _ in range(times):
                self.scheduler.at(self.rng.randrange(micros(self.size.horizon)), partial(what, self))

    def _ring(self) -> None:
        """A job rings somewhere, for no reason that the database knows."""
        if self.workers:
            self.rng.choice(self.workers).ring(self.rng.choice(sorted(self.tables.activities)))

    def _go_out(self) -> None:
        """The database becomes unavailable, for all workers or for one."""
        until = self.scheduler.now + self.rng.randrange(60_000_000)
        if self.workers and self.rng.random() < 0.5:
            worker = self.rng.choice(self.workers)
            worker.cut_off_until = until
            self.note(worker.name, "is cut off from the database")
        else:
            self.outage_until = until
            self.note("database", "goes away")

    def _calm_down(self) -> None:
        """All faults end, and a new worker starts. The remaining workers may continue."""
        self.note("world", "CALM")
        self.temper = CALM
        self.outage_until = 0
        self.tables.trigger = None
        stays = self.rng.random() < 0.5
        for worker in list(self.workers):
            worker.stopped_until = worker.deaf_until = worker.cut_off_until = 0
            if not stays:
                self.scheduler.kill(worker)
                self.workers.remove(worker)
        self.give_birth()
        for key, activity in self.tables.activities.items():
            if isinstance(activity, Malformed):
                self.workers[-1].ring(key)  # it has no time by which a sweep could find it
        self._ends_at = self.scheduler.now + micros(_LONGEST_CALM)
        self._await_end()

    def _await_end(self) -> None:
        lift(self)
        if self.is_settled() or self.scheduler.now > self._ends_at:
            self.scheduler.end()
        else:
            self.scheduler.at(self.scheduler.now + 60_000_000, self._await_end)

    def _open_attempts(self) -> Iterator[Attempt]:
        return (each for of in self.tables.attempts.values() for each in of.values() if each.is_open)

    def _nothing_before(self) -> int:
        """The next time at which something must be done, as far as the tables show."""
        if self.tables.due(look_ahead=timedelta(0), limit=1):
            return self.scheduler.now
        now = self.db_now()
        times = [_next_at(each, now) for each in self._open_attempts()]
        times += [
            each.due_at
            for each in self.tables.activities.values()
            if each.status == _SCHEDULED and isinstance(each, Activity) and each.due_at > now
        ]
        soonest = min((at for at in times if at is not None), default=None)
        return self.scheduler.now + (_LONGEST_PAUSE if soonest is None else self.micros_until(soonest))

    def as_text(self, *only: str) -> str:
        """The trace for people; with `only`, the lines about these alone."""
        lines = (f"{at / 1e6:12.6f}  {who:10} " + " ".join(str(each) for each in what) for at, who, *what in self.trace)
        return "\n".join(line for line in lines if not only or any(word in line for word in only))

    def digest(self) -> str:
        """The whole trace as one number."""
        return hashlib.sha256(self.as_text().encode()).hexdigest()


def _next_at(attempt: Attempt, now: datetime) -> datetime | None:
    """When an open attempt needs something next."""
    if attempt.is_foreign:
        return attempt.deadline_at + FOREIGN_FOR
    return attempt.look_at if attempt.phase is Phase.UNKNOWN else now


def run(seed: int, size: Size = SMALL, temper: Temper | None = None, reads_back: bool | None = None) -> World:
    """Run the world of a seed; what is given is not drawn.

    Raises:
        PromiseBroken: an invariant does not hold.
    """
    world = create(seed, size, temper, reads_back)
    world.run()
    return world


def broken(
    seed: int,
    size: Size = SMALL,
    temper: Temper | None = None,
    reads_back: bool | None = None,
    limits: Collection[str] = KNOWN_LIMITS,
) -> PromiseBroken | None:
    """How the world of a seed breaks the promise; rules with known limits do not count."""
    try:
        run(seed, size, temper, reads_back)
    except PromiseBroken as error:
        return None if error.rule in limits else error
    return None


def create(seed: int, size: Size = SMALL, temper: Temper | None = None, reads_back: bool | None = None) -> World:
    """Create the world of a seed, before its time passes."""
    rng = random.Random(seed)  # noqa: S311 - repeatable on purpose
    return World(seed=seed, size=size, temper=temper or draw_temper(rng), rng=rng, reads_back=reads_back)
