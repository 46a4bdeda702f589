"""What processes use, seen from outside: processor time, memory, connections."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import psutil

__all__ = ["Usage", "UsageMeter"]

_BYTES_PER_MB = 1_000_000


@dataclass(frozen=True, kw_only=True, slots=True)
class Usage:
    """`cpu_seconds` between the first and the last reading, the rest is the most that was seen at one time."""

    cpu_seconds: float
    peak_rss_mb: float
    database_connections: int
    redis_connections: int


class UsageMeter:
    """Reads when it is made, whenever it is told to, and at the end. Children of the processes count."""

    def __init__(self, pids: Iterable[int], *, database: Callable[[], int], redis: Callable[[], int]) -> None:
        import psutil  # noqa: PLC0415 - of the extra `embedded`: whoever has no servers is told so first

        self._processes = [psutil.Process(pid) for pid in pids]
        self._database = database
        self._redis = redis
        self._cpu_before = self._cpu_seconds()
        self._rss = 0
        self._database_connections = 0
        self._redis_connections = 0

    def read(self) -> None:
        """Take the present into account."""
        self._rss = max(self._rss, sum(each.memory_info().rss for each in self._family()))
        self._database_connections = max(self._database_connections, self._database())
        self._redis_connections = max(self._redis_connections, self._redis())

    def total(self) -> Usage:
        """Everything since it was made."""
        cpu_seconds = self._cpu_seconds() - self._cpu_before
        self.read()
        return Usage(
            cpu_seconds=cpu_seconds,
            peak_rss_mb=self._rss / _BYTES_PER_MB,
            database_connections=self._database_connections,
            redis_connections=self._redis_connections,
        )

    def _family(self) -> list[psutil.Process]:
        return [*self._processes, *(child for each in self._processes for child in each.children(recursive=True))]

    def _cpu_seconds(self) -> float:
        used = (each.cpu_times() for each in self._family())
        return float(sum(times.user + times.system for times in used))
