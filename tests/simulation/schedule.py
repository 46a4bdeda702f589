"""One virtual clock: of all tasks only one runs, and a seed says which goes on next.

The one rule: a task lets the others go on in `sleep` and nowhere else. So the order in which the tasks' steps happen is
the order of their virtual times, ties are drawn from the seed, and the same seed gives the same order every time.

The code under test blocks and calls its ports as it likes, so each task has a stack of its own: a greenlet, which hands
the turn on without a thread's help.
"""

from __future__ import annotations

import heapq
import random
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import timedelta

from greenlet import greenlet

__all__ = ["Killed", "Process", "Scheduler", "Task", "micros"]


class Killed(BaseException):
    """Unwinds a task whose process has died; nothing in the code under test may catch it."""


def micros(duration: timedelta) -> int:
    """Virtual time in whole microseconds, like a `datetime`: nothing is ever rounded."""
    return duration // timedelta(microseconds=1)


@dataclass(eq=False)
class Process:
    """The process of a task. If it is stopped (SIGSTOP), it continues at `stopped_until`."""

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

    def __post_init__(self) -> None:
        self.stack = greenlet(self._live)

    def _live(self) -> None:
        try:
            if not self.doomed:
                self.run()
        except Killed:
            pass


@dataclass(eq=False)
class Scheduler:
    """Runs tasks and events in the order of their virtual time. `now` is in microseconds since the beginning."""

    rng: random.Random
    now: int = 0
    _queue: list[tuple[int, float, int, Task | Callable[[], object]]] = field(default_factory=list)
    _turns: int = 0
    _live: dict[Task, None] = field(default_factory=dict)
    _current: Task | None = None
    _over: bool = False

    @property
    def current(self) -> Task | None:
        """The running task; None while an event happens."""
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
        assert task.stack.parent is not None
        task.turn = self._push(self.now + max(duration, 0), task)
        task.stack.parent.switch()
        if task.doomed:
            raise Killed

    def kill(self, process: Process) -> None:
        """No task of this process makes another step. If it is the current one, it must raise `Killed` itself."""
        for task in [task for task in self._live if task.process is process]:
            task.doomed = True
            if task is not self._current:
                task.turn = self._push(self.now, task)

    def end(self) -> None:
        """Nothing more happens: `run` returns."""
        self._over = True

    def run(self) -> None:
        """Run until nothing is left to do, or `end` was called.

        Raises:
            whatever a task or an event raised.
        """
        try:
            while self._queue and not self._over:
                when, _, turn, what = heapq.heappop(self._queue)
                if not isinstance(what, Task):
                    self.now = when
                    what()
                elif self._has_its_turn(what, turn, when):
                    self.now = when
                    self._go_on(what)
        finally:
            for task in list(self._live):
                task.doomed = True
                self._go_on(task)

    def _go_on(self, task: Task) -> None:
        self._current = task
        try:
            task.stack.switch()
        finally:
            self._current = None
            if task.stack.dead:
                self._live.pop(task, None)

    def _push(self, when: int, what: Task | Callable[[], object]) -> int:
        self._turns += 1
        heapq.heappush(self._queue, (when, self.rng.random(), self._turns, what))
        return self._turns

    def _has_its_turn(self, task: Task, turn: int, when: int) -> bool:
        if task.turn != turn:
            return False  # it was killed, and has been woken for that since
        if not task.doomed and task.process.stopped_until > when:
            task.turn = self._push(task.process.stopped_until, task)
            return False
        return True
