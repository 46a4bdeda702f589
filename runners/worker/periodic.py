"""Runs a worker's periodic tasks beside the executions.

The one rule: a periodic task never ends the worker. An outage is reported once when it begins and once when it is over.
Meanwhile the task is repeated, and the other tasks go on.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import timedelta

from engagement_core.model.signal import Signal
from engagement_core.ports.activities import StoreRefused, StoreUnavailable
from engagement_core.ports.queue import QueueUnavailable
from engagement_core.ports.telemetry import Telemetry
from engagement_core.use_cases.event_fields import emit_refusal
from runners.worker.watchdog import Watchdog

__all__ = ["Outages", "PeriodicTask", "PeriodicTasks"]


class Outages:
    """Knows which servers are away, so that an outage is reported once and not at every attempt."""

    def __init__(self, telemetry: Telemetry) -> None:
        self._telemetry = telemetry
        self._away: set[type[Exception]] = set()
        self._lock = threading.Lock()

    def met(self, error: StoreUnavailable | QueueUnavailable) -> None:
        """A call failed: report it, unless this outage has been reported. A refusal is reported every time."""
        if isinstance(error, StoreRefused):
            emit_refusal(self._telemetry, error)
            return
        kind = QueueUnavailable if isinstance(error, QueueUnavailable) else StoreUnavailable
        with self._lock:
            if kind in self._away:
                return
            self._away.add(kind)
        signal = Signal.STORE_UNAVAILABLE if kind is StoreUnavailable else Signal.QUEUE_UNAVAILABLE
        self._telemetry.emit(signal, message=str(error))

    def over(self, kind: type[Exception]) -> None:
        """A call succeeded: report that the outage is over, if there was one. `kind` is its exception."""
        with self._lock:
            if kind not in self._away:
                return
            self._away.discard(kind)
        self._telemetry.emit(Signal.STORE_RECOVERED if kind is StoreUnavailable else Signal.QUEUE_RECOVERED)


@dataclass(frozen=True, kw_only=True, slots=True)
class PeriodicTask:
    """Something to do regularly. `do` returns how long to wait before the next run.

    `needs` is the exception that its server's outage raises; None if a success does not prove that the server is there.
    After a failure the task runs again after `pause`. A run that takes longer than `at_most` is stuck. If somebody sets
    `wake`, the task runs at once, or once more after the present run.
    """

    name: str
    do: Callable[[], timedelta]
    needs: type[StoreUnavailable] | type[QueueUnavailable] | None
    pause: timedelta = timedelta(seconds=1)
    at_most: timedelta = timedelta(minutes=3)
    wake: threading.Event = field(default_factory=threading.Event, repr=False, compare=False)


class PeriodicTasks:
    """One thread per task: a slow task delays no other."""

    def __init__(self, *, telemetry: Telemetry, outages: Outages, watchdog: Watchdog | None = None) -> None:
        """`watchdog` learns what each task is doing."""
        self._watchdog = watchdog or Watchdog()
        self._telemetry = telemetry
        self._outages = outages
        self._stop = threading.Event()
        self._threads: list[threading.Thread] = []
        self._wakes: list[threading.Event] = []

    def start(self, tasks: tuple[PeriodicTask, ...]) -> None:
        """Start all of them. Each makes its first run at once.

        Raises:
            ValueError: two have one name: the watchdog and the log could not tell them apart.
        """
        if len({each.name for each in tasks}) < len(tasks):
            raise ValueError(f"two periodic tasks have one name: {sorted(each.name for each in tasks)}")
        for each in tasks:
            thread = threading.Thread(target=self._go_on, args=(each,), name=f"task-{each.name}", daemon=True)
            self._threads.append(thread)
            self._wakes.append(each.wake)
            thread.start()
            self._watchdog.expect(thread)

    def stop(self, timeout: float) -> None:
        """Let each task finish its current run; wait at most `timeout` seconds in all."""
        self._watchdog.release()
        self._stop.set()
        for wake in self._wakes:
            wake.set()
        until = time.monotonic() + timeout
        for thread in self._threads:
            thread.join(max(until - time.monotonic(), 0))

    def _go_on(self, each: PeriodicTask) -> None:
        while True:
            each.wake.clear()  # before anything is looked at: what is set from now on leads to another run
            if self._stop.is_set():
                return
            with self._watchdog.at(f"the periodic task {each.name}", each.at_most):
                pause = self._once(each)
            each.wake.wait(pause.total_seconds())

    def _once(self, each: PeriodicTask) -> timedelta:
        try:
            pause = each.do()
        except (StoreUnavailable, QueueUnavailable) as error:
            self._outages.met(error)
            return each.pause
        except Exception as error:  # noqa: BLE001 - a defect in one task must not end the worker
            self._telemetry.emit(Signal.ROUND_FAILED, round=each.name, message=f"{type(error).__name__}: {error}")
            return each.pause
        if each.needs is not None:
            self._outages.over(each.needs)
        return pause
