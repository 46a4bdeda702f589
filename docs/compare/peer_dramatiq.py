"""Dramatiq: `python -m dramatiq peer_dramatiq` works, `python peer_dramatiq.py ORDERS` enqueues."""

from __future__ import annotations

import os
import sys
import time
from typing import Any

import dramatiq
import peer_work
from dramatiq.brokers.redis import RedisBroker

_PAST_TOO_LONG = 1.0


class _Ready(dramatiq.Middleware):
    def after_worker_boot(self, *_: Any) -> None:
        """Report to the measuring process."""
        sys.stdout.write("peer ready\n")
        sys.stdout.flush()


_broker = RedisBroker(url=os.environ["REDIS_URL"])
_broker.add_middleware(_Ready())
dramatiq.set_broker(_broker)


@dramatiq.actor(actor_name="engage")
def engage(activity_id: str) -> None:
    """One activity."""
    peer_work.engage(activity_id)


def main() -> None:
    """Enqueue every order: at once if it is due, else for its time."""
    for activity_id, at in peer_work.read_orders(sys.argv[1]):
        wait = at - time.time()
        delay = {} if wait < -_PAST_TOO_LONG else {"delay": max(0, round(wait * 1000))}
        engage.send_with_options(args=(activity_id,), **delay)


if __name__ == "__main__":
    main()
