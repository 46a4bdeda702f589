"""The comparison with other executors: who takes part, and what is written into the page."""

from __future__ import annotations

import importlib
import json
import re
import shutil
import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

import pytest

_HERE = Path(__file__).resolve().parents[2] / "docs" / "compare"


@pytest.fixture
def scripts(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """The scripts import each other as they do when one of them is run."""
    monkeypatch.syspath_prepend(str(_HERE))
    yield
    for name in ("page", "peers", "arena", "compare", "fleet"):
        sys.modules.pop(name, None)


@pytest.fixture
def peers(scripts: None) -> ModuleType:
    """`docs/compare/peers.py`."""
    return importlib.import_module("peers")


@pytest.fixture
def page(scripts: None) -> ModuleType:
    """`docs/compare/page.py`."""
    return importlib.import_module("page")


def test_without_node_its_peer_is_left_out_and_the_page_says_why(
    peers: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The others take part."""
    monkeypatch.setattr(shutil, "which", {}.get)
    lack = peers.node_packages(tmp_path / "node")
    assert not (tmp_path / "node").exists()
    installed = peers.Installed(python=tmp_path / "python", versions="", node_modules=None, lack=lack)
    assert installed.left_out == "Left out: BullMQ (Node), because there is no node and npm here."
    assert {peer.name for peer in peers.PEERS} - {peer.name for peer in installed.peers} == {"BullMQ (Node)"}


def test_with_node_nobody_is_left_out(peers: ModuleType, tmp_path: Path) -> None:
    """Nothing is said then."""
    installed = peers.Installed(python=tmp_path / "python", versions="", node_modules=tmp_path)
    assert installed.left_out == ""
    assert installed.peers == peers.PEERS


def test_the_peers_are_pinned_and_their_scripts_are_there(peers: ModuleType) -> None:
    """Else two runs would compare different peers."""
    lines = (_HERE / "requirements.txt").read_text().splitlines()
    assert all(re.fullmatch(r"[\w\[\]-]+==[\w.]+", line) for line in lines if not line.startswith("#"))
    pinned = json.loads((_HERE / "package.json").read_text())["dependencies"]
    assert all(re.fullmatch(r"[\d.]+", version) for version in pinned.values())
    for peer in peers.PEERS:
        for word in (*peer.work, *(peer.enqueue or ())):
            if word.endswith((".py", ".cjs")):
                assert (_HERE / word).exists(), peer.name


def test_all_peers_send_the_same_statements() -> None:
    """Python's and Node's differ in the sign of a parameter alone."""
    python, node = (_HERE / "peer_work.py").read_text(), (_HERE / "peer_bullmq.cjs").read_text()
    statements = re.findall(r'^_(READ|WRITE) = "+\n?(.*?)\n?"+$', python, re.MULTILINE | re.DOTALL)
    assert [name for name, _ in statements] == ["READ", "WRITE"]
    for _, statement in statements:
        assert statement.replace("%s", "$1") in node


def test_only_what_is_between_the_markers_is_written(page: ModuleType, tmp_path: Path) -> None:
    """A page without markers is refused, and stays as it is."""
    file = tmp_path / "page.md"
    file.write_text("before\n<!-- measured -->\nold\n<!-- /measured -->\nafter\n")
    page.write(file, "new \\1")
    assert file.read_text() == "before\n<!-- measured -->\nnew \\1\n<!-- /measured -->\nafter\n"
    file.write_text("no markers\n")
    with pytest.raises(ValueError, match="markers"):
        page.write(file, "new")
    assert file.read_text() == "no markers\n"


@pytest.mark.parametrize("name", ["performance.md", "explanation/fleet.md"])
def test_a_page_that_is_written_has_its_markers_and_its_command(name: str) -> None:
    """What a reader repeats is what wrote the figures."""
    text = (_HERE.parent / name).read_text()
    assert (text.count("<!-- measured -->\n"), text.count("<!-- /measured -->")) == (1, 1)
    (script,) = re.findall(r"python (docs/compare/\w+\.py) --write", text)
    assert (_HERE.parents[1] / script).exists()
