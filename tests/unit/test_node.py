"""A missing Node is skipped on somebody's own machine, and in CI only where that says that it cannot be had."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from support.node import install_packages


def test_without_node_a_test_is_skipped_with_the_reason(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where nobody said that this is CI."""
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(pytest.skip.Exception, match="no node and npm"):
        install_packages(tmp_path, {})


def test_without_node_a_test_fails_in_ci(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """It is not left out silently."""
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(pytest.fail.Exception, match="no node and npm"):
        install_packages(tmp_path, {"CI": "true"})


def test_without_node_a_test_is_skipped_in_a_ci_that_says_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What cannot be had is declared, not guessed."""
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(pytest.skip.Exception, match="no node and npm"):
        install_packages(tmp_path, {"CI": "true", "NODE_AND_NPM": "missing"})


def test_a_registry_that_does_not_answer_is_told_in_one_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """No traceback for each test, and no test that waits for ever."""
    for name in ("node", "npm"):
        program = tmp_path / name
        program.write_text(f"#!{sys.executable}\nimport time\ntime.sleep(60)\n")
        program.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setattr("support.node._NPM_SECONDS", 0.1)
    with pytest.raises(pytest.fail.Exception, match="no answer from its registry"):
        install_packages(tmp_path, {"CI": "true"})
