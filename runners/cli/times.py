"""Reads times from options: an instant in ISO 8601, or a length of time from now."""

from __future__ import annotations

import re
from datetime import datetime, timedelta, timezone

import click

from adapters.files.instant import parse_instant

__all__ = ["ago", "from_now", "utc_now"]

_LENGTH = re.compile(r"(\d{1,9})([smhd])")
_UNITS = {"s": "seconds", "m": "minutes", "h": "hours", "d": "days"}


def utc_now() -> datetime:
    """This machine's time. The database's clock decides what is due."""
    return datetime.now(timezone.utc)


def from_now(text: str) -> datetime:
    """`2030-03-15T14:30:00Z`, `+10s`, `+5m`, `+2h` or `+1d`: the `type` of an option."""
    length = _length(text.removeprefix("+")) if text.startswith("+") else None
    return _instant(text, length, "+10s, +5m, +2h")


def ago(text: str) -> datetime:
    """`2030-03-15T14:30:00Z`, `30m`, `2h` or `7d` before now: the `type` of an option."""
    length = _length(text)
    return _instant(text, length and -length, "30m, 2h, 7d")


def _length(text: str) -> timedelta | None:
    found = _LENGTH.fullmatch(text)
    return timedelta(**{_UNITS[found[2]]: int(found[1])}) if found else None


def _instant(text: str, length: timedelta | None, examples: str) -> datetime:
    try:
        return parse_instant(text) if length is None else utc_now() + length
    except OverflowError:
        raise click.BadParameter(f"{text!r}: that is beyond the calendar") from None
    except ValueError as error:
        raise click.BadParameter(f"{text!r}: {error} (or {examples})") from None
