"""A process that the bench starts. Its output goes into a file.

The one rule: whatever ends the `with` block, the process has ended after it.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Mapping
from pathlib import Path
from types import TracebackType

from runners.bench.failure import BenchFailed

__all__ = ["Process"]

_READY_WITHIN = 30.0
_STOP_WITHIN = 40.0
_LOOK_EVERY = 0.01
_LAST_LINES = 12
# The user's settings for a worker must not reach the bench's processes.
_SETTINGS = ("DATABASE_URL", "REDIS_URL", "UNIPILE_", "POD_ENGAGEMENT_", "VOICE_", "LOG_", "TEST_")


class Process:
    """A command. Entering the `with` block starts it; the end of the block kills it, unless it was stopped before."""

    def __init__(self, command: list[str], *, log: Path, environment: Mapping[str, str] | None = None) -> None:
        self._command = command
        self._log = log
        inherited = {name: value for name, value in os.environ.items() if not name.startswith(_SETTINGS)}
        self._environment = {**inherited, **(environment or {})}
        self._running: subprocess.Popen[bytes] | None = None

    @classmethod
    def of_engagement(cls, *arguments: str, log: Path, environment: Mapping[str, str] | None = None) -> Process:
        """One of the product's own commands."""
        return cls([sys.executable, "-m", "runners", *arguments], log=log, environment=environment)

    def __enter__(self) -> Process:
        with self._log.open("wb") as out:
            self._running = subprocess.Popen(  # noqa: S603 - our own commands, no shell
                self._command,
                cwd=self._log.parent,  # a folder without a .env file
                env=self._environment,
                stdin=subprocess.DEVNULL,
                stdout=out,
                stderr=out,
            )
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.kill()

    @property
    def pid(self) -> int:
        """Its process id."""
        return self._process.pid

    def wait_until_it_says(self, word: str) -> str:
        """Block until its output contains `word`. Returns the output so far.

        Raises:
            BenchFailed: it has ended, or did not print the word within 30 s.
        """
        give_up_at = time.monotonic() + _READY_WITHIN
        while word not in (said := self._log.read_text(errors="replace")):
            if self._process.poll() is not None:
                raise self._failed("has ended")
            if time.monotonic() > give_up_at:
                raise self._failed(f"did not print {word!r} within {_READY_WITHIN:.0f} s")
            time.sleep(_LOOK_EVERY)
        return said

    def insist_that_it_runs(self) -> None:
        """Check that it has not ended.

        Raises:
            BenchFailed: it has ended.
        """
        if self._process.poll() is not None:
            raise self._failed("has ended")

    def stop(self) -> None:
        """Send SIGTERM, and wait until it has ended.

        Raises:
            BenchFailed: it did not end within 40 s.
        """
        self._process.send_signal(signal.SIGTERM)
        try:
            self._process.wait(_STOP_WITHIN)
        except subprocess.TimeoutExpired:
            raise self._failed(f"did not stop within {_STOP_WITHIN:.0f} s") from None

    def kill(self) -> None:
        """Send SIGKILL, and wait until it has ended. Does nothing if it has ended already."""
        if self._running is not None:
            self._running.kill()
            self._running.wait()

    @property
    def _process(self) -> subprocess.Popen[bytes]:
        if self._running is None:
            raise ValueError("it was not started")
        return self._running

    def _failed(self, what: str) -> BenchFailed:
        lines = self._log.read_text(errors="replace").strip().splitlines()[-_LAST_LINES:]
        return BenchFailed(f"{' '.join(self._command[-3:])} {what}; its last lines:\n" + "\n".join(lines))
