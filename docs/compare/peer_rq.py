"""RQ: `python peer_rq.py work` is a SimpleWorker with RQ's own scheduler, `python peer_rq.py ORDERS` enqueues."""

from __future__ import annotations

import os
import sys
from datetime import datetime, timezone

import peer_work
from redis import Redis
from rq import Queue, SimpleWorker

_PAST_TOO_LONG = 1.0


def main() -> None:
    """Work, or enqueue every order: at once if it is due, else for its time."""
    connection = Redis.from_url(os.environ["REDIS_URL"])
    queue = Queue("peer", connection=connection)
    if sys.argv[1] == "work":
        sys.stdout.write("peer ready\n")
        sys.stdout.flush()
        SimpleWorker([queue], connection=connection).work(with_scheduler=True, logging_level="WARNING")
        return
    now = datetime.now(timezone.utc).timestamp()
    for activity_id, at in peer_work.read_orders(sys.argv[1]):
        if at < now - _PAST_TOO_LONG:
            queue.enqueue(peer_work.engage, activity_id)
        else:
            queue.enqueue_at(datetime.fromtimestamp(at, timezone.utc), peer_work.engage, activity_id)


if __name__ == "__main__":
    main()
