"""The name that a job has in BullMQ.

The one rule: one activity, one job id, everywhere and for ever; so ringing twice meets the same job.
"""

from __future__ import annotations

import hashlib
import re

__all__ = ["job_id_for"]

# BullMQ numbers the jobs that have no id of their own, separates the parts of a key with colons, and keeps its lists
# (`wait`, `meta`, `stalled-check`, ...) beside the jobs: their names have no digits.
_SAFE_IN_BULLMQ = re.compile(r"(?=.*[0-9])(?![0-9]+\Z)[A-Za-z0-9_-]{1,128}")


def job_id_for(name: str) -> str:
    """The activity's own id where it is safe in BullMQ, else `sha256-` and its hash."""
    if _SAFE_IN_BULLMQ.fullmatch(name):
        return name
    return "sha256-" + hashlib.sha256(name.encode("utf-8", "surrogatepass")).hexdigest()
