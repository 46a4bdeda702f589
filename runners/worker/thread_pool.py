"""The threads that execute what the agenda hands out.

The one rule: there are as many that can work as were asked for. One whose call lasts is stood in for until it is back,
so that an account that does not answer costs the others nothing; there are as many again at most.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from datetime import timedelta
from itertools import count

from runners.worker.delay_queue import Agenda, Entry
from runners.worker.watchdog import Pulse

__all__ = ["Crew"]

_LOCKED = 1.0
_RELIEVED_EVERY = timedelta(milliseconds=500)


class Crew:
    """`start`, then `relieve` every now and then; the threads end when the agenda is closed."""

    def __init__(
        self,
        *,
        size: int,
        agenda: Agenda,
        pulse: Pulse,
        carry_out: Callable[[Entry], None],
        lasting_calls: Callable[[], int],
        stuck_after: timedelta,
    ) -> None:
        """
        Args:
            size: how many threads there are to be that do not wait for a call that lasts.
            agenda: what hands out the entries.
            pulse: is told what each thread is at.
            carry_out: executes one entry; must not raise.
            lasting_calls: how many calls have lasted so long that their threads are missing elsewhere.
            stuck_after: an execution that lasts longer is stuck; so is an entry that waits so long for an idle thread.
        """
        self._size = size
        self._agenda = agenda
        self._pulse = pulse
        self._carry_out = carry_out
        self._lasting_calls = lasting_calls
        self._stuck_after = stuck_after
        self._threads: list[threading.Thread] = []
        self._relief = threading.Lock()
        self._stand_ins = 0
        self._numbers = count()

    def start(self) -> None:
        """Begin to execute."""
        for number in range(self._size):
            self._pulse.expect(self._start_thread(self._execute, f"execute-{number}"))

    def relieve(self) -> timedelta:
        """Let every thread be stood in for whose call lasts; when to look again."""
        with self._relief:
            while self._stand_ins < self._wanted():
                self._stand_ins += 1
                self._start_thread(self._stand_in, f"stand-in-{next(self._numbers)}")
        return _RELIEVED_EVERY

    def join(self) -> None:
        """Wait for the threads to end, once the agenda is closed and nothing is being executed."""
        for thread in list(self._threads):
            thread.join()

    def problems(self) -> Iterator[str]:
        """What the crew leaves undone although it could do it, one sentence each."""
        late = self._agenda.late_by(_LOCKED)
        if late is None:
            yield "the agenda cannot be looked at"
            return
        idle = sum(not self._pulse.is_at(thread.name) for thread in list(self._threads))
        if late > self._stuck_after.total_seconds() and idle:
            yield f"an activity has waited for a thread for {late:.0f} s although {idle} are idle"

    def _start_thread(self, run: Callable[[], None], name: str) -> threading.Thread:
        thread = threading.Thread(target=run, name=name, daemon=True)
        self._threads.append(thread)
        thread.start()
        return thread

    def _wanted(self) -> int:
        return min(self._lasting_calls(), self._size)

    def _execute(self) -> None:
        while self._execute_next():
            pass

    def _stand_in(self) -> None:
        while self._execute_next():
            with self._relief:
                if self._stand_ins > self._wanted():
                    self._stand_ins -= 1
                    self._threads.remove(threading.current_thread())
                    return

    def _execute_next(self) -> bool:
        entry = self._agenda.take()
        if entry is None:
            return False
        with self._pulse.at(threading.current_thread().name, self._stuck_after):
            self._carry_out(entry)
        return True
