"""One HTTP exchange: which answer belongs to the request, where it ends, and whether the connection may be used again.

The one rule: a connection is used again only after an exchange that is known to be over. Anything unusual ends the
connection with the exchange, from an interim answer to one byte too many. Otherwise the next request would get what
belongs to this one.

`http.client` is not strict enough: it reads past `100` only, takes the first of two lengths, accepts chunks that do not
fit, and drops what it has read too much. So this module reads head and body itself.

No client can detect a server that sends a second answer only after the next request has left.
"""

from __future__ import annotations

from http.client import HTTPResponse
from io import BufferedReader
from typing import Any

from adapters.http.body import Framing, framing_of, read_body
from adapters.http.call import current_call
from adapters.http.deadline_socket import DeadlineSocket
from adapters.http.errors import NoAnswer
from adapters.http.head import Head, HeadReader

__all__ = ["Exchange"]

_MAX_BODY_BYTES = 1024 * 1024
_MAX_INTERIM_ANSWERS = 32
_SWITCHING_PROTOCOLS = 101
_HTTP_1_1 = 11


class Exchange(HTTPResponse):
    """The answer to one request, in the form that urllib3 expects from `http.client`.

    `head` is None until the answer's own head is read to its end; the head of an interim answer does not count.
    """

    fp: BufferedReader | None  # type: ignore[assignment]  # None once it is closed

    def __init__(self, sock: DeadlineSocket, debuglevel: int = 0, method: str | None = None, url: str | None = None):
        super().__init__(sock, debuglevel, method, url)  # type: ignore[arg-type]  # it only calls `makefile`
        self.head: Head | None = None
        self.is_over = False
        """Whether nothing of the answer can still arrive. Only then may the connection be used again."""
        self._socket = sock
        self._request_method = method
        self._framing: Framing | None = None
        self._can_be_followed = True
        self._connection: Any = None
        self._pool: Any = None
        current_call().exchange = self

    def begin(self) -> None:
        """Read the head of the answer, past every interim answer.

        Raises:
            NoAnswer: there is no head that can be understood.
            OSError: the connection broke, or the deadline passed (`TimeoutError`).
        """
        if self.head is not None or self.fp is None:
            return
        self.head = head = self._final_head(HeadReader(self.fp))
        self._framing = framing = framing_of(head, self._request_method)
        self.will_close = head.version < _HTTP_1_1 or "close" in head.elements("connection")
        if self.will_close or not head.is_well_formed or not framing.is_certain:
            self._can_be_followed = False
        self.version, self.status, self.reason = head.version, head.status, head.reason

    def read_to_end(self) -> bytes | None:
        """The body; None if it has no clear end in time, is larger than 1 MiB, or cannot be decoded. Never raises."""
        try:
            if self.fp is None or self.head is None or self._framing is None:
                return None
            body = read_body(self.fp, self.head, self._framing, limit=_MAX_BODY_BYTES)
            self.is_over = self._can_be_followed and not self._socket.has_more(self.fp)
        except Exception:  # noqa: BLE001 - the head has been read: nothing in the body may cancel the answer
            return None
        else:
            return body
        finally:
            self.close()

    def _final_head(self, heads: HeadReader) -> Head:
        for _ in range(_MAX_INTERIM_ANSWERS + 1):
            head = heads.read()
            if not head.is_interim:
                return head
            if head.status == _SWITCHING_PROTOCOLS:
                raise NoAnswer("The connection was closed: the server switched to a protocol that we did not ask for.")
            self._can_be_followed = False
        raise NoAnswer("The connection was closed: the server sent interim answers without an end.")

    def belongs_to(self, connection: Any, pool: Any) -> None:
        """Say whose answer it is, so that the connection can go back."""
        self._connection, self._pool = connection, pool

    def release_connection(self) -> None:
        """Give the connection back to its pool; close it if something may still arrive on it."""
        connection, self._connection = self._connection, None
        if connection is None:
            return
        if not self.is_over:
            connection.close()
        self._pool._put_conn(connection if self.is_over else None)
