"""The doorbell on RQ. `rq info` shows all that there is, and a plain `rq worker` could do our work.

The one rule: a job is a hint. It must be received before it is used for anything. It may be lost or come twice. Nothing
in Redis can stop the worker.
"""

from __future__ import annotations

import hashlib
import time
from collections.abc import Callable, Sequence
from datetime import datetime, timedelta, timezone
from typing import Any
from uuid import uuid4

from redis.client import Pipeline
from rq.job import Job, JobStatus
from rq.registry import StartedJobRegistry
from rq.utils import utcformat
from rq_scheduler import Scheduler

from adapters.redis.last_depth import LastDepth
from adapters.rq.connection import RedisServer
from adapters.rq.job_id import HASH_PREFIX, hash_key, job_id_for
from adapters.rq.job_wait import JobWait
from adapters.rq.json_job import JsonJob, JsonQueue
from adapters.rq.payload import MAX_PAYLOAD_BYTES, Illegible, printable, read_payload
from adapters.rq.scripts import FINISH, TAKE, UNBURY
from adapters.rq.upkeep import OURS, Upkeep
from engagement_core.model.job import DeadLettered, Later, Settlement, Unreadable, WakeUp
from engagement_core.ports.queue import Queue

__all__ = ["RqQueue"]

_LONGEST_IN_REDIS = timedelta(hours=1)
_FAILURE_TTL_SECONDS = 24 * 60 * 60
_MAX_REASON = 1000
_LOOKS_PER_CALL = 500


def _utc_now() -> datetime:
    return datetime.now(timezone.utc)


class RqQueue(Queue):
    """`Queue` on RQ and rq-scheduler. It uses two connections: one waits in `receive`, one does everything else.

    A finished job is deleted, as RQ does with `result_ttl=0`. PostgreSQL keeps the history, and Redis stays small. A
    hash that still had a time to live would also expire together with the next job of the same activity.
    """

    def __init__(
        self,
        url: str,
        *,
        name: str = "pod-engagement",
        dead_letter_name: str = "pod-engagement-dead-letter",
        function: str = "runners.tasks.execute_engagement",
        abandoned_after: timedelta = timedelta(minutes=5),
        now: Callable[[], datetime] = _utc_now,
    ) -> None:
        """Does not connect.

        Args:
            url: `redis://`, `rediss://` or `unix://`.
            name: the queue to listen to.
            dead_letter_name: the queue that mirrors the dead letters.
            function: dotted name that a plain RQ worker calls with `activity_id`.
            abandoned_after: how long a received job may stay unsettled; must be longer than the job timeout.
            now: the time, aware UTC.

        Raises:
            QueueUnavailable: the URL is not usable.
        """
        self._server = RedisServer(url)
        self._redis = self._server.client()
        self._ready = JsonQueue(name, connection=self._redis)
        self._dead = JsonQueue(dead_letter_name, connection=self._redis)
        self._started_key = StartedJobRegistry(name, connection=self._redis).key
        self._function = function
        self._abandoned_after = abandoned_after
        self._now = now
        self._wait = JobWait(self._server, self._ready, self._redis)
        self._upkeep = Upkeep(self._redis, self._ready, self._started_key, self._finish)
        self._last_depth = LastDepth()
        self._has_more = True
        self._interruptions = 0

    def close(self) -> None:
        """Close the connections; the next call opens them again."""
        self._wait.close()
        self._redis.connection_pool.disconnect()

    def ring(self, activity_id: str, at: datetime) -> None:
        """Put the activity's one job into the ready queue, or into rq-scheduler's schedule if `at` is in the future."""
        with self._server.errors(), self._redis.pipeline() as pipe:
            self._ring(pipe, activity_id, at)
            pipe.execute()

    def receive(self, timeout: timedelta, *, at_most: int) -> tuple[WakeUp | Unreadable, ...]:
        """The next jobs. Jobs whose hash is missing are dropped on the way."""
        until, interruptions = time.monotonic() + timeout.total_seconds(), self._interruptions
        with self._server.errors():
            while True:
                left = until - time.monotonic()
                popped = None if self._has_more or left <= 0 else self._wait.pop(left)
                has_waited_in_vain = popped is None and not self._has_more and left > 0
                received = () if has_waited_in_vain else self._take(popped, at_most)
                is_over = not self._has_more and time.monotonic() >= until
                if received or is_over or self._interruptions != interruptions:
                    return received

    def interrupt(self) -> None:
        """Let Redis end the wait; if it cannot or may not, close the connection that waits."""
        self._interruptions += 1
        self._wait.interrupt()

    def settle(self, settlements: Sequence[tuple[WakeUp, Settlement]]) -> None:
        """Delete the jobs. Ring again within the hour, or mirror the dead letter. A newer ring is left alone."""
        with self._server.errors(), self._redis.pipeline() as pipe:
            last_words = self._finish([wake_up.receipt for wake_up, _ in settlements])
            for (wake_up, settlement), is_last_word in zip(settlements, last_words, strict=True):
                if isinstance(settlement, DeadLettered):
                    self._push_dead(pipe, self._dead_letter(wake_up.activity_id, settlement.reason))
                elif (
                    isinstance(settlement, Later) and is_last_word and settlement.at - self._now() <= _LONGEST_IN_REDIS
                ):
                    self._ring(pipe, wake_up.activity_id, settlement.at)
            pipe.execute()

    def bury(self, activity_id: str, reason: str) -> None:
        """Move the activity's job to the dead-letter queue. The reason is in its description and its meta."""
        with self._server.errors():
            self._enqueue_dead(self._dead_letter(activity_id, reason))

    def unbury(self, activity_id: str) -> None:
        """Remove it from the dead-letter queue. A job that rings for it stays."""
        job_id = job_id_for(activity_id)
        with self._server.errors():
            self._redis.eval(UNBURY, 2, hash_key(job_id), self._dead.key, job_id, self._dead.name)

    def advance(self, look_ahead: timedelta) -> int:
        """Move jobs that are due in rq-scheduler's schedule, at most 500, and clean up after workers that died."""
        self._last_depth.forget()  # if Redis is away, whoever asks for the depth next is told so
        with self._server.errors():
            moved, depth = self._upkeep.run(look_ahead, self._now())
        self._last_depth.remember(depth)
        return moved

    def depth(self, *, at_most_old: timedelta = timedelta(0)) -> int:
        """The length of the ready queue. `advance` reads it too."""
        known = self._last_depth.no_older_than(at_most_old)
        if known is not None:
            return known
        with self._server.errors():
            return self._last_depth.remember(self._ready.count)

    def _is_soon(self, at: datetime) -> bool:
        return at - self._now() <= _LONGEST_IN_REDIS

    def _ring(self, pipe: Pipeline, activity_id: str, at: datetime) -> None:
        job_id = job_id_for(activity_id)
        self._forget(pipe, job_id)
        if at <= self._now():
            self._push(pipe, self._ready, self._job(activity_id))
            return
        # Whole seconds, the fraction cut off: it rings early rather than late.
        Scheduler(queue_name=self._ready.name, connection=pipe, job_class=JsonJob).enqueue_at(
            at.astimezone(timezone.utc).replace(tzinfo=None),
            self._function,
            activity_id=activity_id,
            job_id=job_id,
            job_result_ttl=0,
            job_description=f"engage {activity_id}",
        )
        pipe.hset(hash_key(job_id), "failure_ttl", _FAILURE_TTL_SECONDS)  # `enqueue_at` cannot set it

    def _dead_letter(self, activity_id: str, reason: str) -> Job:
        return self._job(activity_id, description=reason[:_MAX_REASON], meta={"reason": reason[:_MAX_REASON]})

    def _job(self, activity_id: str, **options: Any) -> Job:
        options.setdefault("description", f"engage {activity_id}")
        return JsonJob.create(
            self._function,
            kwargs={"activity_id": activity_id},
            id=job_id_for(activity_id),
            connection=self._redis,
            status=JobStatus.QUEUED,
            result_ttl=0,
            failure_ttl=_FAILURE_TTL_SECONDS,
            **options,
        )

    def _push(self, pipe: Pipeline, queue: JsonQueue, job: Job) -> None:
        """Does what `Queue.enqueue_job` does. RQ's own method refuses a pipeline that already has commands."""
        job.origin = queue.name
        job.enqueued_at = self._now()
        job.save(pipeline=pipe)
        pipe.sadd(queue.redis_queues_keys, queue.key)
        queue.push_job_id(job.id, pipeline=pipe)

    def _forget(self, pipe: Pipeline, job_id: str) -> None:
        """Start with a new hash: RQ writes over an old one and keeps what is left of it, such as a time to live."""
        pipe.lrem(self._ready.key, 0, job_id)
        pipe.lrem(self._dead.key, 0, job_id)
        pipe.zrem(Scheduler.scheduled_jobs_key, job_id)
        pipe.delete(hash_key(job_id))

    def _take(self, popped: bytes | None, at_most: int) -> tuple[WakeUp | Unreadable, ...]:
        """Mark the next jobs as started. `popped` is in the intermediate queue already."""
        now = self._now()
        answer: Any = self._redis.eval(
            TAKE,
            3,
            *(self._ready.key, self._ready.intermediate_queue_key, self._started_key),
            *(HASH_PREFIX, at_most, _LOOKS_PER_CALL, MAX_PAYLOAD_BYTES + 1),
            *(OURS + uuid4().hex, int((now + self._abandoned_after).timestamp()), utcformat(now), popped or b""),
        )
        has_more, *taken = answer
        self._has_more = bool(has_more)
        return tuple(self._read(*each) for each in taken)

    def _read(self, job_id: bytes, kind: bytes, data: bytes, execution: bytes) -> WakeUp | Unreadable:
        payload = read_payload(data)
        if kind != b"hash":
            payload = Illegible(reason=f"the job is a {kind.decode()}, not a hash", raw=printable(job_id))
        receipt = _receipt(job_id, execution or OURS.encode() + uuid4().hex.encode())
        if isinstance(payload, Illegible):
            return self._reject(job_id, payload, receipt)
        if not execution:
            # RQ's tools fail on a started job whose id they do not allow, so such a job is deleted instead.
            self._take_out(job_id, receipt)
        return WakeUp(activity_id=payload.activity_id, receipt=receipt)

    def _finish(self, receipts: list[str]) -> list[bool]:
        """Delete the jobs. For each: False if somebody rang again meanwhile, so that it was left alone."""
        if not receipts:
            return []
        jobs = ((*receipt.rpartition(":")[::2], receipt) for receipt in receipts)
        finished: Any = self._redis.eval(
            FINISH,
            2,
            *(self._started_key, self._dead.key),
            *(HASH_PREFIX, self._dead.name),
            *(part for job in jobs for part in job),
        )
        return [bool(each) for each in finished]

    def _reject(self, job_id: bytes, payload: Illegible, receipt: str) -> Unreadable:
        digest = hashlib.sha256(job_id + payload.raw.encode("utf-8")).hexdigest()
        name = printable(job_id)
        job = JsonJob.create(
            self._function,
            id=f"unreadable-{digest[:32]}",
            connection=self._redis,
            status=JobStatus.QUEUED,
            description=f"unreadable: {payload.reason}",
            meta={"reason": payload.reason, "raw": payload.raw, "job_id": name},
        )
        self._enqueue_dead(job)
        self._take_out(job_id, receipt)
        return Unreadable(receipt=name, reason=payload.reason, raw=payload.raw)

    def _enqueue_dead(self, job: Job) -> None:
        with self._redis.pipeline() as pipe:
            self._push_dead(pipe, job)
            pipe.execute()

    def _push_dead(self, pipe: Pipeline, job: Job) -> None:
        self._forget(pipe, job.id)
        self._push(pipe, self._dead, job)

    def _take_out(self, job_id: bytes, receipt: str) -> None:
        with self._redis.pipeline() as pipe:
            pipe.lrem(self._ready.intermediate_queue_key, 1, job_id)  # type: ignore[arg-type] # any bytes
            pipe.zrem(self._started_key, receipt)
            pipe.delete(hash_key(job_id))
            pipe.execute()


def _receipt(job_id: bytes, execution: bytes) -> str:
    """The name of an execution in RQ's registry."""
    return f"{job_id_for(job_id.decode('utf-8', 'backslashreplace'))}:{execution.decode()}"
