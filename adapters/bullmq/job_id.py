"""Makes a job's id in BullMQ.

The one rule: one activity has one job id, everywhere and for ever. So ringing twice finds the same job.
"""

from __future__ import annotations

import hashlib
import re

__all__ = ["job_id_for"]

# BullMQ gives numbers to jobs without an id. It separates the parts of a key with colons. It keeps its lists (`wait`,
# `meta`, `stalled-check`, ...) beside the jobs; the names of those lists have no digits.
_SAFE_IN_BULLMQ = re.compile(r"(?=.*[0-9])(?![0-9]+\Z)[A-Za-z0-9_-]{1,128}")


def job_id_for(name: str) -> str:
    """The activity's own id if it is safe in BullMQ, else `sha256-` and its hash."""
    if _SAFE_IN_BULLMQ.fullmatch(name):
        return name
    return "sha256-" + hashlib.sha256(name.encode("utf-8", "surrogatepass")).hexdigest()
