"""Servers that can be restarted under the workers' feet, at the same address."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

from adapters.embedded.daemon import Program
from adapters.embedded.file_lock import FileLock
from adapters.embedded.postgres import PostgresProgram
from adapters.embedded.valkey import ValkeyProgram

__all__ = ["Restartable", "restartable_servers"]

_WITHIN = 30.0


@dataclass(frozen=True, kw_only=True)
class Restartable:
    """One server: its address stays the same while it comes and goes."""

    program: Program
    sockets: Path
    lock: FileLock
    url: str

    def start(self) -> None:
        """Start it and wait until it answers."""
        self.program.launch(self.sockets, self.lock.descriptor)
        _until(lambda: self.program.answers(self.sockets))

    def stop(self) -> None:
        """Stop it and wait until it does not answer any more."""
        self.program.ask_to_stop(firmly=False)
        _until(lambda: not self.program.answers(self.sockets))

    def restart(self, *, away_for: float) -> None:
        """Away for some seconds, then back."""
        self.stop()
        time.sleep(away_for)  # the outage itself is the event
        _until(self._has_ended)
        self.start()

    def _has_ended(self) -> bool:
        return not any(self.sockets.iterdir())


@contextmanager
def restartable_servers() -> Iterator[tuple[Restartable, Restartable]]:
    """A PostgreSQL and a Valkey of our own; both are gone afterwards."""
    with TemporaryDirectory(prefix="engagement-storm-", ignore_cleanup_errors=True) as folder:
        root = Path(folder)
        root.chmod(0o755)
        postgres_home, valkey_home = root / "p", root / "v"
        postgres, valkey = PostgresProgram(postgres_home, fsync=False), ValkeyProgram(valkey_home)
        servers = []
        for home, program in ((postgres_home, postgres), (valkey_home, valkey)):
            sockets = home / "s"
            sockets.mkdir(parents=True)
            lock = FileLock(home / "alive.lock")
            assert lock.try_hold()
            servers.append(Restartable(program=program, sockets=sockets, lock=lock, url=program.url(sockets)))
        try:
            for server in servers:
                server.start()
            yield servers[0], servers[1]
        finally:
            for server in servers:
                server.program.ask_to_stop(firmly=False)
                _until(server._has_ended)
                server.lock.release()


def _until(done: object) -> None:
    until = time.monotonic() + _WITHIN
    while not done():  # type: ignore[operator]
        assert time.monotonic() < until, "the server did not come or go in time"
        time.sleep(0.02)
