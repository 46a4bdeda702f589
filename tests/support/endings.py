"""Every test ends, and what it starts can be interrupted, however pytest itself was started.

The one rule: no test knows of this. What it sees is a limit of time, and children on which signals have their effect.
"""

from __future__ import annotations

import faulthandler
import os
import signal
from typing import Any

import pytest

__all__ = ["LONGER_THAN_THE_LIMIT", "LastResort", "let_children_be_interrupted"]

_SIGNALS = (signal.SIGHUP, signal.SIGINT, signal.SIGQUIT, signal.SIGTERM)
LONGER_THAN_THE_LIMIT = 60.0
"""Seconds that the clean-up of a test that was failed at its limit may take."""


def let_children_be_interrupted() -> None:
    """Start children with the default signal dispositions, also in a shell's background job, which ignores SIGINT.

    A child inherits that a signal is ignored, but not that a function handles it. So this process still ignores what
    it was told to ignore.
    """
    for number in _SIGNALS:
        if signal.getsignal(number) is signal.SIG_IGN:
            signal.signal(number, _ignore)


def _ignore(*_: object) -> None:
    """What the shell asked for."""


class LastResort:
    """A plugin that ends pytest, and says where it was, if a test takes a minute longer than its limit.

    At the limit, pytest-timeout raises an exception in the test, once. That is not enough while the main thread waits
    in C, or if the clean-up waits for ever in its turn. The servers end with pytest: see `servers`.
    """

    def __init__(self) -> None:
        self._stderr = os.dup(2)  # while pytest captures nothing

    @pytest.hookimpl(tryfirst=True)
    def pytest_timeout_set_timer(self, settings: Any) -> None:
        """Arm it together with the timer of pytest-timeout, which is asked next."""
        faulthandler.dump_traceback_later(settings.timeout + LONGER_THAN_THE_LIMIT, exit=True, file=self._stderr)

    def pytest_runtest_logfinish(self) -> None:
        """The test has ended, its clean-up too."""
        faulthandler.cancel_dump_traceback_later()

    def pytest_enter_pdb(self) -> None:
        """A person may take their time."""
        faulthandler.cancel_dump_traceback_later()

    def pytest_unconfigure(self) -> None:
        """Give the descriptor back."""
        os.close(self._stderr)
