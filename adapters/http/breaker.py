"""One breaker per provider host: it stops calls to a host that fails, and tests gently when the host works again.

The one rule: an open breaker means *not sent*. pybreaker's own `call()` breaks this rule: the call that opens the
breaker is reported as "open" although it was sent. It also allows no concurrency: it holds its lock while the function
runs. So our code asks the breaker before a call and reports the result after it. What pybreaker counts is a function
that only succeeds or fails.
"""

from __future__ import annotations

import threading
from contextlib import suppress
from datetime import timedelta
from types import TracebackType

import pybreaker

from adapters.http.errors import BreakerOpen
from engagement_core.ports.clock import Clock

__all__ = ["Admission", "HostBreaker"]

_PROBE_WAIT = timedelta(seconds=1)
"""The `retry_in` of a call refused because a probe is running: a probe usually ends long before its deadline."""


class _HostError(Exception):
    """Counts one failure in pybreaker."""


def _fail() -> None:
    raise _HostError


class Admission:
    """Permission for one call; a context manager. A call without `succeeded` or `failed` counts as neither."""

    def __init__(self, breaker: HostBreaker, *, is_probe: bool) -> None:
        self._breaker = breaker
        self._outcome: bool | None = None
        self.is_probe = is_probe

    def succeeded(self) -> None:
        """The host answered, even if it refused."""
        self._outcome = True

    def failed(self) -> None:
        """The host could not be reached, did not answer, or answered 5xx."""
        self._outcome = False

    def __enter__(self) -> Admission:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._breaker._settle(self, self._outcome)


class HostBreaker:
    """Opens after `fail_max` consecutive failures, for `reset_timeout`. After that, one call at a time may probe."""

    def __init__(
        self,
        *,
        host: str,
        clock: Clock,
        fail_max: int = 20,
        reset_timeout: timedelta = timedelta(seconds=5),
    ) -> None:
        self._host = host
        self._clock = clock
        self._reset_timeout = reset_timeout
        self._lock = threading.Lock()
        self._opened_at = clock.elapsed()
        self._probing = False
        self._breaker = pybreaker.CircuitBreaker(fail_max=fail_max, throw_new_error_on_trip=False)

    @property
    def state(self) -> str:
        """`closed`, `open` or `half-open`."""
        return self._breaker.current_state

    def available_in(self) -> timedelta:
        """How long calls will be refused; zero if they are not."""
        with self._lock:
            return self._closed_for()

    def admit(self) -> Admission:
        """Permission for one call, settled when the block ends, whatever ends it.

        Raises:
            BreakerOpen: the host is not called for a while, or another call is probing it now.
        """
        with self._lock:
            wait = self._closed_for()
            if wait:
                raise BreakerOpen(f"{self._host} has failed repeatedly and is not called for a while.", wait)
            is_probe = self._breaker.current_state != pybreaker.STATE_CLOSED
            if is_probe:
                self._breaker.half_open()
                self._probing = True
            return Admission(self, is_probe=is_probe)

    def _closed_for(self) -> timedelta:
        if self._breaker.current_state == pybreaker.STATE_CLOSED:
            return timedelta(0)
        if self._probing:
            return _PROBE_WAIT
        if self._breaker.current_state == pybreaker.STATE_HALF_OPEN:
            return timedelta(0)
        rested = timedelta(seconds=self._clock.elapsed() - self._opened_at)
        return max(timedelta(0), self._reset_timeout - rested)

    def _settle(self, admission: Admission, succeeded: bool | None) -> None:
        with self._lock:
            if admission.is_probe:
                self._probing = False
            elif self._breaker.current_state != pybreaker.STATE_CLOSED:
                # This call was admitted before the breaker opened. Now only the probe decides.
                return
            if succeeded is None:
                return
            with suppress(_HostError):
                self._breaker.call(_nothing if succeeded else _fail)
            if self._breaker.current_state == pybreaker.STATE_OPEN:
                self._opened_at = self._clock.elapsed()


def _nothing() -> None:
    """Counts one success in pybreaker."""
