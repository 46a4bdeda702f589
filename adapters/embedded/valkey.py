"""The embedded Valkey: the doorbell's server.

The one rule: it listens only on a unix socket, on no port unless it is asked to, and never evicts a job.
"""

from __future__ import annotations

import os
import signal
from contextlib import suppress
from pathlib import Path
from urllib.parse import quote

import redis
from redis.backoff import NoBackoff
from redis.retry import Retry

from adapters.embedded.daemon import run
from adapters.embedded.tcp import TcpAddress
from adapters.embedded.wheels import valkey_program

__all__ = ["ValkeyProgram"]

_SOCKET = "valkey.sock"
_PID_FILE = "valkey.pid"
_PLACE = "place.conf"
_SETTINGS = (
    ("--unixsocketperm", "700"),
    ("--daemonize", "yes"),
    ("--shutdown-on-sigterm", "save", "force"),
    ("--pidfile", _PID_FILE),  # otherwise, as root, it writes one in the system's folder
    ("--logfile", "server.log"),
    ("--maxmemory-policy", "noeviction"),
    # One snapshot a minute is enough: if a crash loses jobs here, the sweep finds the activities in PostgreSQL.
    ("--save", "60", "1"),
    ("--stop-writes-on-bgsave-error", "no"),
)


class ValkeyProgram:
    """Valkey under `home`. With `tcp` it also listens there, and asks for the password on the socket too."""

    name = "Valkey"

    def __init__(self, home: Path, *, tcp: TcpAddress | None = None) -> None:
        self._home = home
        self._tcp = tcp

    @property
    def log(self) -> Path:
        """The log file, beside the data."""
        return self._home / "server.log"

    def url(self, sockets: Path) -> str:
        """A URL for `redis.from_url`."""
        if self._tcp is not None:
            return f"redis://:{self._tcp.password}@{self._tcp.host}:{self._tcp.port}/0"
        return f"unix://{quote(str(sockets / _SOCKET))}?db=0"

    def launch(self, sockets: Path, lock: int) -> None:
        """Start it. It becomes a daemon by itself and replaces a stale socket."""
        # A file, because a password on the command line would be visible to everybody on this machine.
        place = self._home / _PLACE
        place.touch(mode=0o600)
        place.write_text(
            "port 0\n"
            if self._tcp is None
            else f"bind {self._tcp.host}\nport {self._tcp.port}\nrequirepass {self._tcp.password}\n"
        )
        settings = [word for setting in _SETTINGS for word in setting]
        run((valkey_program(), _PLACE, *settings, "--unixsocket", sockets / _SOCKET), cwd=self._home, lock=lock)

    def answers(self, sockets: Path) -> bool:
        """Whether it has loaded its data."""
        once = Retry(NoBackoff(), retries=0)
        password = None if self._tcp is None else self._tcp.password
        socket = str(sockets / _SOCKET)
        with redis.Redis(unix_socket_path=socket, socket_timeout=5, retry=once, password=password) as client:
            try:
                return bool(client.ping())
            except redis.RedisError:
                return False

    def ask_to_stop(self, firmly: bool) -> None:
        """Stops it by a signal, which needs no socket. It saves first, but a full disk does not keep it alive."""
        with suppress(OSError, ValueError):  # it has no pid file yet, or has ended: its lock shows which
            os.kill(int((self._home / _PID_FILE).read_text()), signal.SIGKILL if firmly else signal.SIGTERM)
