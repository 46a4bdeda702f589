"""One virtual clock and one baton: of all tasks only the one that holds the baton runs, and a seed says who gets it.

The one rule: a task gives the baton away in `sleep` and nowhere else. So the order in which the tasks' steps happen is
the order of their virtual times, ties are drawn from the seed, and the same seed gives the same order every time.

The code under test blocks and calls its ports as it likes, so each task runs in a thread; but no two ever run at once.
"""

from __future__ import annotations

import heapq
import random
import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import timedelta

__all__ = ["Killed", "Process", "Scheduler", "Task", "micros"]


class Killed(BaseException):
    """Unwinds a task whose process has died; nothing in the code under test may catch it."""


def micros(duration: timedelta) -> int:
    """Virtual time is counted in whole microseconds, as a `datetime` is: nothing is ever rounded."""
    return duration // timedelta(microseconds=1)


@dataclass(eq=False)
class Process:
    """Whose task it is. A process that is stopped (SIGSTOP) goes on at `stopped_until`."""

    name: str
    stopped_until: int = 0


@dataclass(eq=False)
class Task:
    """Something that runs until it returns or its process dies."""

    name: str
    process: Process
    run: Callable[[], object]
    doomed: bool = False
    turn: int = -1
    carrier: _Carrier | None = None


class _Carrier:
    """A thread that carries one task after the other, of one world after the other."""

    idle: list[_Carrier] = []  # noqa: RUF012 - shared on purpose: a new thread for each task would cost more than it

    def __init__(self) -> None:
        self.baton = threading.Lock()
        self.baton.acquire()
        self.load: tuple[Scheduler, Task] | None = None
        threading.Thread(target=self._carry, name="simulated", daemon=True).start()

    def _carry(self) -> None:
        while True:
            self.baton.acquire()
            assert self.load is not None
            scheduler, task = self.load
            error: BaseException | None = None
            try:
                if not task.doomed:
                    task.run()
            except Killed:
                pass
            except BaseException as raised:  # noqa: BLE001 - it is raised again where the simulation was started
                error = raised
            self.load = None
            scheduler.ended(task, error, self)


@dataclass(eq=False)
class Scheduler:
    """Runs tasks and events in the order of their virtual time. `now` is in microseconds since the beginning."""

    rng: random.Random
    now: int = 0
    _queue: list[tuple[int, float, int, Task | Callable[[], object]]] = field(default_factory=list)
    _turns: int = 0
    _live: dict[Task, None] = field(default_factory=dict)
    _current: Task | None = None
    _failure: BaseException | None = None
    _over: bool = False

    def __post_init__(self) -> None:
        self._main = threading.Lock()
        self._main.acquire()

    @property
    def current(self) -> Task | None:
        """The task that has the baton; None while an event happens."""
        return self._current

    def at(self, when: int, event: Callable[[], object]) -> None:
        """Let something happen at a time (now, if that has passed). It must not sleep."""
        self._push(max(when, self.now), event)

    def spawn(self, name: str, process: Process, run: Callable[[], object]) -> Task:
        """Start a task of a process."""
        task = Task(name=name, process=process, run=run)
        self._live[task] = None
        task.turn = self._push(self.now, task)
        return task

    def sleep(self, duration: int) -> None:
        """Let the current task go on `duration` microseconds later, and everybody else in between.

        Raises:
            Killed: its process died meanwhile.
        """
        task = self._current
        assert task is not None
        assert task.carrier is not None
        task.turn = self._push(self.now + max(duration, 0), task)
        following = self._next()
        if following is not task:
            self._hand_to(following)
            task.carrier.baton.acquire()
        self._current = task
        if task.doomed:
            raise Killed

    def kill(self, process: Process) -> None:
        """No task of this process does another step. The current one, if it is one, must raise `Killed` itself."""
        for task in [task for task in self._live if task.process is process]:
            task.doomed = True
            if task is not self._current:
                task.turn = self._push(self.now, task)

    def end(self) -> None:
        """Nothing happens any more: `run` returns."""
        self._over = True

    def run(self) -> None:
        """Run until nothing is left to do, or `end` was called.

        Raises:
            whatever a task or an event raised.
        """
        self._give(self._next())
        self._over = True
        for task in list(self._live):
            if task.carrier is not None:
                task.doomed = True
                self._give(task)
        if self._failure is not None:
            raise self._failure

    def ended(self, task: Task, error: BaseException | None, carrier: _Carrier) -> None:
        """A carrier reports that its task is over, and passes the baton on."""
        self._live.pop(task, None)
        self._failure = self._failure or error
        following = self._next()
        _Carrier.idle.append(carrier)
        self._hand_to(following)

    def _push(self, when: int, what: Task | Callable[[], object]) -> int:
        self._turns += 1
        heapq.heappush(self._queue, (when, self.rng.random(), self._turns, what))
        return self._turns

    def _next(self) -> Task | None:
        self._current = None
        while self._queue and not self._over and self._failure is None:
            when, _, turn, what = heapq.heappop(self._queue)
            if not isinstance(what, Task):
                self.now = when
                self._happen(what)
            elif self._has_its_turn(what, turn, when):
                self.now = when
                return what
        return None

    def _happen(self, event: Callable[[], object]) -> None:
        try:
            event()
        except BaseException as raised:  # noqa: BLE001 - it is raised again where the simulation was started
            self._failure = raised

    def _has_its_turn(self, task: Task, turn: int, when: int) -> bool:
        if task.turn != turn:
            return False  # it was killed, and has been woken for that since
        if not task.doomed and task.process.stopped_until > when:
            task.turn = self._push(task.process.stopped_until, task)
            return False
        return True

    def _give(self, task: Task | None) -> None:
        self._hand_to(task)
        self._main.acquire()

    def _hand_to(self, task: Task | None) -> None:
        if task is None:
            self._main.release()
            return
        self._current = task
        if task.carrier is None:
            task.carrier = _Carrier.idle.pop() if _Carrier.idle else _Carrier()
            task.carrier.load = (self, task)
        task.carrier.baton.release()
