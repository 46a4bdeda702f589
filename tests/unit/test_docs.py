"""The pages say what the code says, and their examples run."""

from __future__ import annotations

import importlib.util
import re
from pathlib import Path
from types import ModuleType

import pytest

_ROOT = Path(__file__).resolve().parents[2]
_EXAMPLES = sorted((_ROOT / "docs" / "core").glob("*.md"))


def _generator() -> ModuleType:
    spec = importlib.util.spec_from_file_location("generate", _ROOT / "docs" / "generate.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.mark.parametrize("page", _generator().PAGES)
def test_generated_sections_are_current(page: str) -> None:
    """Else: `python docs/generate.py`."""
    as_it_is, as_it_should_be = _generator().current(page)
    assert as_it_is == as_it_should_be


@pytest.mark.parametrize("page", _EXAMPLES, ids=lambda page: page.stem)
def test_the_example_of_a_core_page_runs(page: Path) -> None:
    """Each is about ten lines, with its own assertions, and needs nothing but the core."""
    (example,) = re.findall(r"```python\n(.*?)```", page.read_text(encoding="utf-8"), re.DOTALL)
    assert "assert" in example
    assert set(re.findall(r"^(?:from|import) (\w+)", example, re.MULTILINE)) <= {"datetime", "engagement_core"}
    exec(compile(example, str(page), "exec"), {})  # noqa: S102 - our own page


def test_there_is_an_example_of_each_kind() -> None:
    """The state machine, the errors, the retry policy."""
    assert [page.stem for page in _EXAMPLES] == ["error-classification", "retry-policy", "state-machine"]
