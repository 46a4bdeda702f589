"""Keeps RQ's lists moving: due jobs of rq-scheduler's schedule, and what workers that died have left.

The one rule: a job that is not ours stays as it is, unread. A broken entry stops nothing.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any

from redis import Redis
from rq.queue import Queue
from rq.utils import utcformat
from rq_scheduler import Scheduler

from adapters.rq.job_id import HASH_PREFIX, hash_key
from adapters.rq.payload import MAX_PAYLOAD_BYTES, Illegible, read_payload
from adapters.rq.scripts import ADVANCE, READ, RING_AGAIN

__all__ = ["OURS", "Upkeep"]

OURS = "engagement-"
"""Every execution of ours begins with it. RQ's workers handle their own jobs."""
_STUCK_AFTER = timedelta(minutes=1)
_MOVES_PER_CALL = 500
_LOOKS_PER_CALL = 5000
_CLEARED_PER_CALL = 500


class Upkeep:
    """One script call for everything. Belongs to one thread."""

    def __init__(self, redis: Redis, ready: Queue, started_key: str, finish: Callable[[list[str]], object]) -> None:
        """`finish` settles started jobs, which it gets as members of the started registry."""
        self._redis = redis
        self._ready = ready
        self._started_key = started_key
        self._finish = finish
        self._seen_in_between: dict[bytes, datetime] = {}

    def run(self, look_ahead: timedelta, now: datetime) -> tuple[int, int]:
        """Move at most 500 jobs that are due within `look_ahead` to the ready queue, and clean up.

        It does not take rq-scheduler's lock. Every move is atomic. If we held the lock, the other queues on the same
        Redis would miss a whole interval of their scheduler.

        Returns:
            How many jobs moved, and how many the ready queue holds.
        """
        # A worker that dies between two commands leaves a job in the intermediate queue. A minute there is too long.
        stuck = [job_id for job_id, seen_at in self._seen_in_between.items() if now - seen_at >= _STUCK_AFTER]
        answer: Any = self._redis.eval(
            ADVANCE,
            5,
            *(Scheduler.scheduled_jobs_key, self._ready.key, self._ready.redis_queues_keys),
            *(self._ready.intermediate_queue_key, self._started_key),
            *(HASH_PREFIX, self._ready.name),
            *(int((now + look_ahead).timestamp()), int(now.timestamp()), utcformat(now)),
            *(_MOVES_PER_CALL, _LOOKS_PER_CALL, _CLEARED_PER_CALL, f":{OURS}"),
            *stuck,
        )
        moved, depth, in_between, abandoned = answer
        self._seen_in_between = {job_id: self._seen_in_between.get(job_id, now) for job_id in in_between}
        if abandoned:
            self._clear([receipt.decode("utf-8") for receipt in abandoned])
        return int(moved), int(depth)

    def _clear(self, receipts: list[str]) -> None:
        """If a worker dies with a job, the job stays "started"; the sweep finds its activity. But nothing finds a job
        that names no activity: it rings again, so that it is set aside."""
        unreadable = [receipt for receipt in receipts if self._is_unreadable(receipt)]
        for receipt in unreadable:
            job_id, _, execution = receipt.rpartition(":")
            keys = (self._started_key, hash_key(job_id), self._ready.key)
            self._redis.eval(RING_AGAIN, len(keys), *keys, job_id, execution, receipt)
        self._finish([receipt for receipt in receipts if receipt not in unreadable])

    def _is_unreadable(self, receipt: str) -> bool:
        data: Any = self._redis.eval(READ, 1, hash_key(receipt.rpartition(":")[0]), MAX_PAYLOAD_BYTES + 1)
        return bool(data) and isinstance(read_payload(data), Illegible)
