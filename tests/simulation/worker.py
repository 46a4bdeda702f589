"""A simulated worker process: the real executor, reconciler and orphan adoption, and loops that call them.

The one rule: the loops decide nothing. They stand for `runners`, which wait on the real clock.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import timedelta
from functools import partial
from typing import TYPE_CHECKING

from engagement_core.model.activity import Activity, Pod, VoiceCartridge
from engagement_core.model.outcome import Deferred
from engagement_core.model.signal import Signal
from engagement_core.ports.activities import StoreUnavailable
from engagement_core.ports.clock import Clock, Deadline
from engagement_core.ports.telemetry import Telemetry
from engagement_core.ports.voice import Voice, VoiceFailed
from engagement_core.use_cases.adopt_orphans import OrphanPolicy, adopt_orphans
from engagement_core.use_cases.execute import Executor
from engagement_core.use_cases.pending_decisions import PendingDecisions
from engagement_core.use_cases.reconcile import Reconciler
from simulation.promise import PromiseBroken
from simulation.provider import WorkersLinkedIn
from simulation.schedule import Killed, Process, micros
from simulation.store import REFUSALS, WorkersStore

if TYPE_CHECKING:
    from simulation.world import World

__all__ = ["LOOK_AHEAD", "Worker"]

LOOK_AHEAD = timedelta(seconds=8)
_BEAT = 2_000_000
_DEAF_FOR = (3_000_000, 60_000_000)
_STOPPED_FOR = (1_000_000, 300_000_000)


@dataclass(eq=False)
class _WorkersClock(Clock):
    """Seconds since an origin of this machine's own."""

    world: World
    origin: float

    def elapsed(self) -> float:
        """See the port."""
        return self.origin + self.world.scheduler.now / 1_000_000


@dataclass(eq=False)
class _WorkersVoice(Voice):
    """Never gives the same text twice, so that a text that is not frozen is noticed."""

    worker: Worker

    def speak(self, activity: Activity, pod: Pod, cartridge: VoiceCartridge, deadline: Deadline) -> str:
        """See the port."""
        world = self.worker.world
        self.worker.step("speak", 1_000_000)
        if world.rng.random() < world.temper.voice_fails:
            raise VoiceFailed("no words came")
        return f"{activity.comment_text} Take {world.rng.randrange(10_000)}."


class _Defects(Telemetry):
    """Everything is observed at the ports, except defects: the code under test survives and reports those."""

    def emit(self, signal: Signal, **fields: object) -> None:
        """See the port."""
        if signal is Signal.EXECUTION_FAILED or (signal is Signal.STORE_REFUSED and fields["code"] not in REFUSALS):
            raise PromiseBroken("defect", f"{signal.value}: {fields}")


@dataclass(eq=False)
class Worker(Process):
    """One process. It lives until it is killed. A new process has another name, as in reality."""

    world: World = field(kw_only=True)
    concurrency: int = field(kw_only=True)
    is_alive: bool = True
    deaf_until: int = 0
    cut_off_until: int = 0
    waiting: deque[str] = field(default_factory=deque)
    ringing: set[str] = field(default_factory=set)
    busy: int = 0

    def __post_init__(self) -> None:
        world, store, defects = self.world, WorkersStore(self), _Defects()
        clock = _WorkersClock(world, origin=world.rng.uniform(0, 1_000_000))
        linkedin = WorkersLinkedIn(self)
        self.store, self.telemetry = store, defects
        self.pending = PendingDecisions(clock)
        self.executor = Executor(
            worker_id=self.name,
            store=store,
            linkedin=linkedin,
            voice=_WorkersVoice(self),
            telemetry=defects,
            clock=clock,
            pending=self.pending,
            claim_policy=world.claim_policy,
            retry_policy=world.reconcile_policy.retry,
            reconcile_policy=world.reconcile_policy,
        )
        self.reconciler = Reconciler(
            store=store, linkedin=linkedin, telemetry=defects, clock=clock, policy=world.reconcile_policy
        )

    def start(self) -> None:
        """Register and begin to work."""
        self.world.note(self.name, "starts")
        self.world.tables.beats[self.name] = self.world.db_now()
        for loop in (self._sweep, self._rescue, self._settle):
            self.world.scheduler.spawn(f"{self.name}/{loop.__name__}", self, partial(self._go_on, loop))

    def step(self, what: str, scale: int, *, at_least: int = 0) -> None:
        """One step at a port. It takes time, and the process may be stopped or killed in it. `scale`: microseconds."""
        world, temper = self.world, self.world.temper
        fate = world.rng.random()
        if fate < temper.crash and world.may_kill():
            self.kill(what)
            raise Killed
        if fate < temper.crash + temper.stop:
            self.stop(what)
        world.scheduler.sleep(at_least + (world.latency(scale) if scale else 0))

    def kill(self, what: str) -> None:
        """SIGKILL, now."""
        self.world.note(self.name, "DIES in", what)
        self.is_alive = False
        self.world.scheduler.kill(self)
        self.world.replace(self)

    def stop(self, what: str) -> None:
        """SIGSTOP, now, and SIGCONT later."""
        duration = self.world.rng.randint(*_STOPPED_FOR)
        self.world.note(self.name, "STOPS in", what, f"{duration / 1e6:.3f} s")
        self.beat()
        self.stopped_until = max(self.stopped_until, self.world.scheduler.now + duration)

    def beat(self) -> None:
        """Its latest heartbeat that was received: at most one beat ago."""
        world, now = self.world, self.world.scheduler.now
        if not self.is_alive or self.is_cut_off() or now < max(self.stopped_until, self.deaf_until):
            return
        if world.rng.random() < world.temper.deaf:
            self.deaf_until = now + world.rng.randint(*_DEAF_FOR)
            world.note(self.name, "its heart is not heard any more")
        last = world.db_now() - timedelta(microseconds=world.rng.randint(0, _BEAT))
        world.tables.beats[self.name] = max(last, world.tables.beats[self.name])

    def is_cut_off(self) -> bool:
        """Whether this worker cannot reach the database."""
        return self.world.scheduler.now < max(self.cut_off_until, self.world.outage_until)

    def ring(self, activity_id: str) -> None:
        """Wake up this activity now."""
        self.ringing.discard(activity_id)
        if not self.is_alive:
            return
        if self.busy < self.concurrency:
            self.busy += 1
            self.world.scheduler.spawn(f"{self.name}/{activity_id}", self, partial(self._execute, activity_id))
        elif activity_id not in self.waiting:
            self.waiting.append(activity_id)

    def ring_at(self, activity_id: str, when: int) -> None:
        """Wake up this activity later; only one wake-up at a time for each activity."""
        if activity_id not in self.ringing:
            self.ringing.add(activity_id)
            self.world.scheduler.at(when, partial(self.ring, activity_id))

    def _execute(self, activity_id: str) -> None:
        try:
            outcome = self.executor.execute(activity_id)
        finally:
            self.busy -= 1
        self.world.note(self.name, "outcome", activity_id, outcome)
        if isinstance(outcome, Deferred) and outcome.again_in is not None and outcome.again_in <= LOOK_AHEAD:
            self.ring_at(activity_id, self.world.scheduler.now + micros(outcome.again_in))
        if self.waiting:
            self.ring(self.waiting.popleft())

    def _go_on(self, loop: Callable[[], object]) -> None:
        while True:
            with suppress(StoreUnavailable):
                loop()
            self.world.scheduler.sleep(self.world.idle_pause())

    def _sweep(self) -> None:
        for due in self.store.due(look_ahead=LOOK_AHEAD, limit=50):
            early = self.world.rng.choice((0, 0, 0, 1_000_000))
            self.ring_at(due.activity_id, self.world.scheduler.now + micros(due.due_in) - early)

    def _rescue(self) -> None:
        self.pending.flush(self.store)
        adopt_orphans(self.store, self.telemetry, OrphanPolicy())

    def _settle(self) -> None:
        self.reconciler.settle_all()
