"""Reads the head of an HTTP answer: its status, its fields, and whether it is well-formed HTTP/1.

The one rule: a head is read up to its empty line, whatever else is in it. A malformed part is noted, never guessed at,
because the head decides where the answer ends.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from io import BufferedReader

from adapters.http.errors import NoAnswer

__all__ = ["Head", "HeadReader"]

_MAX_BYTES = 256 * 1024
"""The limit for one answer, together with the interim answers before it."""

_STATUS_LINE = re.compile(rb"HTTP/1\.(\d) ([1-9]\d\d)(?: ([^\r\n]*))?\r?\n")
_FIELD = re.compile(rb"([!#$%&'*+.^_`|~0-9A-Za-z-]+)[ \t]*:[ \t]*(.*?)[ \t]*\r?\n", re.DOTALL)
_EMPTY_LINES = (b"\r\n", b"\n")


@dataclass(frozen=True, kw_only=True, slots=True)
class Head:
    """`fields` are names and values in the order in which they came.
    They are decoded as Latin-1, which can decode every byte."""

    version: int
    """10 for HTTP/1.0, 11 for HTTP/1.1."""
    status: int
    reason: str
    fields: tuple[tuple[str, str], ...]
    is_well_formed: bool

    @property
    def is_interim(self) -> bool:
        """Whether the answer itself is still to come (1xx)."""
        return 100 <= self.status < 200  # noqa: PLR2004 - HTTP's own boundaries

    def elements(self, name: str) -> list[str]:
        """The comma-separated elements of every field called `name` (in lower case), in lower case."""
        values = [value for each, value in self.fields if len(each) == len(name) and each.lower() == name]
        return [element.strip().lower() for value in values for element in value.split(",")] if values else []


class HeadReader:
    """Reads the heads of one exchange, one after the other, within one limit for all of them."""

    def __init__(self, reader: BufferedReader) -> None:
        self._reader = reader
        self._bytes_left = _MAX_BYTES

    def read(self) -> Head:
        """The next head.

        Raises:
            NoAnswer: what came is not a head, is not complete, or is too large.
            OSError: the connection broke, or the deadline passed (`TimeoutError`).
        """
        line = self._line()
        status_line = _STATUS_LINE.fullmatch(line)
        if status_line is None:
            raise NoAnswer("The connection broke: the server sent something that is not an HTTP answer.")
        minor, status, reason = status_line.groups()
        fields: list[tuple[str, str]] = []
        is_well_formed = True
        while (line := self._line()) not in _EMPTY_LINES:
            field = _FIELD.fullmatch(line)
            if field is not None:
                name, value = field.groups()
                fields.append((name.decode("ascii"), value.decode("latin-1")))
                # A blank before the colon, or a bare CR: two readers may understand two different fields.
                is_well_formed = is_well_formed and line[len(name) : len(name) + 1] == b":" and b"\r" not in value
            else:
                is_well_formed = False
                if line[:1] in b" \t" and fields:
                    folded, value = fields[-1][0], line.strip().decode("latin-1")
                    fields[-1] = (folded, f"{fields[-1][1]} {value}")
        return Head(
            version=10 if minor == b"0" else 11,
            status=int(status),
            reason=(reason or b"").decode("latin-1"),
            fields=tuple(fields),
            is_well_formed=is_well_formed,
        )

    def _line(self) -> bytes:
        line = self._reader.readline(self._bytes_left + 1)
        self._bytes_left -= len(line)
        if self._bytes_left < 0:
            raise NoAnswer("The connection was closed: the head of the answer has no end.")
        if not line.endswith(b"\n"):
            raise NoAnswer("The connection broke before an answer came.")
        return line
