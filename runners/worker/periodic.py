"""What a worker does on its beat, besides executing.

The one rule: a round never ends the worker. A server that is away is said once when it goes and once when it is back;
meanwhile the round comes again, and the others go on.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta

from engagement_core.model.signal import Signal
from engagement_core.ports.activities import StoreRefused, StoreUnavailable
from engagement_core.ports.queue import QueueUnavailable
from engagement_core.ports.telemetry import Telemetry
from engagement_core.use_cases.event_fields import emit_refusal
from runners.worker.watchdog import Watchdog

__all__ = ["Outages", "PeriodicTask", "PeriodicTasks"]


class Outages:
    """Which servers are away, so that an outage is told once and not at every attempt."""

    def __init__(self, telemetry: Telemetry) -> None:
        self._telemetry = telemetry
        self._away: set[type[Exception]] = set()
        self._lock = threading.Lock()

    def met(self, error: StoreUnavailable | QueueUnavailable) -> None:
        """A call failed."""
        if isinstance(error, StoreRefused):
            emit_refusal(self._telemetry, error)
            return
        kind = type(error)
        with self._lock:
            if kind in self._away:
                return
            self._away.add(kind)
        signal = Signal.STORE_UNAVAILABLE if kind is StoreUnavailable else Signal.QUEUE_UNAVAILABLE
        self._telemetry.emit(signal, message=str(error))

    def over(self, kind: type[Exception]) -> None:
        """A call succeeded."""
        with self._lock:
            if kind not in self._away:
                return
            self._away.discard(kind)
        self._telemetry.emit(Signal.STORE_RECOVERED if kind is StoreUnavailable else Signal.QUEUE_RECOVERED)


@dataclass(frozen=True, kw_only=True, slots=True)
class PeriodicTask:
    """Something to do again and again. `do` returns how long to wait before the next time.

    `needs` is the exception that says that its server is away; None where a success does not prove that it is there.
    After a failure it comes again after `pause`. Once that takes longer than `at_most` is stuck.
    """

    name: str
    do: Callable[[], timedelta]
    needs: type[StoreUnavailable] | type[QueueUnavailable] | None
    pause: timedelta = timedelta(seconds=1)
    at_most: timedelta = timedelta(minutes=3)


class PeriodicTasks:
    """One thread per round: a slow one delays no other."""

    def __init__(self, *, telemetry: Telemetry, outages: Outages, watchdog: Watchdog | None = None) -> None:
        """`watchdog` is told what each is at."""
        self._watchdog = watchdog or Watchdog()
        self._telemetry = telemetry
        self._outages = outages
        self._stop = threading.Event()
        self._threads: list[threading.Thread] = []

    def start(self, rounds: tuple[PeriodicTask, ...]) -> None:
        """Begin all of them; each does its first round at once."""
        for each in rounds:
            thread = threading.Thread(target=self._go_on, args=(each,), name=f"task-{each.name}", daemon=True)
            self._threads.append(thread)
            thread.start()
            self._watchdog.expect(thread)

    def stop(self, timeout: float) -> None:
        """Let each finish what it is doing, for at most `timeout` seconds in all."""
        self._watchdog.release()
        self._stop.set()
        until = time.monotonic() + timeout
        for thread in self._threads:
            thread.join(max(until - time.monotonic(), 0))

    def _go_on(self, each: PeriodicTask) -> None:
        while not self._stop.is_set():
            with self._watchdog.at(f"the task {each.name}", each.at_most):
                pause = self._once(each)
            self._stop.wait(pause.total_seconds())

    def _once(self, each: PeriodicTask) -> timedelta:
        try:
            pause = each.do()
        except (StoreUnavailable, QueueUnavailable) as error:
            self._outages.met(error)
            return each.pause
        except Exception as error:  # noqa: BLE001 - a defect in one round must not end the worker
            self._telemetry.emit(Signal.ROUND_FAILED, round=each.name, message=f"{type(error).__name__}: {error}")
            return each.pause
        if each.needs is not None:
            self._outages.over(each.needs)
        return pause
