"""Limits how long the server may be silent while a connection is in use: JDBC's `socketTimeout`, which libpq lacks.

The one rule: this module ends a connection that is over its limit at the socket, never by a call of the client library.
The thread that waits in that library then gets an ordinary error. Only that thread ever closes the connection.

Keepalives and TCP's user timeout do not help if something in between acknowledges data and then drops it: a proxy, a
pooler, or a NAT that forgot the connection.
"""

from __future__ import annotations

import math
import os
import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import timedelta
from weakref import WeakKeyDictionary

import psycopg2
from psycopg2.extensions import connection as Connection

from engagement_core.ports.activities import StoreUnavailable

__all__ = ["SocketTimeout"]

_LOOK_EVERY_SECONDS = 0.5
_ALIVE_WITHIN_SECONDS = 5.0
"""If one connection is silent, others that answered within this time still count as alive."""


@dataclass(slots=True, eq=False)
class _Use:
    """One use of a connection. Times are on the monotonic clock, in seconds."""

    connection: Connection
    began: float
    limit: float | None
    silent_for: float | None = None
    """Seconds of silence; set when this use was given up."""

    def is_over(self, now: float) -> bool:
        """Whether it has lasted longer than its limit."""
        return self.limit is not None and now - self.began > self.limit


class SocketTimeout:
    """Ends connections that have been silent for too long. Safe to use from several threads.

    One silent connection shows that bytes are lost on the way to the server. So every other connection that has not
    answered since is ended too. This includes connections without a limit, which would wait for ever.
    """

    def __init__(self, on_silence: Callable[[], None], *, look_every: float = _LOOK_EVERY_SECONDS) -> None:
        """
        Args:
            on_silence: called in this class's own thread when a connection is silent, so that the caller can
                drop its idle connections.
            look_every: seconds between two checks of the connections in use.
        """
        self._on_silence = on_silence
        self._look_every = look_every
        self._lock = threading.Lock()
        self._uses: set[_Use] = set()
        self._heard_at: WeakKeyDictionary[Connection, float] = WeakKeyDictionary()
        self._alive_since = -math.inf
        """A connection that last answered before this instant is ended."""
        self._watcher: threading.Thread | None = None
        self._closed = threading.Event()

    @contextmanager
    def limit(self, connection: Connection, at_most: timedelta | None) -> Iterator[None]:
        """Limit the block's use of the connection to `at_most`; None means no limit.

        Raises:
            StoreUnavailable: the connection was ended. Whether the last statement had an effect is unknown.
        """
        use = self._begin(connection, at_most)
        try:
            yield
        except psycopg2.Error as error:
            if use.silent_for is None:
                raise
            raise StoreUnavailable(f"PostgreSQL did not answer for {use.silent_for:.0f} s") from error
        finally:
            self._end(use)

    def renew(self, connection: Connection) -> None:
        """Say that the server has answered: the limit of this use starts again."""
        now = time.monotonic()
        with self._lock:
            self._heard_at[connection] = now
            for use in self._uses:
                if use.connection is connection:
                    use.began = now

    def close(self) -> None:
        """Stop watching."""
        self._closed.set()

    def _begin(self, connection: Connection, at_most: timedelta | None) -> _Use:
        limit = None if at_most is None else at_most.total_seconds()
        use = _Use(connection, time.monotonic(), limit)
        with self._lock:
            self._heard_at.setdefault(connection, use.began)  # a new connection: the server has just accepted it
            self._uses.add(use)
            if limit is not None and self._watcher is None:
                self._watcher = threading.Thread(target=self._watch, name="socket-timeout", daemon=True)
                self._watcher.start()
        return use

    def _end(self, use: _Use) -> None:
        # Under the lock: after this, the connection may be closed and its descriptor may belong to another one.
        with self._lock:
            self._uses.discard(use)
            self._heard_at[use.connection] = time.monotonic()

    def _watch(self) -> None:
        while not self._closed.wait(self._look_every):
            now = time.monotonic()
            if self._finds_silence(now):
                self._on_silence()  # first: a thread that gets the error must not reuse an idle connection
            self._give_up_silent(now)

    def _finds_silence(self, now: float) -> bool:
        """Whether this check found a silent connection that was not given up yet."""
        with self._lock:
            is_found = any(use.is_over(now) for use in self._uses if use.silent_for is None)
            if is_found:
                self._alive_since = now - _ALIVE_WITHIN_SECONDS
        return is_found

    def _give_up_silent(self, now: float) -> None:
        with self._lock:
            for use in self._uses:
                is_silent = use.is_over(now) or self._heard_at[use.connection] < self._alive_since
                if is_silent and use.silent_for is None:
                    use.silent_for = now - use.began
                    _shut_down(use.connection)


def _shut_down(connection: Connection) -> None:
    """End the connection below the client library, because the library's thread is still inside a call."""
    # The same connection, but a descriptor of our own, which we may close here.
    with suppress(OSError, psycopg2.Error), socket.socket(fileno=os.dup(connection.fileno())) as ours:
        ours.shutdown(socket.SHUT_RDWR)
