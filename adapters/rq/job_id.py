"""Makes a job's id in Redis.

The one rule: one activity has one job id, everywhere and for ever. So ringing twice finds the same job.
"""

from __future__ import annotations

import hashlib
import re

from rq.job import Job

__all__ = ["HASH_PREFIX", "hash_key", "job_id_for"]

HASH_PREFIX = Job.redis_job_namespace_prefix
"""With a job's id behind it, it is the key under which RQ keeps that job."""

_ALLOWED_BY_RQ = re.compile(r"[A-Za-z0-9_-]{1,128}")


def job_id_for(name: str) -> str:
    """The activity's own id if RQ allows its characters, else `sha256-` and its hash."""
    if _ALLOWED_BY_RQ.fullmatch(name):
        return name
    return "sha256-" + hashlib.sha256(name.encode("utf-8", "surrogatepass")).hexdigest()


def hash_key(job_id: str | bytes) -> bytes:
    """The key under which RQ keeps that job. Ids that others put into Redis may be any bytes."""
    raw = job_id.encode("utf-8") if isinstance(job_id, str) else job_id
    return HASH_PREFIX.encode("utf-8") + raw
