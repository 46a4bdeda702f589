"""The event loop behind BullMQ: no call hangs, whatever a task does with its cancellation."""

from __future__ import annotations

import asyncio
import threading
import time

from adapters.bullmq.connection import EventLoop
from adapters.redis.endpoint import RedisEndpoint


async def _stubborn(begun: threading.Event) -> None:
    begun.set()
    try:
        await asyncio.sleep(60)
    except asyncio.CancelledError:
        await asyncio.sleep(60)


def test_a_task_that_swallows_its_cancellation_does_not_hold_up_the_end() -> None:
    """A time limit that ends at the same moment does that, in older Pythons; whoever waits for the task is told."""
    loop = EventLoop(RedisEndpoint("redis://127.0.0.1:1/0"), longest_block=1.0)
    begun, told = threading.Event(), []

    def wait() -> None:
        try:
            loop.run(_stubborn(begun))
        except ConnectionError as error:
            told.append(error)

    waiting = threading.Thread(target=wait, daemon=True)
    waiting.start()
    assert begun.wait(5)
    before = time.monotonic()
    loop.stop()
    waiting.join(5)
    assert (time.monotonic() - before < 4, len(told)) == (True, 1)
