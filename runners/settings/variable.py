"""One environment variable: its name, its default, what it means and how its text becomes a value.

The one rule: each of these stands in one place, the field of `Settings` that the variable sets.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any, Generic, TypeVar

from environs import Env

__all__ = [
    "SettingsProblem",
    "Variable",
    "address",
    "backoff",
    "choice",
    "milliseconds",
    "setting",
    "text",
    "variable_of",
    "whole",
]

T = TypeVar("T")
T_co = TypeVar("T_co", covariant=True)
Parse = Callable[[str, str], T]
"""From the variable's name and its text; raises `SettingsProblem`."""

_A_YEAR = 365 * 24 * 3_600_000
"""In milliseconds: the longest duration that may be set. Far beyond it, clocks and locks overflow."""


class SettingsProblem(Exception):
    """A variable is missing or malformed; the message names it and says what it should be."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Variable(Generic[T_co]):
    """`default` is the text that could be set to the same effect; None where not setting it is a value of its own.
    `instead` says the default in words where it depends on something. `group` is the heading under which the reference
    shows it. `lack` says what is needed where there is no default and it cannot be done without."""

    group: str
    name: str
    default: str | None
    meaning: str
    parse: Parse[T_co]
    instead: str | None = None
    lack: str | None = None

    def given(self, env: Env) -> T_co | None:
        """What is set; None if nothing is, or an empty text.

        Raises:
            SettingsProblem: what is set is malformed.
        """
        given: str = (env.str(self.name, "") or "").strip()
        return self.parse(self.name, given) if given else None


_METADATA = "variable"


def setting(
    group: str,
    name: str,
    default: str | None,
    meaning: str,
    parse: Parse[T],
    *,
    instead: str | None = None,
    lack: str | None = None,
    secret: bool = False,
    unset: T | None = None,
) -> Any:
    """A field of `Settings` that this variable sets. `secret` keeps it out of the `repr`; `unset` is its value where no
    text could be set to the same effect."""
    variable = Variable(
        group=group, name=name, default=default, meaning=meaning, parse=parse, instead=instead, lack=lack
    )
    value = unset if default is None else parse(name, default)
    return field(default=value, repr=not secret, metadata={_METADATA: variable})


def variable_of(metadata: Any) -> Variable[Any]:
    """The variable that sets a field, from the field's metadata."""
    variable: Variable[Any] = metadata[_METADATA]
    return variable


def text(_: str, given: str) -> str:
    """Any text."""
    return given


def choice(*choices: str) -> Parse[str]:
    """One of these words, in any case."""

    def parse(name: str, given: str) -> str:
        if given.lower() not in choices:
            raise SettingsProblem(f"{name} is {given.lower()!r}; it must be one of {', '.join(choices)}")
        return given.lower()

    return parse


def whole(*, at_least: int, at_most: int | None = None) -> Parse[int]:
    """A whole number within bounds."""

    def parse(name: str, given: str) -> int:
        value = _number(name, given)
        if value < at_least:
            raise SettingsProblem(f"{name} is {value}; it must be at least {at_least}")
        if at_most is not None and value > at_most:
            raise SettingsProblem(f"{name} is {value}; it must be at most {at_most}")
        return value

    return parse


def milliseconds(*, at_least: int = 1) -> Parse[timedelta]:
    """A duration of a year at most, as a whole number of milliseconds."""
    number = whole(at_least=at_least, at_most=_A_YEAR)
    return lambda name, given: timedelta(milliseconds=number(name, given))


def backoff(name: str, given: str) -> tuple[timedelta, ...]:
    """The delays before each attempt, as milliseconds with commas between them."""
    try:
        delays = tuple(int(part) for part in given.split(","))
    except ValueError as error:
        raise SettingsProblem(f"{name} is {given!r}; it must be milliseconds like 0,500,1500") from error
    if min(delays) < 0:
        raise SettingsProblem(f"{name} is {given!r}; a delay cannot be negative")
    if max(delays) > _A_YEAR:
        raise SettingsProblem(f"{name} is {given!r}; a delay can be at most {_A_YEAR}")
    return tuple(timedelta(milliseconds=delay) for delay in delays)


def address(checked: Callable[[str], str]) -> Parse[str]:
    """A URL that passes a check, which raises `ValueError`; the message never repeats the URL, which may be secret."""

    def parse(name: str, given: str) -> str:
        try:
            return checked(given)
        except ValueError as error:
            raise SettingsProblem(f"{name}: {error}") from None

    return parse


def _number(name: str, given: str) -> int:
    try:
        return int(given)
    except ValueError:
        # Not repeated: perhaps a key was put into the wrong variable.
        raise SettingsProblem(f"{name} is not a whole number") from None
