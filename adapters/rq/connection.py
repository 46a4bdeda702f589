"""How Redis is reached: bounded in connections and in time.

The one rule: no call hangs and no vendor error leaves.
"""

from __future__ import annotations

from redis import Redis
from redis.backoff import NoBackoff
from redis.connection import BlockingConnectionPool
from redis.retry import Retry

from adapters.redis.endpoint import RedisEndpoint

__all__ = ["RedisServer"]

_SECONDS = 2.0


class RedisServer(RedisEndpoint):
    """One Redis: where it is, clients for it, and its errors in our words."""

    def client(self, *, longest_block: float = 0.0) -> Redis:
        """A client with one connection. `longest_block`: seconds for which a command may wait at the server."""
        pool = BlockingConnectionPool(  # type: ignore[no-untyped-call]
            **self.options,
            max_connections=1,
            timeout=_SECONDS,
            socket_connect_timeout=_SECONDS,
            socket_timeout=longest_block + _SECONDS,
            # The caller repeats, not the client: its own retries would multiply the time limits.
            retry=Retry(NoBackoff(), 0),
        )
        return Redis(connection_pool=pool)
