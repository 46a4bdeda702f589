"""One entry of the delay queue: executed, then put back for soon, or its job settled.

The one rule: a defect that one activity meets never ends a thread.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass, replace
from datetime import timedelta
from functools import partial

from engagement_core.model.outcome import Deferred, Outcome
from engagement_core.ports.clock import Clock
from engagement_core.use_cases.execute import Executor
from runners.worker.delay_queue import DelayQueue, Entry
from runners.worker.prefetch import Prefetch
from runners.worker.recent import RecentlyExecuted
from runners.worker.settlement import JobSettler

__all__ = ["Execution"]


@dataclass(frozen=True, kw_only=True)
class Execution:
    """Safe to use from several threads. What is to be tried again within `look_ahead` goes back to the delay queue."""

    executor: Executor
    clock: Clock
    delay_queue: DelayQueue
    settler: JobSettler
    prefetch: Prefetch
    recent: RecentlyExecuted
    look_ahead: timedelta

    def carry_out(self, entry: Entry, end_last: Callable[[], None]) -> Callable[[], None]:
        """Execute the entry's activity. The function that is returned waits for the verdict. Neither raises.

        `end_last` ends what this thread executed before. It is called once, when the claim of this activity was
        decided: the two wait together.
        """
        ended = ExitStack()
        ended.callback(end_last)
        try:
            finish = self.executor.start(entry.activity_id, when_claimed=ended.close)
        except Exception as error:  # noqa: BLE001 - see the module's rule
            finish = partial(self._defect, entry, error)
        ended.close()
        return partial(self._end, entry, finish)

    def _end(self, entry: Entry, finish: Callable[[], Outcome]) -> None:
        try:
            outcome = finish()
        except Exception as error:  # noqa: BLE001 - see the module's rule
            outcome = self._defect(entry, error)
        self.prefetch.note_execution()
        self.recent.note(entry.activity_id, outcome)  # before the delay queue forgets that it is being executed
        if isinstance(outcome, Deferred) and outcome.saturated is not None:
            entry = replace(entry, account_id=outcome.saturated)  # it waits in its account's line
        again_at = self._again_at(outcome)
        left = self.delay_queue.done(entry, again_at)
        if left is entry and again_at is None:
            self.settler.follow(entry, outcome)
        elif left is not None:
            self.settler.leave_to_the_sweep(left)

    def _defect(self, entry: Entry, error: Exception) -> Outcome:
        self.settler.tell_of_defect(entry.activity_id, error)
        # Left to the sweep: a job that rang again at once would meet the same defect.
        return Deferred(again_in=None, reason="a defect ended its execution")

    def _again_at(self, outcome: Outcome) -> float | None:
        """When to try it again, if that is soon enough for the delay queue."""
        if not isinstance(outcome, Deferred) or outcome.again_in is None or outcome.again_in > self.look_ahead:
            return None
        return self.clock.elapsed() + outcome.again_in.total_seconds()
