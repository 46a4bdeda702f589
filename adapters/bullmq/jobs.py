"""Moves a job in BullMQ from state to state, with the library's own scripts.

The one rule: only the holder of a job's lock moves the job. If another worker has the job by now, it is left alone,
which is no error: `Lost` reports it. No exception of the library leaves this file.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any
from uuid import uuid4

from bullmq import Job, Queue
from bullmq.custom_errors import UnrecoverableError
from redis.asyncio import Redis
from redis.exceptions import ResponseError

from adapters.bullmq.payload import read_options

__all__ = ["BullJobs", "Lost", "Misfit", "Taken"]

_DAY = 24 * 60 * 60
_KEEP_COMPLETED = {"age": _DAY, "count": 10_000}
_KEEP_FAILED = {"age": 7 * _DAY, "count": 10_000}
_LOCK_MS = 15_000
_NEVER_TOO_OFTEN = 1_000_000
_SHORTEST_BLOCK_SECONDS = 0.01  # Redis before 7 rounds less than a millisecond down to zero, and zero means "for ever"
_PER_CALL = 500
_KNOWN_FOR_SECONDS = 15.0
"""A delayed job that becomes the first one has a marker, which wakes one listener. The others learn of it later."""
_SLOTS = 0x1000
"""A delayed job's score is its time multiplied by this, which keeps jobs of the same millisecond in order."""


class Lost(Exception):
    """This worker does not hold the job any more, or the job does not exist."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Taken:
    """A job that was made active, and the token of its lock."""

    job_id: str
    token: str
    fields: Mapping[str, str]

    @property
    def is_a_ghost(self) -> bool:
        """Whether its hash was lost before: then the present hash was written by taking the job."""
        return not self.fields.keys() & {"name", "data", "opts"}

    def without_payload(self) -> Taken:
        """Only what is needed to finish the job.

        A worker may hold a thousand jobs, and strangers wrote their payloads.
        """
        kept = {name: self.fields[name] for name in ("opts", "ats") if name in self.fields}
        return replace(self, fields=kept)

    @property
    def times(self) -> int:
        """How often the job was made active."""
        return int(self.fields.get("ats", 1))


@dataclass(frozen=True, kw_only=True, slots=True)
class Misfit:
    """A job that BullMQ's own script cannot make active. It has been removed. `raw` is its payload, if it had one."""

    job_id: str
    reason: str
    raw: str


class BullJobs:
    """One queue of BullMQ. Every method raises what redis-py raises."""

    def __init__(self, name: str, client: Redis, prefix: str, *, waiting: Redis | None = None) -> None:
        """`waiting`: a client for commands that wait at the server; only `take` needs it."""
        self._client = client
        self._waiting = waiting or client
        self._wait: asyncio.Task[Any] | None = None
        self._next_delayed: tuple[int, float] | None = None
        self._queue = Queue(name, {"connection": client, "prefix": prefix})
        self._backend = self._queue.backend

    async def add(self, name: str, data: Mapping[str, str], *, job_id: str, at_ms: int, now_ms: int) -> None:
        """Add a job that rings at `at_ms`. It replaces the job with this id; BullMQ itself would keep the old one."""
        self._next_delayed = None
        await self.remove(job_id)
        await self._queue.add(
            name,
            dict(data),
            {
                "jobId": job_id,
                "timestamp": now_ms,
                "delay": max(at_ms - now_ms, 0),
                "removeOnComplete": _KEEP_COMPLETED,
                "removeOnFail": _KEEP_FAILED,
            },
        )

    async def remove(self, job_id: str) -> None:
        """Remove the job in whatever state it is. A worker that holds it then gets `Lost`."""
        await self._client.delete(self._queue.toKey(job_id) + ":lock")
        await self._backend.remove(job_id, False)

    async def take(self, *, until: float, longest_block: float, at_most: int) -> list[Taken | Misfit]:
        """The next jobs; none at the time `until` (monotonic seconds), or when `stop_waiting` is called.
        BullMQ signals a job with a marker, which this pops."""
        while True:
            taken, next_at = await self._take_now(at_most)
            left = until - time.monotonic()
            if taken or left <= 0:
                return taken
            next_in = next_at / 1000 - time.time() if next_at else left
            block = max(min(left, next_in, longest_block), _SHORTEST_BLOCK_SECONDS)
            if not await self._await_marker(block):
                # Redis may have popped a marker at this moment, and no other worker would learn of its job.
                return (await self._take_now(at_most))[0]
            if next_in > left and time.monotonic() >= until:
                return []

    def stop_waiting(self) -> None:
        """End the wait of `take`, if there is one."""
        if self._wait is not None:
            self._wait.cancel()

    async def complete(self, taken: Taken, result: Mapping[str, str], *, keep: bool = True) -> None:
        """Move the job to the completed ones, or remove it. A parent whose child failed is moved to the failed ones."""
        job = self._job(taken)
        kept = job.opts.get("removeOnComplete", _KEEP_COMPLETED) if keep else True
        try:
            await self._complete_or_wait(
                taken, self._backend.moveToCompleted(job, dict(result), kept, taken.token, False)
            )
        except UnrecoverableError:
            await self.fail(taken, f"{result.get('status')}, and a child of this job has failed", keep=keep)

    async def fail(self, taken: Taken, reason: str, *, keep: bool = True) -> None:
        """Move the job to the failed ones, or remove it. It is not tried again, whatever its `attempts` say."""
        job = self._job(taken)
        kept = job.opts.get("removeOnFail", _KEEP_FAILED) if keep else True
        await self._finish(taken, self._backend.moveToFailed(job, reason, kept, taken.token, False))

    async def delay(self, taken: Taken, *, at_ms: int, now_ms: int) -> None:
        """Move the job to its time, or to the waiting jobs if that time has come."""
        self._next_delayed = None
        job_id, delay = taken.job_id, max(at_ms - now_ms, 0)
        await self._held(self._backend.moveToDelayed(job_id, now_ms, delay, taken.token, {"skipAttempt": True}))
        if not delay:
            await self._promote(job_id)

    async def renew(self, taken: Sequence[Taken]) -> set[str]:
        """Renew the locks of these jobs; returns the ids of those whose lock is lost."""
        if not taken:
            return set()
        ids, tokens = [each.job_id for each in taken], [each.token for each in taken]
        return set(await self._backend.extendLocks(ids, tokens, _LOCK_MS))

    async def put_back_stalled(self, every_ms: int) -> None:
        """Let the jobs of dead workers ring again, however often: PostgreSQL counts the crashes.
        `every_ms`: the time between two checks, whichever worker makes them."""
        await self._backend.moveStalledJobsToWait(_NEVER_TOO_OFTEN, every_ms)

    async def promote(self, until_ms: int) -> int:
        """Move delayed jobs that are due by then to the waiting jobs, at most 500; returns how many.
        Redis is not asked if `take` has just been told that the first one is due later."""
        if self._is_known_to_be_later(until_ms):
            return 0
        highest = (until_ms + 1) * _SLOTS - 1
        delayed = self._queue.toKey("delayed")
        due: Any = await self._client.zrangebyscore(delayed, "-inf", highest, start=0, num=_PER_CALL)
        return sum([await self._promote(job_id) for job_id in due])

    async def depth(self) -> int:
        """How many jobs are waiting and due."""
        return sum(await self._backend.getCounts(["wait", "paused", "prioritized"]))

    async def _take_now(self, at_most: int) -> tuple[list[Taken | Misfit], int]:
        """The jobs that ring now. If there are fewer: also the time of the next delayed job (ms; 0 means never)."""
        taken: list[Taken | Misfit] = []
        while len(taken) < at_most:
            one, next_at = await self._take_one()
            if one is None:
                self._next_delayed = next_at, time.monotonic()
                return taken, next_at
            taken.append(one)
        return taken, 0

    async def _await_marker(self, block: float) -> bool:
        """Wait so many seconds for a marker; False if `stop_waiting` ended the wait."""
        wait = self._wait = asyncio.ensure_future(self._waiting.bzpopmin(self._queue.toKey("marker"), block))
        try:
            await asyncio.wait({wait})
        finally:
            self._wait = None
            wait.cancel()  # does something only if this task itself is cancelled
        if wait.cancelled():
            return False
        wait.result()
        return True

    def _is_known_to_be_later(self, until_ms: int) -> bool:
        if self._next_delayed is None:
            return False
        next_at, read_at = self._next_delayed
        return time.monotonic() - read_at < _KNOWN_FOR_SECONDS and not 0 < next_at <= until_ms

    async def _take_one(self) -> tuple[Taken | Misfit | None, int]:
        token = uuid4().hex
        try:
            fields, job_id, _, next_at = await self._backend.moveToActive(token, {"lockDuration": _LOCK_MS})
        except ResponseError as error:
            misfit = await self._evict(token, str(error))
            if misfit is None:
                raise
            return misfit, 0
        return (Taken(job_id=job_id, token=token, fields=fields) if fields else None), next_at or 0

    async def _evict(self, token: str, reason: str) -> Misfit | None:
        """Remove a job that took this lock and then stopped the script. Otherwise it would stop the script for ever."""
        active = self._queue.toKey("active")
        job_ids: Any = await self._client.lrange(active, 0, _PER_CALL - 1)
        for job_id in job_ids:
            key = self._queue.toKey(job_id)
            if await self._client.get(key + ":lock") == token:
                is_hash = await self._client.type(key) == "hash"
                raw: Any = await self._client.hget(key, "data") if is_hash else None
                await self._client.lrem(active, 0, job_id)
                await self._client.delete(key, key + ":lock")
                return Misfit(job_id=job_id, reason=f"BullMQ cannot take it: {reason}", raw=raw or job_id)
        return None

    async def _promote(self, job_id: str) -> bool:
        try:
            await self._backend.promote(job_id)
        except TypeError:  # another worker was faster
            return False
        return True

    def _job(self, taken: Taken) -> Job:
        job = Job(self._queue, "", None, read_options(taken.fields))
        job.id = taken.job_id
        return job

    async def _complete_or_wait(self, taken: Taken, move: Any) -> None:
        try:
            await self._finish(taken, move)
        except Lost:
            # Children that were added when the parent rang already look like that. When they have ended, the parent
            # rings again.
            if not await self._held(self._backend.moveToWaitingChildren(taken.job_id, taken.token, {})):
                raise

    async def _finish(self, taken: Taken, move: Any) -> None:
        try:
            await self._held(move)
        except ResponseError:
            # Something else in or beside the hash stops the script. This happens every time, and after the script
            # dropped the lock.
            await self.remove(taken.job_id)

    @staticmethod
    async def _held(move: Any) -> Any:
        """With a TypeError, the library says that the lock, the job or its state has changed."""
        try:
            return await move
        except TypeError as error:
            raise Lost(str(error)) from error
