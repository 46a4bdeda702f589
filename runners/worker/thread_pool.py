"""The threads that execute what the delay queue hands out.

The one rule: `size` threads are always free to work. While a thread waits for a slow call, a spare thread takes its
place, so an account that does not answer costs the others nothing. There are at most `size` spare threads.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from datetime import timedelta
from itertools import count

from runners.worker.delay_queue import DelayQueue, Entry
from runners.worker.watchdog import Watchdog

__all__ = ["ThreadPool"]

_LOCKED = 1.0
_COMPENSATE_EVERY = timedelta(milliseconds=500)
_MOST_IN_A_ROW = 20
"""Then a spare thread looks whether it is still needed."""


class ThreadPool:
    """Call `start` once, then `compensate` regularly. The threads end when the delay queue is closed."""

    def __init__(
        self,
        *,
        size: int,
        delay_queue: DelayQueue,
        watchdog: Watchdog,
        carry_out: Callable[[Entry, Callable[[], None]], Callable[[], None]],
        slow_calls: Callable[[], int],
        calls_beyond_share: Callable[[], int],
        stuck_after: timedelta,
    ) -> None:
        """
        Args:
            size: how many threads do not wait for a slow call.
            delay_queue: hands out the entries.
            watchdog: learns what each thread is doing.
            carry_out: executes one entry and ends the one before it; see `Execution.carry_out`.
            slow_calls: how many calls are so slow now that spare threads must replace their threads.
            calls_beyond_share: how many calls must be replaced as soon as an account with fewer waits for a thread.
            stuck_after: an execution that lasts longer is stuck; so is an entry that waits longer for an idle thread.
        """
        self._size = size
        self._delay_queue = delay_queue
        self._watchdog = watchdog
        self._carry_out = carry_out
        self._slow_calls = slow_calls
        self._calls_beyond_share = calls_beyond_share
        self._stuck_after = stuck_after
        self._threads: list[threading.Thread] = []
        self._compensating = threading.Lock()
        self._spares = 0
        self._numbers = count()

    def start(self) -> None:
        """Start the `size` threads."""
        for number in range(self._size):
            self._watchdog.expect(self._start_thread(self._execute, f"execute-{number}"))

    def compensate(self) -> timedelta:
        """Start a spare thread for each slow call. Returns how long to wait before the next call of this."""
        with self._compensating:
            while self._spares < self._wanted():
                self._spares += 1
                self._start_thread(self._execute_as_spare, f"spare-{next(self._numbers)}")
        return _COMPENSATE_EVERY

    def join(self) -> None:
        """Wait for the threads to end. Call it when the delay queue is closed and nothing is being executed."""
        for thread in list(self._threads):
            thread.join()

    def problems(self) -> Iterator[str]:
        """Which work waits although a thread is idle, one sentence each; empty if there is none."""
        late = self._delay_queue.late_by(_LOCKED)
        if late is None:
            yield "the delay queue does not answer"
            return
        idle = sum(not self._watchdog.is_at(thread.name) for thread in list(self._threads))
        if late > self._stuck_after.total_seconds() and idle:
            yield f"an activity has waited for a thread for {late:.0f} s although {idle} are idle"

    def _start_thread(self, run: Callable[[], None], name: str) -> threading.Thread:
        thread = threading.Thread(target=run, name=name, daemon=True)
        self._threads.append(thread)
        thread.start()
        return thread

    def _wanted(self) -> int:
        wanted, beyond = self._slow_calls(), self._calls_beyond_share()
        if beyond > wanted and self._delay_queue.others_wait():
            wanted = beyond
        return min(wanted, self._size)

    def _execute(self) -> None:
        while self._execute_some():
            pass

    def _execute_as_spare(self) -> None:
        while self._execute_some():
            with self._compensating:
                if self._spares > self._wanted():
                    self._spares -= 1
                    self._threads.remove(threading.current_thread())
                    return

    def _execute_some(self) -> bool:
        """Execute an entry, and then some of those that are due by now; False when the delay queue is closed."""
        entry = self._delay_queue.take()
        if entry is None:
            return False
        name, end = threading.current_thread().name, _nothing
        for number in range(1, _MOST_IN_A_ROW + 1):
            with self._watchdog.at(name, self._stuck_after):
                end = self._carry_out(entry, end)
            following = self._delay_queue.take_now(entry) if number < _MOST_IN_A_ROW else None
            if following is None:
                break
            entry = following
        with self._watchdog.at(name, self._stuck_after):
            end()
        return True


def _nothing() -> None:
    """Ends nothing."""
