"""Measures from outside what processes use: processor time, memory, connections."""

from __future__ import annotations

from collections.abc import Iterable
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING

from adapters.postgres.demo.trial import PostgresTrial
from adapters.rq.trial import RedisTrial

if TYPE_CHECKING:
    import psutil

__all__ = ["Usage", "UsageMeter"]

_BYTES_PER_MB = 1_000_000


@dataclass(frozen=True, kw_only=True, slots=True)
class Usage:
    """Processor time in seconds, from the first to the last reading. Of memory and connections, the highest reading.

    `database_cpu_seconds` is the whole database server's time, whichever client caused it.
    """

    cpu_seconds: float
    database_cpu_seconds: float
    peak_rss_mb: float
    database_connections: int
    redis_connections: int


class UsageMeter:
    """Reads when it is created, at each `read`, and at `total`. Children of the processes count.

    The database server must run on this machine.
    """

    def __init__(self, pids: Iterable[int], *, database: PostgresTrial, redis: RedisTrial) -> None:
        import psutil  # noqa: PLC0415 - of the extra `embedded`: without it, the missing servers are reported first

        self._processes = [psutil.Process(pid) for pid in pids]
        self._server = [psutil.Process(psutil.Process(database.backend()).ppid())]
        self._database = database
        self._redis = redis
        self._rss = 0
        self._database_connections = 0
        self._redis_connections = 0
        self._cpu_before = _cpu_seconds(self._processes)
        self._server_cpu_before = _cpu_seconds(self._server)

    def read(self) -> None:
        """Take one reading of memory and connections."""
        self._rss = max(self._rss, _rss(self._processes))
        self._database_connections = max(self._database_connections, self._database.connections())
        self._redis_connections = max(self._redis_connections, self._redis.connections())

    def total(self) -> Usage:
        """The usage since it was created."""
        cpu_seconds = _cpu_seconds(self._processes) - self._cpu_before
        database_cpu_seconds = _cpu_seconds(self._server) - self._server_cpu_before
        self.read()
        return Usage(
            cpu_seconds=cpu_seconds,
            database_cpu_seconds=database_cpu_seconds,
            peak_rss_mb=self._rss / _BYTES_PER_MB,
            database_connections=self._database_connections,
            redis_connections=self._redis_connections,
        )


def _families(processes: list[psutil.Process]) -> list[psutil.Process]:
    return [*processes, *(child for each in processes for child in each.children(recursive=True))]


def _cpu_seconds(processes: list[psutil.Process]) -> float:
    """Children that have ended count too: their parent has their time, once it has waited for them."""
    import psutil  # noqa: PLC0415 - see above

    seconds = 0.0
    for each in _families(processes):
        with suppress(psutil.NoSuchProcess):  # it ended after it was listed
            times = each.cpu_times()
            seconds += times.user + times.system
            seconds += getattr(times, "children_user", 0.0) + getattr(times, "children_system", 0.0)
    return seconds


def _rss(processes: list[psutil.Process]) -> int:
    import psutil  # noqa: PLC0415 - see above

    size = 0
    for each in _families(processes):
        with suppress(psutil.NoSuchProcess):
            size += each.memory_info().rss
    return size
