"""Starts and stops a server of a data folder: at most one of a kind runs, it is started once, and it surely stops.

The one rule: callers hold the folder's lock, so nobody else starts or stops a server meanwhile. If a killed process
left something half done, we wait for the result and do not guess.
"""

from __future__ import annotations

import subprocess
import tempfile
import time
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import Protocol

from adapters.embedded.failure import EmbeddedServersFailed, last_lines
from adapters.embedded.file_lock import FileLock
from adapters.embedded.identity import Identity

__all__ = ["Daemon", "Program", "run"]

_START_WITHIN = 60.0
_STOP_WITHIN = (
    (1.0, False),
    (30.0, False),
    (10.0, True),
)  # a starting server may miss an early request
_LOOK_EVERY = 0.01
_COMMAND_WITHIN = 120.0
# A socket's address is limited to 104 bytes on macOS, 108 on Linux. The temporary folder may have a long path; `/tmp`
# never has.
_LONGEST_TEMPORARY_FOLDER = 60


class Program(Protocol):
    """What one kind of server adds."""

    @property
    def name(self) -> str:
        """The server's name, for people."""
        ...

    @property
    def log(self) -> Path:
        """The file to which the server writes its log."""
        ...

    def launch(self, sockets: Path, lock: int) -> None:
        """Start it in a session of its own. It listens only in `sockets`, and inherits the descriptor `lock`."""
        ...

    def answers(self, sockets: Path) -> bool:
        """Whether the server can be used."""
        ...

    def ask_to_stop(self, firmly: bool) -> None:
        """Ask the server to stop. Its lock shows whether it does. `firmly`: at once, without cleaning up."""
        ...


class Daemon:
    """One server of a data folder. Its `home` holds its data, its lock and a link to its sockets."""

    def __init__(self, home: Path, program: Program) -> None:
        self._home = home
        self._program = program
        self._alive = FileLock(home / "alive.lock")
        self._link = home / "sockets"

    def start(self) -> Path:
        """Find the running server, or start one. Returns the folder of its sockets.

        Raises:
            EmbeddedServersFailed: it ended at once, or does not answer within a minute.
        """
        self._home.mkdir(exist_ok=True)
        give_up_at = time.monotonic() + _START_WITHIN
        launched = False
        while True:
            if self._alive.try_hold():
                if launched:
                    self._alive.release()
                    raise self._failed("ended right after its start")
                self._launch()
                launched = True
            elif self._program.answers(self._sockets()):
                return self._sockets()
            elif time.monotonic() > give_up_at:
                raise self._failed("is running but does not answer")
            time.sleep(_LOOK_EVERY)

    def stop_if_unreachable(self) -> None:
        """Stop a server whose sockets somebody removed with the rest of the temporary folder. Nobody can reach it."""
        if not self._sockets().is_dir():
            self.stop()

    def ask_to_stop(self) -> None:
        """Ask it to stop, so that the other server can stop at the same time."""
        if self._home.is_dir() and not self._is_gone():
            self._program.ask_to_stop(firmly=False)

    def stop(self) -> None:
        """Stop it. Returns when its last process has ended.

        Raises:
            EmbeddedServersFailed: it does not stop.
        """
        if not self._home.is_dir():
            return
        for patience, firmly in _STOP_WITHIN:
            if self._is_gone_within(0):
                break
            self._program.ask_to_stop(firmly=firmly)
            if self._is_gone_within(patience):
                break
        else:
            raise self._failed("does not stop")
        self._remove_sockets()

    def _launch(self) -> None:
        try:
            temporary = tempfile.gettempdir()
            parent = temporary if len(temporary) <= _LONGEST_TEMPORARY_FOLDER else "/tmp"  # noqa: S108 - mkdtemp is safe
            self._remove_sockets()
            self._link.symlink_to(tempfile.mkdtemp(prefix="engagement-", dir=parent))
            self._program.launch(self._sockets(), self._alive.descriptor)
        finally:
            self._alive.hand_over()

    def _sockets(self) -> Path:
        return self._link.resolve()  # the link's own path may be too long for a socket's address

    def _is_gone(self) -> bool:
        gone = self._alive.try_hold()
        if gone:
            self._alive.release()
        return gone

    def _is_gone_within(self, seconds: float) -> bool:
        give_up_at = time.monotonic() + seconds
        while not (gone := self._is_gone()) and time.monotonic() < give_up_at:
            time.sleep(_LOOK_EVERY)
        return gone

    def _remove_sockets(self) -> None:
        if self._link.is_symlink():
            with suppress(OSError):
                # Servers remove their sockets when they end. A folder with sockets may be in use: by the data folder
                # that this one was copied from.
                self._sockets().rmdir()
            self._link.unlink()

    def _failed(self, what: str) -> EmbeddedServersFailed:
        text = ""
        with suppress(OSError):
            text = self._program.log.read_text(errors="replace")
        return EmbeddedServersFailed(
            f"{self._program.name} {what}. The last lines of {self._program.log}:\n{last_lines(text)}"
        )


def run(command: Sequence[str | Path], cwd: Path, lock: int | None = None, identity: Identity | None = None) -> None:
    """Run one of the wheels' programs until it ends.

    It gets a bare environment, without our secrets and without the user's PGPORT. It has its own session, because
    Ctrl-C must reach only us: work in flight still needs the servers.

    Raises:
        EmbeddedServersFailed: it could not be run or did not succeed; the message has its last lines.
    """
    identity = identity or Identity()
    words = [str(word) for word in (*identity.prefix, *command)]
    done = subprocess.run(  # noqa: S603 - the wheels' own programs, no shell
        words,
        cwd=cwd,
        env={"LC_ALL": "C", "PATH": "/usr/local/bin:/usr/bin:/bin"},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        pass_fds=() if lock is None else (lock,),
        start_new_session=True,
        timeout=_COMMAND_WITHIN,
        check=False,
        text=True,
        errors="replace",
        user=identity.uid,
        group=identity.gid,
        extra_groups=None if identity.gid is None else [],
    )
    if done.returncode != 0:
        raise EmbeddedServersFailed(f"{Path(command[0]).name} failed in {cwd}:\n{last_lines(done.stdout)}")
