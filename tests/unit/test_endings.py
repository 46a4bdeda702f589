"""How a session of pytest ends: in time where a test hangs, and at once where its child is interrupted."""

from __future__ import annotations

import os
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

_TESTS = Path(__file__).resolve().parents[1]

HANGS = """
import subprocess, threading
import pytest

@pytest.fixture
def child(tmp_path):
    with subprocess.Popen(["sleep", "600"]) as process:
        yield
        process.kill()
    print("the child is gone")

def test_that_hangs(child):
    threading.Event().wait()

def test_after_it():
    pass
"""

CANNOT_BE_FAILED = """
import signal, threading
from support import endings

endings.LONGER_THAN_THE_LIMIT = 0.5

def test_that_hears_no_signal():
    signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGALRM])
    threading.Event().wait()
"""

INTERRUPTS_ITS_CHILD = """
import signal, subprocess
import pytest

@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGQUIT])
def test_that_interrupts_its_child(number):
    with subprocess.Popen(["sleep", "600"]) as child:
        child.send_signal(number)
        try:
            assert child.wait(timeout=10) == -number
        finally:
            child.kill()
"""


def session(folder: Path, tests: str, *options: str, first: str = "") -> subprocess.CompletedProcess[str]:
    """pytest with our configuration and these tests, in a process that a shell started after the commands `first`."""
    page = folder / "test_page.py"
    page.write_text(tests, encoding="utf-8")
    command = [sys.executable, "-m", "pytest", "-p", "conftest", "-p", "no:cacheprovider", "-c", "setup.cfg"]
    words = shlex.join([*command, *options, str(page)])
    return subprocess.run(
        ["sh", "-c", f"{first}\nexec {words}"],
        cwd=_TESTS.parent,
        env={**os.environ, "PYTHONPATH": os.pathsep.join([str(_TESTS), str(_TESTS.parent)])},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


def test_a_test_that_hangs_fails_and_is_cleaned_up(tmp_path: Path) -> None:
    """Its fixtures end what they started, and the next test is run."""
    ended = session(tmp_path, HANGS, "--timeout=1")
    assert "1 failed, 1 passed" in ended.stdout, ended.stdout + ended.stderr
    assert "Timeout" in ended.stdout
    assert "the child is gone" in ended.stdout


def test_a_test_that_cannot_be_failed_ends_the_session(tmp_path: Path) -> None:
    """And the session says where it was."""
    ended = session(tmp_path, CANNOT_BE_FAILED, "--timeout=1")
    assert ended.returncode != 0
    assert "in test_that_hears_no_signal" in ended.stderr, ended.stdout + ended.stderr


def test_every_test_has_a_limit(pytestconfig: pytest.Config) -> None:
    """Unless somebody asks for another one; two minutes are longer than the slowest test without a mark takes."""
    assert float(pytestconfig.getini("timeout")) == 120


def test_a_shell_s_background_job_passes_its_children_no_deafness(tmp_path: Path) -> None:
    """There SIGINT and SIGQUIT are ignored, and every child would inherit it."""
    ended = session(tmp_path, INTERRUPTS_ITS_CHILD, first="trap '' INT QUIT")
    assert "2 passed" in ended.stdout, ended.stdout + ended.stderr
