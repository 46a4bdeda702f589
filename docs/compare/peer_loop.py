"""No queue at all: `python peer_loop.py requests|http.client ORDERS` does everything in five threads, then waits.

What is left between this and a queue is the queue.
"""

from __future__ import annotations

import sys
import threading
from concurrent.futures import ThreadPoolExecutor

import peer_work

_THREADS = 5
_CALLS = {"requests": peer_work.engage, "http.client": peer_work.engage_cheaply}


def main() -> None:
    """Do all orders, then wait until the measuring process ends this one."""
    engage = _CALLS[sys.argv[1]]
    orders = peer_work.read_orders(sys.argv[2])
    sys.stdout.write("peer ready\n")
    sys.stdout.flush()
    with ThreadPoolExecutor(_THREADS) as pool:
        for _ in pool.map(engage, [activity_id for activity_id, _ in orders]):
            pass
        # Here, where the threads and their connections are still there: what they have used is counted.
        threading.Event().wait()


if __name__ == "__main__":
    main()
