"""Connects to Redis, with limits on connections and on time.

The one rule: no call hangs, and no error of the vendor leaves this package.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from redis import Redis
from redis.backoff import NoBackoff
from redis.connection import BlockingConnectionPool
from redis.retry import Retry

from adapters.redis.endpoint import RedisEndpoint

__all__ = ["RedisServer"]

_SECONDS = 2.0


class RedisServer(RedisEndpoint):
    """One Redis: its address, clients for it, and its errors turned into ours."""

    def client(self, *, longest_block: float = 0.0, on_connect: Callable[[Any], None] | None = None) -> Redis:
        """A client with one connection.

        Args:
            longest_block: seconds for which a command may wait at the server.
            on_connect: greets the server on each new connection, in place of the library.
        """
        pool = BlockingConnectionPool(  # type: ignore[no-untyped-call]
            **self.options,
            max_connections=1,
            timeout=_SECONDS,
            socket_connect_timeout=_SECONDS,
            socket_timeout=longest_block + _SECONDS,
            redis_connect_func=on_connect,
            # The caller repeats, not the client: the client's own retries would multiply the time limits.
            retry=Retry(NoBackoff(), 0),
        )
        return Redis(connection_pool=pool)
