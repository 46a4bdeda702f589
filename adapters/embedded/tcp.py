"""A port for the embedded servers, where a unix socket is not wanted: the bench measures over TCP, as users work.

The one rule: only this machine can reach the port, and only with a password that is made for this one run.
"""

from __future__ import annotations

import secrets
import socket
from dataclasses import dataclass, field

__all__ = ["TcpAddress", "unused_address"]


@dataclass(frozen=True, kw_only=True, slots=True)
class TcpAddress:
    """A port of 127.0.0.1, and the password that opens it. The password needs no quoting."""

    port: int
    password: str = field(repr=False)

    @property
    def host(self) -> str:
        """The only address on which a server listens."""
        return "127.0.0.1"


def unused_address() -> TcpAddress:
    """A port that is free now, and a new password."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        return TcpAddress(port=listener.getsockname()[1], password=secrets.token_hex(16))
