"""Real servers without set-up, for `--embedded`, `demo` and the tests.

The one rule: all users of a data folder share its servers, and only the last user that leaves stops them. Users and
servers are known by the locks that they hold (`file_lock`), so a killed process leaves nothing to clean up.
"""

from __future__ import annotations

from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType

from adapters.embedded.daemon import Daemon
from adapters.embedded.failure import told_as_ours
from adapters.embedded.file_lock import FileLock
from adapters.embedded.postgres import PostgresProgram
from adapters.embedded.tcp import unused_address
from adapters.embedded.valkey import ValkeyProgram

__all__ = ["EmbeddedServers", "EmbeddedUrls"]


@dataclass(frozen=True, kw_only=True, slots=True)
class EmbeddedUrls:
    """The addresses of the servers, in the form of DATABASE_URL and REDIS_URL. Both are unix sockets, or both ports.

    `redis_url` is None if Valkey was not asked for.
    """

    database_url: str
    redis_url: str | None


class EmbeddedServers:
    """PostgreSQL and Valkey in `data_folder`, as a context manager or with `start` and `stop`.

    The folder is created and keeps its data between runs. Several processes of one user may use it at the same time.
    The servers run in sessions of their own, so that Ctrl-C reaches us and not them. Without `with_valkey` this user
    starts PostgreSQL alone; other users of the folder may still have a Valkey. `fsync=False` is for tests.

    With `tcp` the addresses are ports of this machine, each with a password. Then the folder must be new, and nobody
    else can use it: the password is known to this object alone.
    """

    def __init__(self, data_folder: Path, *, with_valkey: bool = True, fsync: bool = True, tcp: bool = False) -> None:
        self._folder = data_folder.absolute()
        self._changing = FileLock(self._folder / "changing.lock")
        self._using = FileLock(self._folder / "using.lock")
        self._postgres = PostgresProgram(self._folder / "postgres", fsync=fsync, tcp=unused_address() if tcp else None)
        self._valkey = ValkeyProgram(self._folder / "valkey", tcp=unused_address() if tcp else None)
        self._daemons = {
            "postgres": Daemon(self._folder / "postgres", self._postgres),
            "valkey": Daemon(self._folder / "valkey", self._valkey),
        }
        self._with_valkey = with_valkey
        self._urls: EmbeddedUrls | None = None

    def start(self) -> EmbeddedUrls:
        """Start the servers, or share those that run. Calling it again changes nothing.

        Raises:
            EmbeddedServersFailed: the wheels are missing, the folder cannot be used, or a server does not start.
        """
        if self._urls is None:
            with told_as_ours(self._folder):
                self._folder.mkdir(parents=True, exist_ok=True)
                with self._changing:
                    self._urls = self._join()
        return self._urls

    def stop(self) -> None:
        """Leave. The last user that leaves stops the servers. Does nothing if `start` was not called.

        Raises:
            EmbeddedServersFailed: a server does not stop.
        """
        if self._urls is not None:
            self._urls = None
            with told_as_ours(self._folder), self._changing:
                self._leave()

    def __enter__(self) -> EmbeddedUrls:
        return self.start()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    def _join(self) -> EmbeddedUrls:
        alone = self._using.try_hold()
        if alone:
            self._using.release()
        self._using.share()
        try:
            if alone:
                for daemon in self._daemons.values():
                    daemon.stop_if_unreachable()
            return EmbeddedUrls(
                database_url=self._postgres.url(self._daemons["postgres"].start()),
                redis_url=self._valkey.url(self._daemons["valkey"].start()) if self._with_valkey else None,
            )
        except BaseException:
            self._leave()
            raise

    def _leave(self) -> None:
        self._using.release()
        if not self._using.try_hold():
            return
        self._using.release()
        with ExitStack() as stops:  # a second Ctrl-C may interrupt one of the two, never both
            for daemon in self._daemons.values():
                stops.callback(daemon.stop)
            for daemon in self._daemons.values():
                daemon.ask_to_stop()
