"""Examines a Redis that is to be the doorbell, and reports what can be wrong with it, as plain facts.

The one rule: it only reads. It touches no key, and ends within seconds whatever the server does.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from contextlib import closing
from dataclasses import dataclass
from enum import Enum
from typing import Any

from redis import Redis
from redis.exceptions import AuthenticationError, NoPermissionError, RedisError, ResponseError

from adapters.rq.connection import RedisServer

__all__ = ["Obstacle", "RedisFacts", "Refused", "examine_redis"]


class Obstacle(Enum):
    """Why the server could not be examined."""

    UNREACHABLE = "unreachable"
    PASSWORD = "password"  # noqa: S105 - a word, not a password
    TOO_OLD = "too old"
    NOT_ALLOWED = "not allowed"


@dataclass(frozen=True, kw_only=True, slots=True)
class Refused:
    """`message` is one line without credentials."""

    obstacle: Obstacle
    message: str


@dataclass(frozen=True, kw_only=True, slots=True)
class RedisFacts:
    """What the server says about itself.

    `name` is the product's name. `version` is the Redis version that it is, or is compatible with. `is_saved`: it
    writes snapshots or a log; None if the server does not say.
    """

    name: str
    version: tuple[int, ...]
    eviction: str
    memory_limit: int
    is_replica: bool
    is_saved: bool | None
    saving_failed: bool


def examine_redis(url: str) -> RedisFacts | Refused:
    """Connect once and ask for INFO.

    Raises:
        QueueUnavailable: the URL is not usable; no server was asked.
    """
    server = RedisServer(url)
    client = server.client()
    with closing(client.connection_pool):
        try:
            return _facts(client)
        except (RedisError, OSError, UnicodeError) as error:
            return Refused(obstacle=_obstacle(error), message=f"Redis at {server.address}: {_one_line(error)}")


def _facts(client: Redis) -> RedisFacts:
    told: Mapping[str, Any] = {}
    for section in ("server", "memory", "persistence", "replication"):
        told = {**told, **client.info(section)}
    return RedisFacts(
        name=_name(told),
        version=_version(str(told.get("redis_version", "0"))),
        eviction=str(told.get("maxmemory_policy", "")),
        memory_limit=int(told.get("maxmemory", 0)),
        is_replica=told.get("role") == "slave",
        is_saved=bool(told.get("aof_enabled")) or _makes_snapshots(client),
        saving_failed="err" in (told.get("rdb_last_bgsave_status"), told.get("aof_last_write_status")),
    )


def _makes_snapshots(client: Redis) -> bool | None:
    """Hosted servers do not show their configuration."""
    try:
        told: Any = client.config_get("save")
    except ResponseError:
        return None
    return bool(told.get("save"))


def _name(told: Mapping[str, Any]) -> str:
    if told.get("server_name") == "valkey":
        return f"Valkey {told.get('valkey_version', '')}".strip()
    return f"Redis {told.get('redis_version', '')}".strip()


def _version(text: str) -> tuple[int, ...]:
    return tuple(int(part) for part in re.findall(r"\d+", text)[:3])


def _obstacle(error: Exception) -> Obstacle:
    complaint = str(error).lower()
    if isinstance(error, NoPermissionError):
        return Obstacle.NOT_ALLOWED
    if isinstance(error, AuthenticationError) or any(word in complaint for word in ("noauth", "wrongpass", "password")):
        return Obstacle.PASSWORD
    if isinstance(error, ResponseError) and "unknown command" in complaint:
        return Obstacle.TOO_OLD
    return Obstacle.UNREACHABLE


def _one_line(error: Exception) -> str:
    return " ".join(f"{type(error).__name__}: {error}".split())[:300]
