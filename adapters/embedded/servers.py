"""Real servers without set-up: what `--embedded`, `demo` and the tests run on.

The one rule: whoever uses a data folder shares its servers, and only the last one to leave stops them. Users and
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
from adapters.embedded.valkey import ValkeyProgram

__all__ = ["EmbeddedServers", "EmbeddedUrls"]


@dataclass(frozen=True, kw_only=True, slots=True)
class EmbeddedUrls:
    """Where the servers are, in the form of DATABASE_URL and REDIS_URL. Both are unix sockets."""

    database_url: str
    redis_url: str


class EmbeddedServers:
    """PostgreSQL and Valkey in `data_folder`, as a context manager or with `start` and `stop`.

    The folder is created, keeps its data between runs, and may be used by several processes of one user at a time. The
    servers run in sessions of their own, so that Ctrl-C reaches us and not them. `fsync=False` is for tests.
    """

    def __init__(self, data_folder: Path, *, fsync: bool = True) -> None:
        self._folder = data_folder.absolute()
        self._changing = FileLock(self._folder / "changing.lock")
        self._using = FileLock(self._folder / "using.lock")
        self._postgres = PostgresProgram(self._folder / "postgres", fsync=fsync)
        self._valkey = ValkeyProgram(self._folder / "valkey")
        self._daemons = {
            "postgres": Daemon(self._folder / "postgres", self._postgres),
            "valkey": Daemon(self._folder / "valkey", self._valkey),
        }
        self._urls: EmbeddedUrls | None = None

    def start(self) -> EmbeddedUrls:
        """Start the servers, or share those that run; once started, calling it again changes nothing.

        Raises:
            EmbeddedServersFailed: the wheels are missing, the folder is of no use, or a server does not start.
        """
        if self._urls is None:
            with told_as_ours(self._folder):
                self._folder.mkdir(parents=True, exist_ok=True)
                with self._changing:
                    self._urls = self._join()
        return self._urls

    def stop(self) -> None:
        """Leave; the last one stops the servers. Without a start before, it does nothing.

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
                redis_url=self._valkey.url(self._daemons["valkey"].start()),
            )
        except BaseException:
            self._leave()
            raise

    def _leave(self) -> None:
        self._using.release()
        if not self._using.try_hold():
            return
        self._using.release()
        with ExitStack() as stops:  # an impatient second Ctrl-C cuts one of them short, never both
            for daemon in self._daemons.values():
                stops.callback(daemon.stop)
            for daemon in self._daemons.values():
                daemon.ask_to_stop()
