"""Celery: `celery -A peer_celery worker -P threads` works, `python peer_celery.py ORDERS` enqueues with eta."""

from __future__ import annotations

import os
import sys
from datetime import datetime, timezone
from typing import Any

import peer_work
from celery import Celery
from celery.signals import worker_ready

_PAST_TOO_LONG = 1.0

app = Celery("peer_celery", broker=os.environ["REDIS_URL"])
app.conf.task_ignore_result = True


@app.task(name="engage")
def engage(activity_id: str) -> None:
    """One activity."""
    peer_work.engage(activity_id)


@worker_ready.connect
def say(**_: Any) -> None:
    """Report to the measuring process."""
    sys.stdout.write("peer ready\n")
    sys.stdout.flush()


def main() -> None:
    """Enqueue every order: at once if it is due, else for its time."""
    now = datetime.now(timezone.utc).timestamp()
    for activity_id, at in peer_work.read_orders(sys.argv[1]):
        eta = None if at < now - _PAST_TOO_LONG else datetime.fromtimestamp(at, timezone.utc)
        engage.apply_async((activity_id,), eta=eta)


if __name__ == "__main__":
    main()
