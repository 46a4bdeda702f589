"""Commands that start servers of their own end them, too, when somebody has seen enough."""

from __future__ import annotations

import signal
from collections.abc import Iterator
from contextlib import contextmanager
from typing import NoReturn

__all__ = ["interruptible"]


@contextmanager
def interruptible() -> Iterator[None]:
    """Ctrl-C or SIGTERM ends the block: what was started is stopped, and further signals do not disturb that."""

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
