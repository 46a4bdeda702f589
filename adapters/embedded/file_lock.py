"""Knows which processes are alive, because the kernel keeps their locks.

The one rule: a process id counts only if a lock proves it. A `flock` ends with the last process that holds it, however
that process died, so no lock is ever stale. This covers the users of a folder, and the servers, which inherit the lock
of their own file.
"""

from __future__ import annotations

import fcntl
import os
from pathlib import Path
from types import TracebackType

__all__ = ["FileLock"]


class FileLock:
    """One lock on one file. The file is created and never removed. Only one thread may use it at a time."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._descriptor: int | None = None

    @property
    def descriptor(self) -> int:
        """The open file that carries the lock. A child process that inherits it holds the lock too."""
        if self._descriptor is None:
            raise ValueError(f"{self._path} is not held")
        return self._descriptor

    def share(self) -> None:
        """Hold it together with others. Waits while another process holds it alone."""
        self._take(fcntl.LOCK_SH)

    def hold(self) -> None:
        """Hold it alone. Waits until nobody else holds it."""
        self._take(fcntl.LOCK_EX)

    def try_hold(self) -> bool:
        """Hold it alone, if nobody else holds it now."""
        try:
            self._take(fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return False
        return True

    def release(self) -> None:
        """Release it, for this process and for every child that shares it."""
        fcntl.flock(self.descriptor, fcntl.LOCK_UN)
        self.hand_over()

    def hand_over(self) -> None:
        """Close our copy. Children that inherited the lock still hold it; without such children it ends now."""
        os.close(self.descriptor)
        self._descriptor = None

    def __enter__(self) -> FileLock:
        self.hold()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.release()

    def _take(self, operation: int) -> None:
        descriptor = os.open(self._path, os.O_RDWR | os.O_CREAT, 0o600)
        try:
            fcntl.flock(descriptor, operation)
        except BaseException:
            os.close(descriptor)
            raise
        self._descriptor = descriptor
