"""Who is alive, as only the kernel knows it.

The one rule: no process id is believed unless a lock vouches for it. A `flock` ends with the last process that holds
it, however it died, so nothing can go stale: neither the users of a folder nor its servers, which inherit the lock of
their own file.
"""

from __future__ import annotations

import fcntl
import os
from pathlib import Path
from types import TracebackType

__all__ = ["FileLock"]


class FileLock:
    """One lock on one file, which is created and never removed. Not for use by several threads at once."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._descriptor: int | None = None

    @property
    def descriptor(self) -> int:
        """The open file that carries the lock; a child that inherits it holds the lock too."""
        if self._descriptor is None:
            raise ValueError(f"{self._path} is not held")
        return self._descriptor

    def share(self) -> None:
        """Hold it together with others, after whoever holds it alone."""
        self._take(fcntl.LOCK_SH)

    def hold(self) -> None:
        """Hold it alone, after everybody else."""
        self._take(fcntl.LOCK_EX)

    def try_hold(self) -> bool:
        """Hold it alone if nobody else does."""
        try:
            self._take(fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return False
        return True

    def release(self) -> None:
        """Give it up for this process and every child that shares it."""
        fcntl.flock(self.descriptor, fcntl.LOCK_UN)
        self.hand_over()

    def hand_over(self) -> None:
        """Close our copy; the lock lives on in the children that inherited it, and ends now if there are none."""
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
