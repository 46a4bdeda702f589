"""What the bench needs from a Redis: empty it, and count its connections.

The one rule: only for a Redis that was made for measuring. It deletes everything.
"""

from __future__ import annotations

from adapters.rq.connection import RedisServer

__all__ = ["RedisTrial"]


class RedisTrial:
    """One connection. Raises `QueueUnavailable` when the server fails."""

    def __init__(self, url: str) -> None:
        self._server = RedisServer(url)
        self._redis = self._server.client()

    def close(self) -> None:
        """Close the connection."""
        self._redis.connection_pool.disconnect()

    def empty(self) -> None:
        """Delete everything."""
        with self._server.errors():
            self._redis.flushall()

    def connections(self) -> int:
        """How many other clients are connected."""
        with self._server.errors():
            return len(self._redis.client_list()) - 1

    def version(self) -> str:
        """The server's name and version."""
        with self._server.errors():
            told = self._redis.info("server")
        if "valkey_version" in told:
            return f"Valkey {told['valkey_version']}"
        return f"Redis {told['redis_version']}"
