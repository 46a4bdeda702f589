"""Reads rq-scheduler's schedule in the worker itself, so that no other process has to run.

The one rule: a job that is not ours stays as it is, unread. A broken entry stops nothing.
"""

from __future__ import annotations

from datetime import datetime
from typing import Any

from redis import Redis
from rq.queue import Queue
from rq.utils import utcformat
from rq_scheduler import Scheduler

from adapters.rq.job_id import hash_key
from adapters.rq.scripts import MOVE_DUE

__all__ = ["move_due"]

_MOVES_PER_CALL = 500
_LOOKS_PER_CALL = 5000


def move_due(redis: Redis, ready: Queue, until: datetime, now: datetime) -> int:
    """Move our jobs that are due at `until` into `ready`, at most 500; returns how many.

    It does not take rq-scheduler's lock. Every move is atomic. If we held the lock, the other queues on the same Redis
    would miss a whole interval of their scheduler.
    """
    moved = passed_over = 0
    while moved < _MOVES_PER_CALL and passed_over < _LOOKS_PER_CALL:
        job_ids: Any = redis.zrangebyscore(
            Scheduler.scheduled_jobs_key,
            "-inf",
            int(until.timestamp()),
            start=passed_over,
            num=_MOVES_PER_CALL - moved,
        )
        if not job_ids:
            break
        verdicts = _move(redis, ready, job_ids, now)
        moved += verdicts.count(1)
        passed_over += sum(verdict not in (1, -1) for verdict in verdicts)
    return moved


def _move(redis: Redis, ready: Queue, job_ids: list[bytes], now: datetime) -> list[object]:
    """One verdict of `MOVE_DUE` for each job. An error (a key that is no hash) is a verdict, too: not ours."""
    with redis.pipeline(transaction=False) as pipe:
        for job_id in job_ids:
            pipe.eval(
                MOVE_DUE,
                4,
                *(Scheduler.scheduled_jobs_key, hash_key(job_id), ready.key, ready.redis_queues_keys),
                *(job_id, ready.name, utcformat(now)),
            )
        return list(pipe.execute(raise_on_error=False))
