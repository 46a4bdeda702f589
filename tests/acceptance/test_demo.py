"""`engagement demo`, as a new user runs it."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from support.commands import left_behind

pytestmark = pytest.mark.embedded


def _environment(folder: Path) -> dict[str, str]:
    return {"PATH": os.environ["PATH"], "TMPDIR": str(folder), "HOME": str(folder)}


@pytest.mark.parametrize("options", [(), ("--no-queue",)])
def test_the_demo_executes_everything_once_and_leaves_nothing_behind(tmp_path: Path, options: tuple[str, ...]) -> None:
    """Exit 0, a table with the figures, under a minute, no process left; with Valkey and without."""
    started = time.monotonic()
    done = subprocess.run(
        [sys.executable, "-m", "runners", "demo", *options],
        env=_environment(tmp_path), cwd=tmp_path, capture_output=True, text=True, timeout=90, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr
    assert time.monotonic() - started < 60
    cells = {
        parts[0].strip(): parts[1].strip()
        for line in done.stdout.splitlines()
        if len(parts := line.strip(" │").split("│")) == 2
    }
    assert cells["executed"] == "30"
    assert cells["in the provider's ledger"] == "30"
    assert cells["twice in the ledger"] == "0"
    assert cells["lost"] == "0"
    assert cells["dead letters"] == "1"
    assert {"lateness p50", "lateness p99"} <= set(cells)
    assert left_behind(tmp_path) == []


def test_ctrl_c_ends_the_demo_and_everything_that_it_started(tmp_path: Path) -> None:
    """In the middle of the demo: no process is left, and no traceback is shown."""
    process = subprocess.Popen(
        [sys.executable, "-m", "runners", "demo"],
        env=_environment(tmp_path), cwd=tmp_path, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
    )  # fmt: skip
    assert process.stdout is not None
    for line in process.stdout:
        if "executed" in line:
            process.send_signal(signal.SIGINT)
            break
    _, errors = process.communicate(timeout=30)
    assert process.returncode != 0
    assert "Traceback" not in errors
    assert left_behind(tmp_path) == []
