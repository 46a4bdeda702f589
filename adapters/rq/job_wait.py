"""Waits at the server for a job, in one blocking read that another thread can end.

The one rule: ending the wait loses no job. Redis either moves one, and we get its id, or it moves none.
"""

from __future__ import annotations

import socket
from contextlib import suppress
from typing import Any

from redis import Redis
from redis.exceptions import RedisError, ResponseError
from rq.exceptions import DequeueTimeout
from rq.queue import Queue

from adapters.rq.connection import RedisServer

__all__ = ["JobWait"]

_LONGEST_SECONDS = 10.0
"""So long an idle worker waits in one command. A Redis that dies silently is noticed after it and two seconds more."""
_SHORTEST_SECONDS = 0.01  # Redis before 7 rounds less than a millisecond down to zero, and zero means "for ever"


class JobWait:
    """One connection that waits. `pop` belongs to one thread, `interrupt` to any."""

    def __init__(self, server: RedisServer, queue: Queue, control: Redis) -> None:
        """Does not connect. `control` is another client of this server."""
        self._client = server.client(longest_block=_LONGEST_SECONDS, on_connect=self._greet)
        self._key = queue.key
        self._control = control
        self._connection: Any = None
        self._client_id: int | None = None

    def close(self) -> None:
        """Close the connection; the next call opens it again."""
        self._client.connection_pool.disconnect()

    def pop(self, seconds: float) -> bytes | None:
        """Wait for a job id and move it to the intermediate queue; None if none came. It may return earlier."""
        block: Any = min(max(seconds, _SHORTEST_SECONDS), _LONGEST_SECONDS)  # Redis takes fractions
        try:
            popped: tuple[str, bytes] = Queue.lmove(self._client, self._key, block)
        except DequeueTimeout:
            return None
        return popped[1]

    def interrupt(self) -> None:
        """End the wait, if there is one."""
        try:
            if self._client_id is not None:
                self._control.client_unblock(self._client_id)
                return
        except (RedisError, OSError):
            pass  # not allowed, or the server is away
        self._break_off()

    def _break_off(self) -> None:
        """A job that Redis moves at this moment stays in the intermediate queue, and is put back."""
        stream = getattr(self._connection, "_sock", None)
        if stream is not None:
            with suppress(OSError):
                stream.shutdown(socket.SHUT_RDWR)

    def _greet(self, connection: Any) -> None:
        """Do what the library does on a new connection; learn the name under which the server can end its waits."""
        connection.on_connect()
        self._connection, self._client_id = connection, None
        with suppress(ResponseError):  # some hosted servers forbid the command
            connection.send_command("CLIENT", "ID")
            self._client_id = int(connection.read_response())
