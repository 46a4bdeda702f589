"""The reference of variables says what the settings read."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from typing import Any
from unittest.mock import patch

import pytest

from runners.settings import VARIABLES, read_settings


@pytest.fixture(autouse=True)
def nothing_is_set() -> Iterator[None]:
    """Whatever this machine has set, and put back afterwards."""
    with patch.dict(os.environ, clear=True):
        yield


class _Listening:
    """Stands for the environment, and notes what it is asked for."""

    def __init__(self) -> None:
        self.names: set[str] = set()

    def __getattr__(self, kind: str) -> Callable[..., Any]:
        def ask(name: str, default: Any = None, **_: Any) -> Any:
            self.names.add(name)
            return default

        return ask


def test_every_variable_that_is_read_is_described_and_no_other(monkeypatch: pytest.MonkeyPatch) -> None:
    """Else the page would lack it, or promise something."""
    listening = _Listening()
    monkeypatch.setattr("runners.settings.reading.Env", lambda: listening)
    read_settings(None)
    assert listening.names == {each.name for each in VARIABLES}


def test_every_default_is_what_is_used(monkeypatch: pytest.MonkeyPatch) -> None:
    """Setting it changes nothing."""
    unset = read_settings(None)
    for each in VARIABLES:
        if each.default is not None:
            monkeypatch.setenv(each.name, each.default)
    assert read_settings(None) == unset


def test_every_variable_is_described_once() -> None:
    """In a sentence."""
    assert len({each.name for each in VARIABLES}) == len(VARIABLES)
    assert all(each.meaning.endswith(".") for each in VARIABLES)
