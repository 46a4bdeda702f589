"""The doorbell on RQ. `rq info` shows all that there is, and a plain `rq worker` could do our work.

The one rule: a job is a hint. It must be received before it is used for anything. It may be lost or come twice. Nothing
in Redis can stop the worker.
"""

from __future__ import annotations

import hashlib
import time
from collections.abc import Callable
from datetime import datetime, timedelta, timezone
from typing import Any
from uuid import uuid4

from redis.client import Pipeline
from rq.exceptions import DequeueTimeout
from rq.job import Job, JobStatus
from rq.registry import StartedJobRegistry
from rq.utils import utcformat
from rq_scheduler import Scheduler

from adapters.rq.connection import RedisServer
from adapters.rq.job_id import hash_key, job_id_for
from adapters.rq.json_job import JsonJob, JsonQueue
from adapters.rq.payload import MAX_PAYLOAD_BYTES, Illegible, printable, read_payload
from adapters.rq.schedule import move_due
from adapters.rq.scripts import FINISH, PUT_BACK, READ, START, UNBURY
from engagement_core.model.job import DeadLettered, Later, Settlement, Unreadable, WakeUp
from engagement_core.ports.queue import Queue

__all__ = ["RqQueue"]

_BLOCK_SECONDS = 0.5
_SHORTEST_BLOCK_SECONDS = 0.01  # Redis before 7 rounds less than a millisecond down to zero, and zero means "for ever"
_LONGEST_IN_REDIS = timedelta(hours=1)
_STUCK_AFTER = timedelta(minutes=1)
_FAILURE_TTL_SECONDS = 24 * 60 * 60
_MAX_REASON = 1000
_CLEARED_PER_CALL = 500
_OURS = "engagement-"


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
        self._waiting = self._server.client(longest_block=_BLOCK_SECONDS)
        self._redis = self._server.client()
        self._ready = JsonQueue(name, connection=self._redis)
        self._dead = JsonQueue(dead_letter_name, connection=self._redis)
        self._started_key = StartedJobRegistry(name, connection=self._redis).key
        self._function = function
        self._abandoned_after = abandoned_after
        self._now = now
        self._seen_in_between: dict[bytes, datetime] = {}

    def close(self) -> None:
        """Close the connections; the next call opens them again."""
        self._waiting.connection_pool.disconnect()
        self._redis.connection_pool.disconnect()

    def ring(self, activity_id: str, at: datetime) -> None:
        """Put the activity's one job into the ready queue, or into rq-scheduler's schedule if `at` is in the future."""
        job_id = job_id_for(activity_id)
        with self._server.errors(), self._redis.pipeline() as pipe:
            self._forget(pipe, job_id)
            if at <= self._now():
                self._push(pipe, self._ready, self._job(activity_id))
            else:
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
            pipe.execute()

    def receive(self, timeout: timedelta) -> WakeUp | Unreadable | None:
        """The next job. Jobs whose hash is missing are dropped on the way."""
        until = time.monotonic() + timeout.total_seconds()
        with self._server.errors():
            while True:
                left = until - time.monotonic()
                popped = self._pop(left)
                if popped is not None:
                    received = self._read(popped)
                    if received is not None:
                        return received
                elif left <= 0:
                    return None

    def settle(self, wake_up: WakeUp, settlement: Settlement) -> None:
        """Delete the job. Ring again within the hour, or mirror the dead letter. A newer ring is left alone."""
        with self._server.errors():
            is_last_word = self._finish(wake_up.receipt)
        if isinstance(settlement, DeadLettered):
            self.bury(wake_up.activity_id, settlement.reason)
        elif isinstance(settlement, Later) and is_last_word and settlement.at - self._now() <= _LONGEST_IN_REDIS:
            self.ring(wake_up.activity_id, settlement.at)

    def bury(self, activity_id: str, reason: str) -> None:
        """Move the activity's job to the dead-letter queue. The reason is in its description and its meta."""
        job = self._job(activity_id, description=reason[:_MAX_REASON], meta={"reason": reason[:_MAX_REASON]})
        with self._server.errors():
            self._enqueue_dead(job)

    def unbury(self, activity_id: str) -> None:
        """Remove it from the dead-letter queue. A job that rings for it stays."""
        job_id = job_id_for(activity_id)
        with self._server.errors():
            self._redis.eval(UNBURY, 2, hash_key(job_id), self._dead.key, job_id, self._dead.name)

    def advance(self, look_ahead: timedelta) -> int:
        """Move jobs that are due in rq-scheduler's schedule, at most 500, and clean up after workers that died."""
        with self._server.errors():
            self._put_back_the_stuck()
            self._drop_the_abandoned()
            return move_due(self._redis, self._ready, self._now() + look_ahead, self._now())

    def depth(self) -> int:
        """The length of the ready queue."""
        with self._server.errors():
            return self._ready.count

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

    def _pop(self, seconds_left: float) -> bytes | None:
        """Move one job id to the intermediate queue.
        It waits half a second at most, so that a dead Redis is noticed."""
        block = min(max(seconds_left, _SHORTEST_BLOCK_SECONDS), _BLOCK_SECONDS) if seconds_left > 0 else None
        try:
            popped = JsonQueue.lmove(self._waiting, self._ready.key, block)  # type: ignore[arg-type] # Redis takes floats
        except DequeueTimeout:
            return None
        return None if popped is None else popped[1]

    def _read(self, job_id: bytes) -> WakeUp | Unreadable | None:
        kind, data = self._redis.eval(READ, 1, hash_key(job_id), MAX_PAYLOAD_BYTES + 1)
        if kind == b"none":
            # Only the entry: another process may have rung again meanwhile, and the hash would belong to that ring.
            self._redis.lrem(self._ready.intermediate_queue_key, 1, job_id)  # type: ignore[arg-type] # any bytes
            return None
        payload = read_payload(data)
        if kind != b"hash":
            payload = Illegible(reason=f"the job is a {kind.decode()}, not a hash", raw=printable(job_id))
        if isinstance(payload, Illegible):
            return self._reject(job_id, payload)
        return WakeUp(activity_id=payload.activity_id, receipt=self._start(job_id))

    def _start(self, job_id: bytes) -> str:
        """Mark the job as started. The receipt is the name of this start in RQ's registry."""
        name, execution = job_id.decode("utf-8", "backslashreplace"), _OURS + uuid4().hex
        receipt = f"{job_id_for(name)}:{execution}"
        if job_id_for(name) != name:
            # RQ's tools fail on a started job whose id they do not allow, so such a job is deleted instead.
            self._take_out(job_id)
            return receipt
        now = self._now()
        self._redis.eval(
            START,
            3,
            *(hash_key(job_id), self._started_key, self._ready.intermediate_queue_key),
            *(job_id, execution, receipt, int((now + self._abandoned_after).timestamp()), utcformat(now)),
        )
        return receipt

    def _finish(self, receipt: str) -> bool:
        """Delete the job, unless somebody rang again meanwhile: then False."""
        job_id, _, execution = receipt.rpartition(":")
        finished = self._redis.eval(
            FINISH,
            3,
            *(hash_key(job_id), self._started_key, self._dead.key),
            *(job_id, execution, receipt, self._dead.name),
        )
        return bool(finished)

    def _reject(self, job_id: bytes, payload: Illegible) -> Unreadable:
        digest = hashlib.sha256(job_id + payload.raw.encode("utf-8")).hexdigest()
        receipt = printable(job_id)
        job = JsonJob.create(
            self._function,
            id=f"unreadable-{digest[:32]}",
            connection=self._redis,
            status=JobStatus.QUEUED,
            description=f"unreadable: {payload.reason}",
            meta={"reason": payload.reason, "raw": payload.raw, "job_id": receipt},
        )
        self._enqueue_dead(job)
        self._take_out(job_id)
        return Unreadable(receipt=receipt, reason=payload.reason, raw=payload.raw)

    def _enqueue_dead(self, job: Job) -> None:
        with self._redis.pipeline() as pipe:
            self._forget(pipe, job.id)
            self._push(pipe, self._dead, job)
            pipe.execute()

    def _take_out(self, job_id: bytes) -> None:
        with self._redis.pipeline() as pipe:
            pipe.lrem(self._ready.intermediate_queue_key, 1, job_id)  # type: ignore[arg-type] # any bytes
            pipe.delete(hash_key(job_id))
            pipe.execute()

    def _put_back_the_stuck(self) -> None:
        """A worker that dies between two commands leaves a job in the intermediate queue.
        A minute there is too long."""
        now = self._now()
        in_between: Any = self._redis.lrange(self._ready.intermediate_queue_key, 0, _CLEARED_PER_CALL - 1)
        self._seen_in_between = {job_id: self._seen_in_between.get(job_id, now) for job_id in in_between}
        for job_id, seen_at in self._seen_in_between.items():
            if now - seen_at >= _STUCK_AFTER:
                self._redis.eval(PUT_BACK, 2, self._ready.intermediate_queue_key, self._ready.key, job_id)

    def _drop_the_abandoned(self) -> None:
        """If a worker dies with a job, the job stays "started"; the sweep finds its activity.
        RQ's workers handle their own jobs."""
        expired: Any = self._redis.zrangebyscore(
            self._started_key, "-inf", int(self._now().timestamp()), start=0, num=_CLEARED_PER_CALL
        )
        for receipt in expired:
            if b":" + _OURS.encode("ascii") in receipt:
                self._finish(receipt.decode("utf-8"))
