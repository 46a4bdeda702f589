"""Lets the user end a command that has started its own servers; the servers are stopped, too."""

from __future__ import annotations

import signal
from collections.abc import Iterator
from contextlib import contextmanager
from typing import NoReturn

__all__ = ["interruptible"]


@contextmanager
def interruptible() -> Iterator[None]:
    """Ctrl-C or SIGTERM ends the block: what it started is stopped. Further signals do not interrupt the stopping."""

    def interrupt(*_: object) -> NoReturn:
        for number in before:
            signal.signal(number, signal.SIG_IGN)
        raise KeyboardInterrupt

    before = {number: signal.signal(number, interrupt) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
