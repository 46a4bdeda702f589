"""RQ's classes without pickle, for our own code and for the hooks of rq-scheduler.

The one rule: the serializer is JSON, whatever the caller passes or forgets. rq-scheduler passes none; RQ would then use
pickle, which executes what it reads.
"""

from __future__ import annotations

from typing import Any

from redis import Redis
from rq.job import Job
from rq.queue import Queue
from rq.serializers import JSONSerializer

__all__ = ["JsonJob", "JsonQueue"]


class JsonJob(Job):
    """A job whose arguments, meta and result are JSON."""

    def __init__(
        self,
        id: str | None = None,  # noqa: A002 - RQ's name for it
        connection: Redis | None = None,
        serializer: object = None,  # noqa: ARG002 - RQ passes one; it is ignored
    ) -> None:
        super().__init__(id, connection=connection, serializer=JSONSerializer)


class JsonQueue(Queue):
    """A queue of `JsonJob`s."""

    def __init__(self, name: str = "default", connection: Redis | None = None, **options: Any) -> None:
        options.update(job_class=JsonJob, serializer=JSONSerializer)
        super().__init__(name, connection=connection, **options)
