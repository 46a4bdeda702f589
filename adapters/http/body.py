"""Reads the body of an HTTP answer: finds where it ends, and undoes its content coding.

The one rule: a body is complete or there is none. Any doubt about where it ends, or what it is, raises an error.
"""

from __future__ import annotations

import re
import zlib
from dataclasses import dataclass
from enum import Enum, auto
from io import BufferedReader

from adapters.http.head import Head

__all__ = ["BodyUnreadable", "Delimiter", "Framing", "framing_of", "read_body"]

_WITHOUT_BODY = frozenset({204, 304})
_LENGTH = re.compile(r"\d{1,15}", re.ASCII)
_CHUNK_SIZE = re.compile(rb"([0-9A-Fa-f]{1,12})[ \t]*(?:;[^\r\n]*)?\r\n")
_MAX_LINE = 8 * 1024
_MAX_TRAILERS = 100
_GZIP = zlib.MAX_WBITS | 16
_WINDOW = {"gzip": _GZIP, "x-gzip": _GZIP, "deflate": zlib.MAX_WBITS}


class BodyUnreadable(Exception):
    """The body is too large, incomplete, malformed, or in a coding that cannot be undone."""


class Delimiter(Enum):
    """What ends a body."""

    LENGTH = auto()
    CHUNKS = auto()
    CLOSE = auto()
    CONTRADICTORY = auto()
    """The head gives several different ends."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Framing:
    """Where a body ends. `is_certain`: every reader of the head finds the same end."""

    delimiter: Delimiter
    length: int = 0
    is_certain: bool


def framing_of(head: Head, method: str | None) -> Framing:
    """Where the body ends that follows `head`, in the answer to a `method` request (RFC 9112, section 6)."""
    lengths, codings = set(head.elements("content-length")), head.elements("transfer-encoding")
    if method == "HEAD" or head.status in _WITHOUT_BODY:
        return Framing(delimiter=Delimiter.LENGTH, is_certain=not codings and lengths <= {"0"} and method != "HEAD")
    if codings:
        delimiter = Delimiter.CHUNKS if codings == ["chunked"] else Delimiter.CONTRADICTORY
        return Framing(delimiter=delimiter, is_certain=delimiter is Delimiter.CHUNKS and not lengths)
    if not lengths:
        return Framing(delimiter=Delimiter.CLOSE, is_certain=False)
    length = lengths.pop()
    if lengths or not _LENGTH.fullmatch(length):
        return Framing(delimiter=Delimiter.CONTRADICTORY, is_certain=False)
    return Framing(delimiter=Delimiter.LENGTH, length=int(length), is_certain=True)


def read_body(reader: BufferedReader, head: Head, framing: Framing, *, limit: int) -> bytes:
    """The whole body, with its content coding undone. It has at most `limit` bytes, both coded and decoded.

    Raises:
        BodyUnreadable: there is no complete and clear body.
        OSError: the connection broke, or the deadline passed (`TimeoutError`).
    """
    if framing.delimiter is Delimiter.LENGTH:
        body = _exactly(reader, framing.length, limit)
    elif framing.delimiter is Delimiter.CHUNKS:
        body = _chunks(reader, limit)
    elif framing.delimiter is Delimiter.CLOSE:
        body = _all(reader, limit)
    else:
        raise BodyUnreadable("its length is contradictory")
    return _decoded(body, head.elements("content-encoding"), limit)


def _exactly(reader: BufferedReader, length: int, limit: int) -> bytes:
    if length > limit:
        raise BodyUnreadable("it is too large")
    body = reader.read(length)
    if len(body) < length:
        raise BodyUnreadable("it is cut short")
    return body


def _all(reader: BufferedReader, limit: int) -> bytes:
    body = reader.read(limit + 1)
    if len(body) > limit:
        raise BodyUnreadable("it is too large")
    return body


def _chunks(reader: BufferedReader, limit: int) -> bytes:
    body = bytearray()
    while size := _chunk_size(reader.readline(_MAX_LINE)):
        body += _exactly(reader, size, limit - len(body))
        if reader.read(2) != b"\r\n":
            raise BodyUnreadable("a chunk does not end where it should")
    for _ in range(_MAX_TRAILERS):
        line = reader.readline(_MAX_LINE)
        if line == b"\r\n":
            return bytes(body)
        if not line.endswith(b"\n"):
            break
    raise BodyUnreadable("its trailer has no end")


def _chunk_size(line: bytes) -> int:
    size = _CHUNK_SIZE.fullmatch(line)
    if size is None:
        raise BodyUnreadable("a chunk has no size")
    return int(size[1], 16)


def _decoded(body: bytes, codings: list[str], limit: int) -> bytes:
    codings = [coding for coding in codings if coding not in {"", "identity"}]
    if not codings or not body:
        return body
    # We ask for no coding. A single one is undone, for servers that compress anyway.
    window = _WINDOW.get(codings[0]) if len(codings) == 1 else None
    if window is None:
        raise BodyUnreadable("its coding is not known")
    inflater = zlib.decompressobj(window)
    try:
        decoded = inflater.decompress(body, limit + 1)
    except zlib.error as error:
        raise BodyUnreadable("it is not in the coding that it claims") from error
    if len(decoded) > limit:
        raise BodyUnreadable("it is too large once decoded")
    if not inflater.eof or inflater.unused_data:
        raise BodyUnreadable("it does not end where its coding does")
    return decoded
