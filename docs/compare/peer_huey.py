"""Huey: `python peer_huey.py work` is a consumer with five threads, `python peer_huey.py ORDERS` enqueues."""

from __future__ import annotations

import os
import sys
from datetime import datetime, timezone

import peer_work
from huey import RedisHuey

_PAST_TOO_LONG = 1.0
_THREADS = 5

huey = RedisHuey("peer", url=os.environ["REDIS_URL"], results=False)


@huey.task()
def engage(activity_id: str) -> None:
    """One activity."""
    peer_work.engage(activity_id)


@huey.on_startup()
def say() -> None:
    """Report to the measuring process."""
    sys.stdout.write("peer ready\n")
    sys.stdout.flush()


def main() -> None:
    """Work, or enqueue every order: at once if it is due, else for its time."""
    if sys.argv[1] == "work":
        huey.create_consumer(workers=_THREADS, worker_type="thread").run()
        return
    now = datetime.now(timezone.utc).timestamp()
    for activity_id, at in peer_work.read_orders(sys.argv[1]):
        if at < now - _PAST_TOO_LONG:
            engage(activity_id)
        else:
            engage.schedule((activity_id,), eta=datetime.fromtimestamp(at, timezone.utc))


if __name__ == "__main__":
    main()
