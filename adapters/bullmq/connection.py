"""Lets threads use BullMQ's asyncio client: one event loop in one thread, two clients with a connection each.

The one rule: no call hangs. The library's own connection retries for minutes, so we give it one that does not.
"""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Coroutine
from concurrent.futures import CancelledError
from typing import Any, TypeVar

import redis.asyncio.connection as asyncio_connections
from redis.asyncio import Redis
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff

from adapters.redis.endpoint import RedisEndpoint

__all__ = ["EventLoop"]

T = TypeVar("T")
_SECONDS = 2.0
_CLOSED = "the connection was closed"
_CANCEL_AGAIN_SECONDS = 0.2
_CANCELLATIONS = 25


class EventLoop:
    """An event loop that runs until `stop`, and two clients that belong to it.

    `waiting` is for the commands that wait at the server, `client` for everything else.
    """

    def __init__(self, place: RedisEndpoint, *, longest_block: float) -> None:
        """`longest_block`: seconds for which a command of `waiting` may wait at the server."""
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="bullmq", daemon=True)
        self.client = Redis(connection_pool=_pool(place, 0.0))
        self.waiting = Redis(connection_pool=_pool(place, longest_block))
        self._lock = threading.Lock()
        self._ended = False
        self._thread.start()

    def run(self, coroutine: Coroutine[Any, Any, T]) -> T:
        """Run a coroutine in the event loop, and wait here for its result.

        Raises:
            ConnectionError: `stop` was called meanwhile, or before.
        """
        with self._lock:
            if self._ended:
                coroutine.close()
                raise ConnectionError(_CLOSED)
            future = asyncio.run_coroutine_threadsafe(coroutine, self._loop)
        try:
            return future.result()
        except CancelledError as error:
            raise ConnectionError(_CLOSED) from error

    def call_soon(self, do: Callable[[], None]) -> None:
        """Let the event loop call this function; nothing happens after `stop`."""
        with self._lock:
            if not self._ended:
                self._loop.call_soon_threadsafe(do)

    def stop(self) -> None:
        """Close the connections and end the thread. A caller that waits for an answer gets a `ConnectionError`."""
        with self._lock:
            self._ended = True
        asyncio.run_coroutine_threadsafe(self._end(), self._loop).result()
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()

    async def _end(self) -> None:
        others = asyncio.all_tasks() - {asyncio.current_task()}
        for _ in range(_CANCELLATIONS):
            if not others:
                break
            for task in others:
                task.cancel()
            # A time limit that ends at the same moment swallows a cancellation (`asyncio.wait_for` before Python 3.12).
            _, others = await asyncio.wait(others, timeout=_CANCEL_AGAIN_SECONDS)
        for client in (self.client, self.waiting):
            await client.connection_pool.disconnect()


def _pool(place: RedisEndpoint, longest_block: float) -> asyncio_connections.BlockingConnectionPool:
    options = dict(place.options)
    if "connection_class" in options:
        options["connection_class"] = getattr(asyncio_connections, options["connection_class"].__name__)
    return asyncio_connections.BlockingConnectionPool(
        **options,
        max_connections=1,
        timeout=_SECONDS,
        socket_connect_timeout=_SECONDS,
        socket_timeout=longest_block + _SECONDS,
        # The caller repeats, not the client: the client's own retries would multiply the time limits.
        retry=Retry(NoBackoff(), 0),
        decode_responses=True,
        encoding_errors="surrogateescape",  # a job that is not UTF-8 must be readable, so that it can be set aside
    )
