"""The watchdog names threads that are stuck or have ended."""

from __future__ import annotations

import threading
from contextlib import suppress
from datetime import timedelta

from runners.worker.watchdog import Watchdog

SECOND = timedelta(seconds=1)


def test_all_is_well_until_something_takes_too_long() -> None:
    """Then it is named, with its time and its limit. When it ends after all, there is no problem any more."""
    now = [0.0]
    watchdog = Watchdog(lambda: now[0])
    with watchdog.at("the periodic task beat", 10 * SECOND):
        now[0] = 10.0
        assert watchdog.problems() == ()
        assert watchdog.is_at("the periodic task beat")
        now[0] = 11.0
        assert watchdog.problems() == ("the periodic task beat is stuck: running for 11 s, limit 10 s",)
    assert watchdog.problems() == ()
    assert not watchdog.is_at("the periodic task beat")


def test_thread_that_has_ended_is_missed() -> None:
    """Until `release`, after which threads may end."""
    watchdog, may_end = Watchdog(), threading.Event()
    thread = threading.Thread(target=may_end.wait, args=(10,), name="execute-0")
    thread.start()
    watchdog.expect(thread)
    assert watchdog.problems() == ()
    may_end.set()
    thread.join()
    assert watchdog.problems() == ("the thread execute-0 has ended",)
    watchdog.release()
    assert watchdog.problems() == ()


def test_what_raises_has_ended_too() -> None:
    """A block that raises is not stuck."""
    watchdog = Watchdog()
    with suppress(KeyError), watchdog.at("execute-0", SECOND):
        raise KeyError
    assert not watchdog.is_at("execute-0")
