"""The core imports the standard library alone, and asks nobody for the time, the environment or luck."""

from __future__ import annotations

import ast
import sys
from pathlib import Path

import pytest

import engagement_core

_FILES = sorted(Path(engagement_core.__file__).parent.rglob("*.py"))
_ASKING = {"os", "random", "secrets", "socket", "subprocess", "time", "uuid"}


def _imports(path: Path) -> set[str]:
    found = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            found |= {alias.name.partition(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0
            found.add((node.module or "").partition(".")[0])
    return found


@pytest.mark.parametrize("path", _FILES, ids=lambda path: path.stem)
def test_a_core_file_imports_the_standard_library_alone(path: Path) -> None:
    """And nothing of it that asks the machine."""
    imported = _imports(path) - {"engagement_core"}
    assert imported <= sys.stdlib_module_names
    assert not imported & _ASKING


@pytest.mark.parametrize("path", _FILES, ids=lambda path: path.stem)
def test_a_core_file_does_not_read_the_clock(path: Path) -> None:
    """Time is given to it."""
    called = {
        node.func.attr
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute)
    }
    assert not called & {"now", "utcnow", "today"}
