"""A limit on how long the server may be silent while a connection is in use: JDBC's `socketTimeout`, which libpq lacks.

The one rule: a connection that is over its limit is ended at its socket, never by a call of the client library. The
thread that waits in that library then gets an ordinary error, and is the only one that ever closes the connection.

Keepalives and TCP's user timeout do not help where something in between (a proxy, a pooler, a NAT that forgot the
connection) acknowledges what it then throws away.
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
"""Beside a silent connection, one that was heard of so short a time ago is taken for alive."""


@dataclass(slots=True, eq=False)
class _Use:
    """One use of a connection. Times are on the monotonic clock, in seconds."""

    connection: Connection
    began: float
    limit: float | None
    silent_for: float | None = None
    """Set when it was given up."""

    def is_over(self, now: float) -> bool:
        """Whether it lasts longer than it may."""
        return self.limit is not None and now - self.began > self.limit


class SocketTimeout:
    """Ends connections that have been silent for too long. Safe to use from several threads.

    One silent connection shows that the way to the server has lost bytes. So all others that were not heard of since
    are given up with it, those without a limit included: they would wait for ever.
    """

    def __init__(self, on_silence: Callable[[], None], *, look_every: float = _LOOK_EVERY_SECONDS) -> None:
        """
        Args:
            on_silence: called, in a thread of ours, when a connection was found silent; for those that are idle.
            look_every: seconds between two looks at what is in use.
        """
        self._on_silence = on_silence
        self._look_every = look_every
        self._lock = threading.Lock()
        self._uses: set[_Use] = set()
        self._heard_at: WeakKeyDictionary[Connection, float] = WeakKeyDictionary()
        self._alive_since = -math.inf
        """Connections that were heard of last before this instant are given up."""
        self._watcher: threading.Thread | None = None
        self._closed = threading.Event()

    @contextmanager
    def limit(self, connection: Connection, at_most: timedelta | None) -> Iterator[None]:
        """The block uses the connection, for `at_most`; without a limit if that is None.

        Raises:
            StoreUnavailable: the connection was given up; whether what was sent last had an effect is not known.
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
        """The server has answered: from now on, its use may take as long again."""
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
            self._heard_at.setdefault(connection, use.began)  # a new one: the server has just let it in
            self._uses.add(use)
            if limit is not None and self._watcher is None:
                self._watcher = threading.Thread(target=self._watch, name="socket-timeout", daemon=True)
                self._watcher.start()
        return use

    def _end(self, use: _Use) -> None:
        # Under the lock: from here on the connection may be closed, and its descriptor be somebody else's.
        with self._lock:
            self._uses.discard(use)
            self._heard_at[use.connection] = time.monotonic()

    def _watch(self) -> None:
        while not self._closed.wait(self._look_every):
            if self._finds_silence():
                self._on_silence()  # first, so that nobody who is told takes an idle connection for a living one
            self._give_up_silent()

    def _finds_silence(self) -> bool:
        """Whether a connection is silent that was not given up yet; what was not heard of since is not alive."""
        now = time.monotonic()
        with self._lock:
            is_found = any(use.is_over(now) for use in self._uses if use.silent_for is None)
            if is_found:
                self._alive_since = now - _ALIVE_WITHIN_SECONDS
        return is_found

    def _give_up_silent(self) -> None:
        now = time.monotonic()
        with self._lock:
            for use in self._uses:
                is_silent = use.is_over(now) or self._heard_at[use.connection] < self._alive_since
                if is_silent and use.silent_for is None:
                    use.silent_for = now - use.began
                    _shut_down(use.connection)


def _shut_down(connection: Connection) -> None:
    """End the connection below the client library, whose thread is inside of it."""
    # Of the same connection, but with a descriptor of its own, which may be closed here.
    with suppress(OSError, psycopg2.Error), socket.socket(fileno=os.dup(connection.fileno())) as ours:
        ours.shutdown(socket.SHUT_RDWR)
