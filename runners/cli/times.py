"""Times as options: an instant in ISO 8601, or so long from now."""

from __future__ import annotations

import re
from datetime import datetime, timedelta, timezone
from typing import Any

import click

from adapters.files.instant import parse_instant

__all__ = ["AGO", "FROM_NOW", "utc_now"]

_LENGTH = re.compile(r"(\d{1,9})(s|m|h|d)")
_UNITS = {"s": "seconds", "m": "minutes", "h": "hours", "d": "days"}


def utc_now() -> datetime:
    """This machine's time; what is due is decided by the database's."""
    return datetime.now(timezone.utc)


class _Time(click.ParamType):
    """`sign` is what a length begins with; `factor` is 1 for later and -1 for earlier."""

    name = "time"

    def __init__(self, sign: str, factor: int) -> None:
        self._sign = sign
        self._factor = factor

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> datetime:
        """An aware UTC instant."""
        if isinstance(value, datetime):
            return value
        length = _LENGTH.fullmatch(str(value).removeprefix(self._sign))
        try:
            if length is not None and str(value).startswith(self._sign):
                return utc_now() + self._factor * timedelta(**{_UNITS[length[2]]: int(length[1])})
            return parse_instant(str(value))
        except OverflowError:
            self.fail(f"{value!r}: there is no such time", param, ctx)
        except ValueError as error:
            self.fail(f"{value!r}: {error} (or {self._sign}10s, {self._sign}5m, {self._sign}2h)", param, ctx)


FROM_NOW = _Time("+", 1)
"""`2030-03-15T14:30:00Z`, `+10s`, `+5m`, `+2h`, `+1d`."""

AGO = _Time("", -1)
"""`2030-03-15T14:30:00Z`, `30m`, `2h`, `7d`."""
