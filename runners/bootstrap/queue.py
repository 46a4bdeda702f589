"""The queue, as the settings name it."""

from __future__ import annotations

from datetime import timedelta
from functools import partial
from typing import TYPE_CHECKING

from adapters.no_queue import NoQueue
from adapters.rq.queue import RqQueue
from engagement_core.ports.queue import QueueUnavailable
from runners.settings import Settings, SettingsProblem

if TYPE_CHECKING:
    from adapters.bullmq.queue import BullmqQueue

__all__ = ["build_queue", "queue_kind"]

_ABANDONED_AFTER = timedelta(minutes=5)


def build_queue(settings: Settings) -> RqQueue | BullmqQueue | NoQueue:
    """The queue that the settings name.

    Raises:
        SettingsProblem: its URL is not set or is not one, or its library is not installed.
    """
    if not settings.has_queue:
        return NoQueue()
    settings.need("redis_url")
    try:
        return queue_kind(settings)(
            str(settings.redis_url),
            name=settings.queue_name,
            dead_letter_name=settings.dead_letter_queue_name,
            abandoned_after=max(_ABANDONED_AFTER, 2 * settings.job_timeout),
        )
    except QueueUnavailable as error:
        # Making one connects to nothing: all that it can object to is the URL.
        raise SettingsProblem(str(error)) from None


def queue_kind(settings: Settings) -> type[RqQueue] | partial[BullmqQueue]:
    """The kind of queue on Redis that the settings name, to be made with what both kinds have.

    Raises:
        SettingsProblem: its library is not installed.
    """
    if settings.queue != "bullmq":
        return RqQueue
    try:
        from adapters.bullmq.queue import BullmqQueue  # noqa: PLC0415 - an extra, which only those have who chose it
    except ModuleNotFoundError as error:
        raise SettingsProblem(
            f"POD_ENGAGEMENT_QUEUE is 'bullmq', which needs {error.name}: pip install 'pod-engagement[bullmq]'"
        ) from error
    return partial(BullmqQueue, prefix=settings.bullmq_prefix)
