"""Reads a file as records: one object per line of JSON Lines, or one row of CSV, each with the number of its line.

The one rule: at most one record is in memory, and no record is longer than a limit.
"""

from __future__ import annotations

import csv
import json
from collections.abc import Iterator, Mapping
from typing import Any, BinaryIO

__all__ = ["LineProblem", "Record", "read_csv", "read_json_lines"]

_LONGEST_LINE = 1_000_000
_BYTE_ORDER_MARK = "\ufeff"

Record = tuple[int, Mapping[str, Any]]
"""The number of the line on which the record begins, from 1, and its values by name."""


class LineProblem(Exception):
    """A line cannot be used. `line` counts from 1; the message says what is wrong and with which field."""

    def __init__(self, line: int, message: str) -> None:
        super().__init__(f"line {line}: {message}")
        self.line = line


def read_json_lines(file: BinaryIO) -> Iterator[Record]:
    """The objects of the file; blank lines are skipped.

    Raises:
        LineProblem: a line is not UTF-8, is too long, or is no JSON object.
    """
    for number, text in _lines(file):
        if text.strip():
            yield number, _object(number, text)


def read_csv(file: BinaryIO) -> Iterator[Record]:
    """The rows, by the names in the first line. An empty cell is None, and so is a cell that is missing at the end.

    Raises:
        LineProblem: a line is not UTF-8, is too long or is not CSV; or the first line has a column twice.
    """
    begins_at = 1
    reader = csv.reader((text for _, text in _lines(file)), strict=True)
    names: list[str] | None = None
    try:
        for cells in reader:
            if names is None:
                names = _names(cells)
            elif cells:
                yield begins_at, _row(begins_at, names, cells)
            begins_at = reader.line_num + 1
    except csv.Error as error:
        raise LineProblem(max(reader.line_num, 1), f"it is not CSV: {error}") from error


def _lines(file: BinaryIO) -> Iterator[tuple[int, str]]:
    number = 0
    while raw := file.readline(_LONGEST_LINE + 1):
        number += 1
        if len(raw) > _LONGEST_LINE:
            raise LineProblem(number, f"it is longer than {_LONGEST_LINE} bytes")
        try:
            text = raw.decode()
        except UnicodeDecodeError as error:
            raise LineProblem(number, f"it is not UTF-8 (byte {error.start + 1})") from error
        yield number, text.removeprefix(_BYTE_ORDER_MARK) if number == 1 else text


def _object(number: int, text: str) -> Mapping[str, Any]:
    try:
        value = json.loads(text)
    except json.JSONDecodeError as error:
        raise LineProblem(number, f"it is not JSON: {error.msg} at character {error.colno}") from error
    except (ValueError, RecursionError) as error:
        raise LineProblem(number, "it is not JSON that can be read: a number or a nesting is too large") from error
    if not isinstance(value, dict):
        raise LineProblem(number, 'it is not a JSON object like {"pod_id": "pod-1", ...}')
    return value


def _names(cells: list[str]) -> list[str]:
    names = [cell.strip() for cell in cells]
    for name in names:
        if names.count(name) > 1:
            raise LineProblem(1, f"it names the column {name!r} twice")
    return names


def _row(number: int, names: list[str], cells: list[str]) -> Mapping[str, Any]:
    if len(cells) > len(names):
        raise LineProblem(number, f"it has {len(cells)} cells for {len(names)} columns")
    return {name: cell or None for name, cell in zip(names, cells, strict=False)}
