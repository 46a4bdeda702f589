"""The tutorial is typed as it stands, and leads where it says."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from adapters.embedded.wheels import wheels_installed
from adapters.unipile.sandbox import Sandbox
from support.servers import refuse

_ROOT = Path(__file__).resolve().parents[2]
_PAGE = _ROOT / "docs" / "tutorial" / "first-engagement.md"
_SANDBOX = "http://127.0.0.1:8484"

pytestmark = pytest.mark.embedded


def _typed(sandbox: Sandbox) -> str:
    """The marked blocks, in order, with the address of a provider of our own."""
    blocks = re.findall(r"<!-- run -->\n```sh\n(.*?)```", _PAGE.read_text(encoding="utf-8"), re.DOTALL)
    assert len(blocks) >= 6
    return "set -eu\n" + "".join(blocks).replace(_SANDBOX, sandbox.url)


def _path(folder: Path) -> str:
    """Where `engagement` and `python3` are this project's."""
    programs = folder / "programs"
    programs.mkdir()
    for name, command in (("engagement", "-m runners"), ("python3", "")):
        program = programs / name
        program.write_text(f'#!/bin/sh\nexec "{sys.executable}" {command} "$@"\n')
        program.chmod(0o755)
    return f"{programs}{os.pathsep}{os.environ['PATH']}"


def test_the_tutorial_works_as_it_is_written(tmp_path: Path) -> None:
    """One like at the provider, one dead letter, and every command ends well."""
    if not wheels_installed():
        refuse(os.environ)
    for place in (tmp_path, *list(tmp_path.parents)[:2]):
        place.chmod(0o711)  # run by root, PostgreSQL is another user, who must be able to enter
    with Sandbox() as sandbox:
        done = subprocess.run(
            ["sh", "-c", _typed(sandbox)],
            env={"PATH": _path(tmp_path), "PYTHONPATH": str(_ROOT), "HOME": str(tmp_path)},
            cwd=tmp_path,
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
        )
        effects = sandbox.ledger()["effects"]
    assert done.returncode == 0, done.stdout + done.stderr
    assert [effect["engagement_type"] for effect in effects] == ["like"]
    for told in ("It is due, and waits for a worker.", "It was executed: the provider said so.", "invalid_activity"):
        assert told in done.stdout
